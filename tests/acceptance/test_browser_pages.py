"""The pages in a real browser: what people do, by mouse and by keyboard, in light and dark."""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened, sign_in, until
from django.conf import settings
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, jpeg, make_inspection, make_screens

from inspection.models import Finding, Review, Upload, User
from inspection.services import uploads
from models_runtime import masks

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long enough secret"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def screens() -> Screens:
    return make_screens()


def cookies(world: Screens, who: str, base: str) -> list[Any]:
    """The session of somebody signed in."""
    value = world.client(who).cookies[settings.SESSION_COOKIE_NAME].value
    return [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]


@pytest.fixture
def reviewer(browser: Browser, live_server: Any, screens: Screens) -> Iterator[Page]:
    """A reviewer at a desk."""
    with opened(browser, live_server.url, viewport=WIDE) as page:
        page.context.add_cookies(cookies(screens, "reviewer", live_server.url))
        yield page


def test_somebody_signs_in_chooses_dark_and_signs_out(
    browser: Browser,
    live_server: Any,
    screens: Screens,
) -> None:
    user = User.objects.get(username="lid-operator")
    user.set_password(PASSWORD)
    user.save()
    with opened(browser, live_server.url, viewport=WIDE) as page:
        sign_in(page, "lid-operator", PASSWORD)
        page.get_by_role("button", name="Switch between light and dark").click()
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.locator("summary[aria-label^='Account of']").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in/**")


def test_a_unit_is_judged_by_keyboard_alone(reviewer: Page, screens: Screens) -> None:
    page = reviewer
    first, second = screens.findings
    page.goto(f"/inspections/{screens.inspection.pk}/")
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    page.keyboard.press("j")
    expect(page.locator(f"#finding-{first.pk}")).to_have_class("finding sev-edge-major is-selected")
    page.keyboard.press("c")
    expect(page.locator(f"#finding-{first.pk}[data-status=confirmed]")).to_be_visible()
    page.keyboard.press("3")
    expect(page.locator(f"#finding-{first.pk}.sev-edge-critical")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("d")
    expect(page.locator(f"#finding-{second.pk}[data-status=rejected]")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator(".verdict")).to_have_text("Reject")
    expect(page.locator("#decision")).to_contain_text("by lid-reviewer")
    kinds = list(Review.objects.values_list("kind", flat=True))
    assert kinds == ["confirm_finding", "change_finding", "reject_finding", "disposition"]
    assert Finding.objects.get(pk=first.pk).severity == "critical"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next finding")


def test_list_and_photo_show_the_same_finding(reviewer: Page, screens: Screens) -> None:
    page, first = reviewer, screens.findings[0]
    page.goto(f"/inspections/{screens.inspection.pk}/")
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    page.locator(f"#head-{first.pk}").hover()
    assert page.evaluate("loupeViewer.hovered") == str(first.pk)
    page.mouse.click(*on_screen(page, *middle(first)))
    expect(page.locator(f"#finding-{first.pk}.is-selected")).to_be_visible()
    lit = coloured(page)
    page.get_by_role("button", name="Masks").click()
    assert coloured(page) < lit / 2


def middle(finding: Finding) -> tuple[float, float]:
    return (finding.x1 + finding.x2) / 2, (finding.y1 + finding.y2) / 2


def on_screen(page: Page, x: float, y: float) -> list[float]:
    """Where a pixel of the served picture is in the window."""
    place: list[float] = page.evaluate(
        """([x, y]) => {
          const item = loupeViewer.osd.world.getItemAt(0);
          const at = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(x, y));
          const frame = loupeViewer.osd.canvas.getBoundingClientRect();
          return [at.x + frame.left, at.y + frame.top];
        }""",
        [x, y],
    )
    return place


def test_findings_of_a_photo_larger_than_the_served_one_are_where_they_belong(
    reviewer: Page, screens: Screens
) -> None:
    page, first = reviewer, screens.findings[0]
    seen = middle(first)
    enlarge(screens, times=40)
    page.goto(f"/inspections/{screens.inspection.pk}/")
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    place = on_screen(page, *seen)
    until(page, "!loupeViewer.osd.isAnimating()")
    assert opacity_at(page, place) > 0
    assert opacity_at(page, on_screen(page, 100, 100)) == 0
    page.mouse.click(*place)
    expect(page.locator(f"#finding-{first.pk}.is-selected")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_timeout(1000)
    assert opacity_at(page, on_screen(page, *seen)) > 0, "zooming lost sight of the finding"


def enlarge(world: Screens, times: int) -> None:
    """As if the photo had been larger than what is served of it."""
    photo = world.photo
    photo.width, photo.height = photo.width * times, photo.height * times
    photo.save()
    for finding in world.findings:
        box = [finding.x1, finding.y1, finding.x2, finding.y2]
        finding.x1, finding.y1, finding.x2, finding.y2 = (side * times for side in box)
        x1, y1, x2, y2 = (int(side) * times for side in box)
        area = np.zeros((photo.height, photo.width), dtype=bool)
        area[y1:y2, x1:x2] = True
        finding.mask_counts = masks.encode(area).counts
        finding.mask_height, finding.mask_width = area.shape
        finding.save()


def opacity_at(page: Page, place: list[float]) -> int:
    """How opaque the overlay is at a place of the window; outside of it, not at all."""
    alpha: int = page.evaluate(
        """([x, y]) => {
          const frame = loupeViewer.overlay.getBoundingClientRect();
          const context = loupeViewer.overlay.getContext("2d");
          return context.getImageData(x - frame.left, y - frame.top, 1, 1).data[3];
        }""",
        place,
    )
    return alpha


def test_what_is_fixed_is_not_painted_like_a_defect_until_a_person_says_so(
    reviewer: Page, screens: Screens
) -> None:
    page, first = reviewer, screens.findings[0]
    Finding.objects.filter(pk=first.pk).update(history="fixed")
    page.goto(f"/inspections/{screens.inspection.pk}/")
    counts = f"loupeViewer.findings.find((one) => one.id === '{first.pk}').counts"
    until(page, "window.loupeViewer?.findings.length > 0")
    assert page.evaluate(counts) is False
    page.locator(f"#head-{first.pk}").click()
    page.locator(f"#confirm-{first.pk}").click()
    until(page, counts)


def test_similar_cases_stay_after_a_verdict(reviewer: Page, screens: Screens) -> None:
    page, first = reviewer, screens.findings[0]
    make_inspection(screens.site, screens.plan, reference="Lid 12", status="decided")
    page.goto(f"/inspections/{screens.inspection.pk}/")
    similar = page.locator("#below .similar")
    expect(similar).to_contain_text("Lid 12")
    page.locator(f"#head-{first.pk}").click()
    page.locator(f"#confirm-{first.pk}").click()
    expect(page.locator(f"#finding-{first.pk}[data-status=confirmed]")).to_be_visible()
    expect(similar).to_contain_text("Lid 12")


def coloured(page: Page) -> int:
    """How many pixels of the overlay are not transparent."""
    return page.evaluate(
        """() => {
          const c = loupeViewer.overlay;
          const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
          let n = 0;
          for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
          return n;
        }"""
    )


def test_masks_are_read_in_the_browser_as_the_models_wrote_them(reviewer: Page) -> None:
    page, rng = reviewer, np.random.default_rng(3)
    page.goto("/upload/")
    blobs = [rng.random((37, 53)) > share for share in (0.02, 0.5, 0.98)]
    blobs += [np.ones((20, 30), dtype=bool), np.zeros((20, 30), dtype=bool)]
    tall = np.zeros((900, 700), dtype=bool)
    tall[100:800, 50:640] = True
    for area in [*blobs, tall]:
        mask = masks.encode(area)
        seen = page.evaluate(
            """async ([mask]) => {
              const { paintMask } = await import("/static/js/rle.js");
              const picture = paintMask(mask, [1, 2, 3]);
              if (!picture) return null;
              const { canvas, x, y, width, height } = picture;
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              const on = [];
              for (let i = 0; i < width * height; i++) if (data[4 * i + 3]) on.push(i);
              return { x, y, width, height, on };
            }""",
            [{"size": list(mask.size), "counts": mask.counts}],
        )
        assert_same(area, seen)


def assert_same(area: Any, seen: dict[str, Any] | None) -> None:
    if seen is None:
        assert not area.any()
        return
    painted = np.zeros(seen["width"] * seen["height"], dtype=bool)
    painted[seen["on"]] = True
    again = np.zeros_like(area)
    rows = slice(seen["y"], seen["y"] + seen["height"])
    columns = slice(seen["x"], seen["x"] + seen["width"])
    again[rows, columns] = painted.reshape(seen["height"], seen["width"])
    assert (again == area).all()


def test_files_go_up_and_each_one_is_told_how_it_stands(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page = reviewer
    files = [tmp_path / f"lid-{number}.jpg" for number in range(5)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg(seed=number))
    (tmp_path / "empty.jpg").write_bytes(b"")
    page.goto("/upload/")
    page.get_by_label("Reference").fill("Lid 7")
    page.locator("#files").set_input_files([*files, tmp_path / "empty.jpg"])
    expect(page.locator(".file[data-state=waiting]")).to_have_count(5)
    expect(page.locator(".file[data-state=refused]")).to_contain_text("empty (0 bytes)")
    expect(page.locator("#batch-summary")).to_contain_text("1 with a problem")
    assert Upload.objects.filter(reference="Lid 7", status="received").count() == 5
    page.reload()
    expect(page.locator(".file")).to_have_count(6)
    page.locator("#files").set_input_files(files)
    page.wait_for_timeout(500)
    expect(page.locator(".file")).to_have_count(6)
    assert Upload.objects.filter(status="received").count() == 5


def test_a_file_that_is_over_is_sent_again_for_another_purpose_only(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page, file, hint = reviewer, tmp_path / "notes.txt", reviewer.locator("#resume-hint")
    file.write_bytes(b"no photo")
    page.goto("/upload/")
    page.get_by_label("Reference").fill("Lid 7")
    page.locator("#files").set_input_files(file)
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)
    uploads.receive(Upload.objects.get(reference="Lid 7").pk)
    expect(page.locator(".file[data-state=refused]")).to_have_count(1)
    page.locator("#files").set_input_files(file)
    expect(hint).to_have_text("1 file is in this list already.")
    page.get_by_label("Reference").fill("Lid 8")
    page.locator("#files").set_input_files(file)
    expect(hint).to_be_hidden()
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)
    assert Upload.objects.filter(reference="Lid 8", status="received").count() == 1
    page.locator("#files").set_input_files(file)
    expect(hint).to_have_text("1 file is in this list already.")
    expect(page.locator(".file")).to_have_count(2)


def test_a_folder_goes_up_with_the_names_in_it(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page, folder = reviewer, tmp_path / "monday"
    (folder / "line 2").mkdir(parents=True)
    (folder / "lid.jpg").write_bytes(jpeg(seed=1))
    (folder / "line 2" / "lid.jpg").write_bytes(jpeg(seed=2))
    (folder / "Thumbs.db").write_bytes(b"no photo")
    page.goto("/upload/")
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("#resume-hint")).to_have_text("1 hidden file left out.")
    expect(page.locator(".file[data-state=waiting]")).to_have_count(2)
    names = sorted(page.locator(".file-name").all_text_contents())
    assert names == ["monday/lid.jpg", "monday/line 2/lid.jpg"]


def test_what_is_in_a_zip_is_listed_once_it_was_read(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page, packed = reviewer, tmp_path / "lids.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.jpg", jpeg(seed=1))
        archive.writestr("two.jpg", jpeg(seed=2))
        archive.writestr("notes.txt", "no photo")
    page.goto("/upload/")
    page.locator("#files").set_input_files(packed)
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)
    uploads.receive(Upload.objects.get(status="received").pk)
    expect(page.locator(".file.is-member")).to_have_count(3)
    expect(page.locator(".file[data-state=done]")).to_contain_text("2 photos taken from this zip")
    expect(page.locator(".file.is-member[data-state=working]")).to_have_count(2)
    expect(page.locator(".file.is-member[data-state=refused]")).to_contain_text("notes.txt")


@pytest.mark.slow
def test_a_thousand_files_go_up_in_one_go_and_once(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page = reviewer
    files = [tmp_path / f"unit-{number:04}.jpg" for number in range(1000)]
    photo = jpeg(seed=1)
    for number, file in enumerate(files):
        # JPEG readers ignore what follows the end of the picture: every file is another one.
        file.write_bytes(photo + number.to_bytes(4, "big"))
    page.goto("/upload/")
    page.locator("#files").set_input_files(files)
    expect(page.locator("#batch-summary")).to_contain_text("1000 of 1000 sent", timeout=240_000)
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1000)
    assert Upload.objects.filter(status="received").count() == 1000
    page.locator("#files").set_input_files(files[:200])
    page.wait_for_timeout(1000)
    expect(page.locator(".file")).to_have_count(1000)


def test_a_broken_connection_is_told_and_the_upload_goes_on(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page, broken = reviewer, []
    big = make_big(tmp_path)

    # All three workers at the file fail three times: that is no reason yet to give it up.
    def away(route: Any) -> None:
        if len(broken) < 9:
            broken.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/chunks/*", away)
    page.goto("/upload/")
    page.locator("#files").set_input_files(big)
    expect(page.locator(".file-message")).to_contain_text("did not answer")
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)
    upload = Upload.objects.exclude(pk=screens.extra["upload"].pk).get()
    assert upload.chunks.count() == 3


def make_big(folder: Path) -> Path:
    """A file of three chunks."""
    big = folder / "big.bin"
    big.write_bytes(b"\0" * 9_000_000)
    return big


def test_an_upload_goes_on_after_signing_in_again_in_another_tab(
    reviewer: Page, tmp_path: Path, screens: Screens
) -> None:
    page, user = reviewer, screens.users["reviewer"]
    user.set_password(PASSWORD)
    user.save()
    sign_in(page, user.username, PASSWORD)
    page.route("**/chunks/*", lambda route: route.fulfill(status=401))
    page.locator("#files").set_input_files(make_big(tmp_path))
    expect(page.locator(".file[data-state=failed]")).to_contain_text("Your sign-in has ended")
    page.context.clear_cookies()
    with closing(page.context.new_page()) as other:
        sign_in(other, user.username, PASSWORD)
    page.unroute("**/chunks/*")
    page.route("**/api/v1/uploads", lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Retry big.bin").click()
    expect(page.locator(".file-message")).to_contain_text("did not answer")
    expect(page.locator(".file[data-state=waiting]")).to_have_count(1)


