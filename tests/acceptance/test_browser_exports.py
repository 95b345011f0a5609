"""Exports and imports in a real browser: from the list of units to the file, and back again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened
from django.conf import settings
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, make_screens
from transfer_world import SIZE, exported, packed, png_photo, shaped_unit

from inspection.models import ExportJob, Finding, ImportJob, Inspection, Photo
from inspection.pipeline import wake
from inspection.services import reviews
from inspection.services.exports import jobs as export_jobs
from inspection.services.imports import jobs as import_jobs

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    monkeypatch.setattr(wake, "_send", lambda *a, **k: True)
    return make_screens()


@contextmanager
def desk(
    browser: Browser, base: str, screens: Screens, who: str = "manager", **options: Any
) -> Iterator[Page]:
    """A browser of somebody signed in."""
    with opened(browser, base, **({"viewport": WIDE} | options)) as page:
        value = screens.client(who).cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]
        )
        yield page


def coco(file: str) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": file, "width": SIZE[1], "height": SIZE[0]}],
        "categories": [{"id": 1, "name": "Dent"}, {"id": 2, "name": "Kratzer"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [100, 90, 40, 30]},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [10, 100, 30, 30]},
        ],
    }


def test_what_the_list_shows_is_exported_and_fetched(
    browser: Browser, live_server: Any, screens: Screens, tmp_path: Path
) -> None:
    unit = shaped_unit(screens)
    Inspection.objects.filter(pk=unit.pk).update(disposition="hold")
    with desk(browser, live_server.url, screens) as page:
        page.goto("/inspections/?disposition=hold")
        page.get_by_role("link", name="Export").click()
        expect(page.get_by_role("heading", name="Exports", exact=True)).to_be_visible()
        expect(page.get_by_label("Disposition")).to_have_value("hold")
        page.get_by_role("radio", name="COCO, masks as runs").check()
        page.get_by_role("button", name="Export 1 unit").click()
        expect(page.locator(".job[data-status=waiting]")).to_contain_text("Waits for a worker")
        export_jobs.work(ExportJob.objects.get().pk)
        expect(page.locator(".job[data-status=done]")).to_contain_text("findings: 4")
        with page.expect_download() as fetched:
            page.get_by_role("link", name="Download").click()
        path = tmp_path / "export.zip"
        fetched.value.save_as(path)
        assert fetched.value.suggested_filename.startswith("lid-works-coco-")
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("annotations.json"))
        assert len(data["annotations"]) == 4
        page.get_by_role("button", name="Delete the file").click()
        expect(page.locator(".job[data-status=expired]")).to_be_visible()
        page.get_by_role("button", name="Again").click()
        expect(page.locator(".job[data-status=waiting]")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".job[data-status=cancelled]")).to_contain_text("lid-manager")


def test_annotations_are_checked_mapped_and_come_in(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    unit = shaped_unit(screens, [])
    Photo.objects.filter(inspection=unit).update(name="lid-7.jpg")
    file = {
        "name": "instances.json",
        "mimeType": "application/json",
        "buffer": json.dumps(coco("lid-7.jpg")).encode(),
    }
    with desk(browser, live_server.url, screens) as page:
        page.goto("/exports/")
        page.get_by_role("link", name="Import annotations").click()
        page.get_by_label("Plan").select_option(label="Steel lids")
        page.get_by_label("COCO or YOLO").set_input_files(files=[file])  # type: ignore[list-item]
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_role("heading", name="instances.json")).to_be_visible()
        expect(page.locator("#import-progress")).to_contain_text("Nothing is changed")
        import_jobs.work(ImportJob.objects.get().pk)
        expect(page.get_by_role("heading", name="What would come in")).to_be_visible()
        assert not unit.findings.exists()
        expect(page.get_by_label("Dent")).to_have_value("dent")
        page.get_by_role("button", name="Import", exact=True).click()
        # The browser itself asks for what is not chosen; whoever goes round it is told.
        expect(page.get_by_role("heading", name="What would come in")).to_be_visible()
        page.get_by_label("Kratzer").select_option(label="Scratch")
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.locator("#import-progress")).to_contain_text("Writing findings")
        import_jobs.work(ImportJob.objects.get().pk)
        expect(page.locator(".notice.ok")).to_contain_text("Imported: 2 findings")
        assert unit.findings.count() == 2
        page.goto(f"/inspections/{unit.pk}/")
        expect(page.locator(".finding").first).to_contain_text("imported annotation")
        page.locator(".finding-head").first.click()
        expect(page.locator(".finding").first).to_contain_text("instances.json")


def test_a_broken_file_says_exactly_what_is_wrong(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    before = Finding.objects.count()
    data = packed({"data.yaml": "names: [dent]", "labels/a.txt": "0 .5 .5 .1 .1\n4 .5 .5 .1 .1"})
    file = {"name": "labels.zip", "mimeType": "application/zip", "buffer": data}
    with desk(browser, live_server.url, screens) as page:
        page.goto("/imports/")
        page.get_by_label("Plan").select_option(label="Steel lids")
        page.get_by_label("COCO or YOLO").set_input_files(files=[file])  # type: ignore[list-item]
        page.get_by_role("button", name="Check the file").click()
        expect(page.locator("#import-progress")).to_be_visible()
        import_jobs.work(ImportJob.objects.get().pk)
        expect(page.get_by_role("listitem").filter(has_text="labels/a.txt, line 2")).to_be_visible()
        expect(page.get_by_role("button", name="Check it again")).to_be_visible()
    assert Finding.objects.count() == before


def furnished(screens: Screens) -> list[str]:
    """Pages with something on them: jobs of each kind, a mapping, many problems."""
    shaped_unit(screens)
    exported(screens, "coco")
    exported(screens, "yolo", {"q": "4711"}, shape="segment")
    manager = screens.memberships["manager"]
    site, long = screens.site, "a-rather-long-name-" * 6
    for status, more in (
        ("running", {"done": 312, "total": 1000}),
        ("failed", {"message": "It crashed. Try it again. " * 4}),
        ("waiting", {}),
    ):
        ExportJob.objects.create(
            site=site, requested_by=manager.user, format="parquet", status=status,
            query={"supplier": long}, options={"findings": "all"}, **more,
        )  # fmt: skip

    def sent(name: str, data: bytes) -> str:
        job = import_jobs.start(manager, screens.plan, name, io.BytesIO(data))
        import_jobs.work(job.pk)
        return f"/imports/{job.pk}/"

    known = coco("lid.jpg")
    known["categories"][1]["name"] = long
    known["images"] += [{"id": n, "file_name": f"{long}{n}.jpg", "width": 9, "height": 9}
                        for n in range(2, 9)]  # fmt: skip
    ready = sent(f"{long}.zip", packed({"a.json": json.dumps(known), "lid.jpg": png_photo(3)}))
    broken = coco("lid.jpg")
    broken["annotations"] = [{"id": n, "image_id": 1, "category_id": n} for n in range(3, 12)]
    bad = sent("broken.json", json.dumps(broken).encode())
    waiting = import_jobs.start(manager, screens.plan, "waits.json", io.BytesIO(b"{}"))
    return ["/exports/?supplier=&plan=lids", ready, bad, f"/imports/{waiting.pk}/", "/imports/"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_pages_of_exports_and_imports_can_be_read_by_everybody(
    browser: Browser,
    live_server: Any,
    screens: Screens,
    scheme: Any,
    viewport: Any,
    tmp_path: Path,
) -> None:
    """axe finds no violation, and no page is wider than the screen; empty and furnished."""
    axe, problems = Axe(), []
    options = {"viewport": viewport, "color_scheme": scheme}

    def look(addresses: list[str], state: str) -> None:
        with desk(browser, live_server.url, screens, **options) as page:
            for place, address in enumerate(addresses):
                page.goto(address)
                page.locator("h1").wait_for()
                report = axe.run(page)
                name = f"{state}-{place}-{viewport['width']}-{scheme}.png"
                page.screenshot(path=tmp_path / name, full_page=True)
                if report.violations_count:
                    problems.append(f"{address}: {report.generate_report()}")
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    problems.append(f"{address} is wider than the screen")

    look(["/exports/", "/imports/", "/exports/?q=nowhere"], "empty")
    look(furnished(screens), "full")
    assert not problems, "\n".join(problems)
