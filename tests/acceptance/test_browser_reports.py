"""Reports in a real browser: made with progress, read, downloaded, laid out, printed."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened, until
from django.conf import settings
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader
from report_world import blob, decided, lot_report, unit_report, work
from screen_world import Screens, make_screens

from inspection.models import ReportDocument, ReportLayout
from inspection.services.reports import asking
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHOTS = os.environ.get("LOUPE_SHOTS")


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(asking.app, "send_task", lambda *a, **k: None)
    world = make_screens()
    blob(world.findings[0])
    return world


def cookies(world: Screens, who: str, base: str) -> list[Any]:
    value = world.client(who).cookies[settings.SESSION_COOKIE_NAME].value
    return [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]


@pytest.fixture
def manager(browser: Browser, live_server: Any, screens: Screens) -> Iterator[Page]:
    with opened(browser, live_server.url, viewport=WIDE) as page:
        page.context.add_cookies(cookies(screens, "manager", live_server.url))
        yield page


def worked() -> ReportDocument:
    """Let a worker do the newest report."""
    return work(ReportDocument.objects.first())


def test_a_report_on_a_unit_is_waited_for_read_and_downloaded(
    manager: Page, screens: Screens
) -> None:
    page = manager
    page.goto(f"/inspections/{screens.inspection.pk}/")
    page.get_by_role("button", name="Report", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#report-progress")).to_contain_text("waits for a worker")
    document = worked()
    expect(page.locator("#sheet")).to_contain_text("Preliminary: proposed by the models.")
    expect(page.locator("#sheet")).to_contain_text("600 px, 30 px long")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PDF").click()
    data = Path(download.value.path()).read_bytes()
    assert hashlib.sha256(data).hexdigest() == document.pdf_sha256
    assert download.value.suggested_filename == "Inspection-report-Vault-door-4711.pdf"
    assert "Vault door 4711" in PdfReader(io.BytesIO(data)).pages[0].extract_text()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Reports").click()
    expect(
        page.get_by_role("link", name="Inspection report: Vault door 4711", exact=True)
    ).to_be_visible()


def test_masks_on_the_page_are_those_of_the_findings(manager: Page, screens: Screens) -> None:
    page, document = manager, unit_report(screens)
    page.goto(f"/reports/{document.pk}/")
    until(page, "document.documentElement.dataset.reportDrawn === 'yes'")
    width, height, on = page.evaluate(
        """() => {
          const canvas = document.querySelector("[data-report-photo] canvas");
          const { width, height } = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const on = [];
          for (let i = 0; i < width * height; i++) if (data[4 * i + 3]) on.push(i);
          return [width, height, on];
        }"""
    )
    drawn = np.zeros(width * height, dtype=bool)
    drawn[on] = True
    wanted = np.zeros((150, 200), dtype=bool)
    for finding in screens.findings:
        finding.refresh_from_db()
        wanted |= masks.decode(Mask(size=(150, 200), counts=finding.mask_counts))
    assert (width, height) == (200, 150)
    assert (drawn.reshape(height, width) == wanted).all()


def test_a_lot_is_chosen_counted_and_made(manager: Page, screens: Screens) -> None:
    page = manager
    for number in range(12):
        decided(screens, f"Lot 9-{number:02}", supplier="Acme" if number < 11 else "Other")
    page.goto("/inspections/?supplier=Acme")
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.locator("#lot-count")).to_contain_text("11 units fit")
    page.get_by_label("Reference begins with").fill("Lot 9-0")
    expect(page.locator("#lot-count")).to_contain_text("10 units fit")
    page.get_by_label("Reference begins with").fill("no such words")
    expect(page.locator("#lot-count")).to_contain_text("No unit fits")
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_role("alert")).to_contain_text("No unit fits. Loosen the filter.")
    page.get_by_label("Reference begins with").fill("Lot 9")
    page.get_by_label("Title").fill("Acme, week 48")
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    worked()
    expect(page.locator("#sheet")).to_contain_text("11 of 11 units accepted (100 %).")
    expect(page.locator(".report-unit")).to_have_count(10)
    page.get_by_role("link", name="Next units").click()
    expect(page.locator(".report-unit")).to_have_count(1)
    expect(page.locator(".report-unit")).to_contain_text("Lot 9-10")


def test_a_report_under_way_is_cancelled(manager: Page, screens: Screens) -> None:
    page = manager
    page.goto(f"/inspections/{screens.inspection.pk}/")
    page.get_by_role("button", name="Report", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("main .notice")).to_contain_text("Cancelled by lid-manager.")


def test_a_layout_with_another_order_and_the_logo_is_made_and_used(
    manager: Page, screens: Screens, tmp_path: Path
) -> None:
    page, picture = manager, tmp_path / "logo.png"
    Image.new("RGB", (300, 90), "#0a6583").save(picture)
    (tmp_path / "logo.svg").write_text("<svg/>")
    page.goto("/reports/layouts/")
    page.get_by_label("Picture").set_input_files(tmp_path / "logo.svg")
    page.get_by_role("button", name="Use this logo").click()
    expect(page.get_by_role("alert")).to_contain_text("no picture that can be read")
    page.get_by_label("Picture").set_input_files(picture)
    page.get_by_role("button", name="Use this logo").click()
    expect(page.get_by_alt_text("The logo as it is on reports")).to_be_visible()
    page.get_by_role("link", name="New layout").click()
    page.get_by_label("Name of the layout").fill("For Acme")
    page.get_by_label("Footer").fill("Lid works, confidential")
    page.get_by_label("Paper").select_option("letter")
    for name in ("Text", "Who decided", "Attributes"):
        page.get_by_role("checkbox", name=name).uncheck()
    for _ in range(9):
        page.get_by_role("button", name="Move Hashes up").press("Enter")
    expect(page.locator("#moved")).to_have_text("Hashes is now number 1.")
    page.get_by_label("Use it where nobody chooses").check()
    page.get_by_role("button", name="Save the layout").click()
    expect(page.locator(".report-layouts")).to_contain_text("Letter: Hashes, Cover")
    layout = ReportLayout.objects.get()
    assert layout.parts[0] == "hashes"
    assert set(layout.parts).isdisjoint({"words", "people", "attributes"})
    document = unit_report(screens, layout=layout)
    page.goto(f"/reports/{document.pk}/")
    until(page, "document.querySelector('.report-logo').naturalWidth === 300")
    expect(page.locator("#sheet")).to_contain_text("Lid works, confidential")
    expect(page.locator("#sheet")).not_to_contain_text("Who decided")


def test_without_a_mail_server_the_page_says_how_to_turn_it_on(
    manager: Page, screens: Screens
) -> None:
    manager.goto(f"/reports/{unit_report(screens).pk}/")
    expect(manager.locator("#mail")).to_contain_text("LOUPE_EMAIL_HOST")
    expect(manager.get_by_role("button", name="Send the PDF")).to_have_count(0)


def test_what_was_typed_is_kept_where_an_address_is_wrong(
    manager: Page, screens: Screens, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    page = manager
    page.goto(f"/reports/{unit_report(screens).pk}/")
    page.get_by_label("To", exact=True).fill("qa@example.com, nobody")
    page.get_by_label("Message").fill("As agreed on the phone.")
    page.get_by_role("button", name="Send the PDF").click()
    expect(page.locator(".field-error")).to_contain_text("“nobody” is no e-mail address")
    expect(page.get_by_label("Message")).to_have_value("As agreed on the phone.")
    page.get_by_label("To", exact=True).fill("qa@example.com")
    page.get_by_role("button", name="Send the PDF").click()
    expect(page.locator("#report-mailings")).to_contain_text("On its way")


def test_the_print_is_the_sheet_alone(manager: Page, screens: Screens) -> None:
    page = manager
    page.goto(f"/reports/{unit_report(screens).pk}/")
    until(page, "document.documentElement.dataset.reportDrawn === 'yes'")
    page.emulate_media(media="print")
    for hidden in (".rail", ".head", ".report-tools >> nth=0", "#mail"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#sheet")).to_be_visible()
    printed = PdfReader(io.BytesIO(page.pdf()))
    text = "".join(one.extract_text() for one in printed.pages)
    assert "Preliminary: proposed by the models." in text
    assert "Download" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_the_pages_of_reports_can_be_read_by_everybody(
    browser: Browser, live_server: Any, screens: Screens, scheme: Any, viewport: Any, settings: Any
) -> None:
    """axe finds no violation, and no page is wider than the screen."""
    axe, problems = Axe(), []
    with opened(browser, live_server.url, viewport=viewport, color_scheme=scheme) as page:
        page.context.add_cookies(cookies(screens, "manager", live_server.url))
        for name, address in addresses(screens, settings):
            page.goto(address)
            page.wait_for_timeout(300)
            if SHOTS:
                shot = f"{name}-{scheme}-{viewport['width']}.png"
                page.screenshot(path=str(Path(SHOTS) / shot), full_page=True)
            found = axe.run(page)
            if found.violations_count:
                problems.append(f"{address}: {found.generate_report()}")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{address} is wider than the screen")
    assert not problems, "\n".join(problems)


def addresses(screens: Screens, settings: Any) -> Iterator[tuple[str, str]]:
    """Each with a name for its picture; what is there grows on the way."""
    yield "empty", "/reports/"
    yield "layouts-empty", "/reports/layouts/"
    yield "lot", "/reports/lot/"
    for number in range(3):
        decided(screens, f"Lid {number} with a name that is rather long for a narrow screen")
    done = unit_report(screens)
    yield "unit", f"/reports/{done.pk}/"
    settings.EMAIL_HOST = "mail.example.com"
    lot = lot_report(screens)
    yield "lot-report", f"/reports/{lot.pk}/"
    wanted = asking.ask_for_unit(screens.memberships["manager"], screens.inspection, None)
    yield "progress", f"/reports/{wanted.pk}/"
    yield "list", "/reports/"
    layout = ReportLayout.objects.create(
        site=screens.site, name="For Acme", parts=["cover", "verdict", "photos"], is_default=True
    )
    yield "layouts", "/reports/layouts/"
    yield "layout", f"/reports/layouts/{layout.pk}/"
    yield "head", f"/inspections/{screens.inspection.pk}/"