def test_rows_of_a_plan_are_added_and_the_plan_is_saved(
    browser: Browser,
    live_server: Any,
    screens: Screens,
) -> None:
    with opened(browser, live_server.url, viewport=WIDE) as page:
        page.context.add_cookies(cookies(screens, "manager", live_server.url))
        page.goto("/plans/lids/")
        page.get_by_role("button", name="Add a defect").click()
        row = page.locator("[data-rows=defects] .plan-row").last
        row.get_by_label("Name", exact=True).fill("Rust")
        page.locator("[data-rows=playbook] [data-remove]").click()
        page.get_by_role("button", name="Save as version 2").click()
        expect(page.locator(".versions")).to_contain_text("Version 2")
    screens.plan.refresh_from_db()
    spec = screens.plan.current.parsed()
    assert [defect.key for defect in spec.defects] == ["dent", "scratch", "rust"]
    assert spec.playbook == ()


def test_the_page_of_the_api_shows_its_operations(reviewer: Page) -> None:
    reviewer.goto("/api/v1/docs")
    expect(reviewer.get_by_role("heading", name="Loupe")).to_be_visible()
    expect(reviewer.locator(".opblock-summary-path").first).to_be_visible()


def addresses(world: Screens) -> list[tuple[str, str]]:
    """Who opens which page."""
    unit = f"/inspections/{world.inspection.pk}/"
    return [
        ("anonymous", "/sign-in/"),
        ("operator", "/upload/"),
        ("operator", unit),
        ("reviewer", "/inspections/"),
        ("reviewer", "/inspections/?view=table"),
        ("reviewer", "/inspections/?q=nothing"),
        ("reviewer", f"{unit}#finding-{world.findings[0].pk}"),
        ("reviewer", "/plans/lids/"),
        ("admin", "/plans/"),
        ("admin", "/plans/lids/"),
        ("admin", "/plans/lids/versions/1/"),
        ("admin", "/members/"),
        ("admin", "/tokens/"),
        ("admin", "/connectors/"),
        ("admin", "/connectors/tickets/"),
        ("admin", "/connectors/new/"),
        ("admin", "/deliveries/"),
        ("admin", f"/deliveries/{world.extra['delivery'].pk}/"),
        ("admin", "/demo/receiver/"),
        ("admin", f"/inspections/{uuid.uuid4()}/"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_every_page_can_be_read_by_everybody(
    browser: Browser,
    live_server: Any,
    screens: Screens,
    scheme: Any,
    viewport: Any,
) -> None:
    """axe finds no violation, and no page is wider than the screen."""
    axe, problems = Axe(), []
    with opened(browser, live_server.url, viewport=viewport, color_scheme=scheme) as page:
        for who, address in addresses(screens):
            page.context.clear_cookies()
            if who != "anonymous":
                page.context.add_cookies(cookies(screens, who, live_server.url))
            page.goto("about:blank")
            page.goto(address)
            page.wait_for_load_state("networkidle")
            report = axe.run(page)
            if report.violations_count:
                problems.append(f"{who} {address}: {report.generate_report()}")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{who} {address} is wider than the screen")
    assert not problems, "\n".join(problems)
