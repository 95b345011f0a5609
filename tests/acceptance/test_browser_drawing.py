"""Drawing on a photo in a real browser: tools, undo, drafts that survive, saving, conflicts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened, until
from django.conf import settings
from drawing_world import change, disc, save, sent, shapes, start
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, make_screens

from inspection.clicks import client, server, wire
from inspection.clicks.embeddings import Embeddings
from inspection.clicks.outliner import Outliner
from inspection.models import Draft, Finding, Review
from inspection.pipeline.photos import decode
from models_runtime import masks
from models_runtime.contracts import ImageEmbedding, Mask, PhotoPixels
from models_runtime.memory import MemorySegmenter

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
READY = (
    "document.getElementById('draw')?.dataset.ready === 'yes' && loupeDrawing.photo.isReady"
    " && loupeDrawing.app.view.width > 100"
)


@pytest.fixture
def screens() -> Screens:
    return make_screens()


def signed_in(page: Page, world: Screens, base: str, who: str = "reviewer") -> None:
    value = world.client(who).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}])


def draw(page: Page, world: Screens) -> None:
    """Open the drawing page and wait until it can be drawn on."""
    page.goto(start(world))
    until(page, READY)


@pytest.fixture
def page(browser: Browser, live_server: Any, screens: Screens) -> Iterator[Page]:
    """A reviewer at a desk, drawing."""
    with opened(browser, live_server.url, viewport=WIDE) as page:
        signed_in(page, screens, live_server.url)
        draw(page, screens)
        yield page


def on_screen(page: Page, x: float, y: float) -> list[float]:
    """Where a place of the photo is in the window."""
    place: list[float] = page.evaluate(
        """([x, y]) => {
          const { app } = loupeDrawing;
          const at = app.view.toScreen(x, y);
          const frame = app.stage.element.getBoundingClientRect();
          return [at[0] + frame.left, at[1] + frame.top];
        }""",
        [x, y],
    )
    return place


def drag(page: Page, *places: tuple[float, float]) -> None:
    first, *others = [on_screen(page, *place) for place in places]
    page.mouse.move(*first)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def click(page: Page, x: float, y: float, **options: Any) -> None:
    page.mouse.click(*on_screen(page, x, y), **options)


def drawn(page: Page, number: int) -> np.ndarray | None:
    """The mask of one of the findings as it is drawn now."""
    told = page.evaluate("(n) => loupeDrawing.app.doc.shapes.at(n).mask?.sent ?? null", number)
    return told and masks.decode(Mask(size=tuple(told["size"]), counts=told["counts"]))


def kept(page: Page) -> None:
    expect(page.locator("#draw-status")).to_have_text("Draft kept")


def saved(page: Page) -> None:
    page.keyboard.press("Control+s")
    expect(page.locator("#draw-status")).to_have_text("Saved")


def stored_mask(finding: Finding) -> np.ndarray:
    size = (finding.mask_height or 0, finding.mask_width or 0)
    return masks.decode(Mask(size=size, counts=finding.mask_counts))


def test_a_defect_is_painted_undone_redone_saved_and_seen_on_the_unit(
    page: Page, screens: Screens
) -> None:
    page.keyboard.press("b")
    drag(page, (120, 100), (160, 100))
    expect(page.locator("#draw-findings li")).to_have_count(3)
    painted = drawn(page, -1)
    assert painted is not None
    assert painted[100, 120:160].all()
    page.keyboard.press("Control+z")
    expect(page.locator("#draw-findings li")).to_have_count(2)
    expect(page.locator("#draw-said")).to_have_text("Undone: Brush stroke.")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#draw-findings li")).to_have_count(3)
    page.locator("#draw-type").select_option("scratch")
    saved(page)
    made = Finding.objects.get(source="person")
    assert (made.type, made.severity, made.status) == ("scratch", "minor", "confirmed")
    assert (stored_mask(made) == painted).all()
    assert not Draft.objects.filter(content__isnull=False).exists()
    page.goto(f"/inspections/{screens.inspection.pk}/")
    expect(page.locator(f"#finding-{made.pk}")).to_be_visible()
    until(page, f"window.loupeViewer?.findings.some((one) => one.id === '{made.pk}')")


def test_the_unit_leads_to_drawing_and_back(page: Page, screens: Screens) -> None:
    page.goto(f"/inspections/{screens.inspection.pk}/")
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    page.keyboard.press("Shift+D")
    page.wait_for_url("**/draw/")
    page.get_by_role("link", name="Back to the unit").click()
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_url("**/draw/")


def test_eraser_and_brush_change_the_chosen_finding_only(page: Page, screens: Screens) -> None:
    first, second = (stored_mask(finding) for finding in screens.findings)
    page.keyboard.press("j")
    page.keyboard.press("0")
    page.keyboard.press("e")
    page.keyboard.press("]")
    drag(page, (0, 30), (25, 30))
    erased = drawn(page, 0)
    assert erased is not None
    assert not erased[30, 10:25].any()
    assert 0 < erased.sum() < first.sum()
    assert (drawn(page, 1) == second).all()
    for _ in range(20):
        page.keyboard.press("]")
    drag(page, (20, 30), (30, 30))
    expect(page.locator("#draw-said")).to_contain_text("would leave nothing")
    assert (drawn(page, 0) == erased).all()


def test_drafts_survive_a_reload_and_a_server_that_is_away(page: Page, screens: Screens) -> None:
    page.keyboard.press("b")
    drag(page, (120, 100), (160, 100))
    kept(page)
    assert Draft.objects.get().content["shapes"]
    page.reload()
    until(page, READY)
    expect(page.locator("#draw-notice")).to_contain_text(
        "What you had not saved is back: 1 finding"
    )
    before = drawn(page, -1)
    # Now the server is away: what is drawn stays in the browser, over a reload too.
    page.route("**/draw/draft/**", lambda route: route.abort())
    page.keyboard.press("b")
    page.keyboard.press("Escape")
    drag(page, (120, 60), (160, 60))
    expect(page.locator("#draw-status")).to_have_text("Offline: kept in this browser")
    drag(page, (40, 120), (60, 120))
    page.reload()
    until(page, READY)
    expect(page.locator("#draw-notice")).to_contain_text("is back: 2 findings")
    assert (drawn(page, -2) == before).all()
    after = drawn(page, -1)
    assert after is not None
    assert after[60, 130:150].all()
    assert after[120, 45:55].all()
    page.unroute("**/draw/draft/**")
    kept(page)
    saved(page)
    assert Finding.objects.filter(source="person").count() == 2


def test_a_save_whose_answer_was_lost_is_not_done_twice(page: Page, screens: Screens) -> None:
    page.keyboard.press("b")
    drag(page, (120, 100), (160, 100))

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/draw/save/", lose)
    page.keyboard.press("Control+s")
    expect(page.locator("#draw-notice")).to_contain_text("Not saved yet")
    page.unroute("**/draw/save/")
    page.keyboard.press("Escape")
    drag(page, (120, 60), (160, 60))
    page.get_by_role("button", name="Save again").click()
    expect(page.locator("#draw-said")).to_contain_text("What you drew meanwhile is kept")
    saved(page)
    assert Finding.objects.filter(source="person").count() == 2


class Slow(MemorySegmenter):
    """Fills boxes, draws discs; the first look at a photo takes longer than a request waits."""

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        time.sleep(1.5)
        seen = super().embed(photo)
        features = np.full((2, 3, 3), 1 / 3, np.float32)
        return ImageEmbedding(features, seen.size, (100, 100), seen.engine)


@pytest.fixture
def clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process that outlines, in a thread."""
    path = Path("/tmp") / f"loupe-draw-{os.getpid()}" / "http.sock"
    monkeypatch.setattr(wire, "socket_path", lambda: path)
    monkeypatch.setattr(client, "PATIENCE_S", 0.2)
    kept = Embeddings(tmp_path / "clicks", 10_000_000)
    serving = server.listen(Outliner(Slow, lambda key: decode(key).photo, kept), path)
    thread = threading.Thread(target=server.serve, args=(serving,), daemon=True)
    thread.start()
    yield
    serving.shutdown()
    thread.join()
    path.unlink(missing_ok=True)
    path.parent.rmdir()


def test_sam_outlines_what_is_clicked_and_each_click_can_be_undone(
    clicks: None, page: Page, screens: Screens
) -> None:
    expect(page.locator("#draw-progress")).to_be_visible()
    page.keyboard.press("s")
    click(page, 150, 100)
    expect(page.locator("#draw-findings li")).to_have_count(3)
    first = drawn(page, -1)
    assert first is not None
    assert first[100, 150]
    click(page, 170, 120)
    until(page, "loupeDrawing.app.doc.prompt?.points.length === 2")
    click(page, 150, 100, button="right")
    until(page, "loupeDrawing.app.doc.prompt?.points.length === 3")
    assert page.evaluate("loupeDrawing.app.doc.prompt.points.map((one) => one.positive)") == [
        True, True, False,
    ]  # fmt: skip
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert (drawn(page, -1) == first).all()
    page.keyboard.press("n")
    drag(page, (60, 90), (90, 120))
    expect(page.locator("#draw-findings li")).to_have_count(4)
    boxed = drawn(page, -1)
    assert boxed is not None
    assert boxed[100, 75]
    saved(page)
    assert Finding.objects.filter(source="person").count() == 2


def test_without_sam_it_is_said_what_to_do(page: Page, screens: Screens) -> None:
    page.keyboard.press("s")
    click(page, 150, 100)
    expect(page.locator(".toast.error")).to_contain_text("Draw with brush or polygon")


def test_polygon_holes_parts_line_and_merging(page: Page, screens: Screens) -> None:
    page.keyboard.press("p")
    for place in ((100, 60), (180, 60), (180, 130), (100, 130)):
        click(page, *place)
    page.keyboard.press("Enter")
    assert drawn(page, -1).sum() == 80 * 70  # type: ignore[union-attr]
    page.locator("[data-option=polygon]").select_option("cut")
    for place in ((120, 80), (140, 80), (140, 100), (120, 100)):
        click(page, *place)
    page.keyboard.press("Enter")
    assert drawn(page, -1).sum() == 80 * 70 - 20 * 20  # type: ignore[union-attr]
    page.keyboard.press("f")
    assert drawn(page, -1).sum() == 80 * 70  # type: ignore[union-attr]
    page.keyboard.press("x")
    drag(page, (150, 50), (150, 140))
    expect(page.locator("#draw-findings li")).to_have_count(4)
    left, right = drawn(page, -2), drawn(page, -1)
    assert left is not None
    assert right is not None
    assert left.sum() + right.sum() == 80 * 70
    page.keyboard.press("v")
    page.keyboard.down("Shift")
    click(page, 170, 90)
    page.keyboard.up("Shift")
    page.keyboard.press("g")
    expect(page.locator("#draw-findings li")).to_have_count(3)
    assert drawn(page, -1).sum() == 80 * 70  # type: ignore[union-attr]


def test_two_findings_of_the_models_are_merged_and_one_is_deleted_with_a_reason(
    page: Page, screens: Screens
) -> None:
    first, second = screens.findings
    page.keyboard.press("j")
    page.get_by_role("button", name="Mark 2 Scratch for merging").click()
    page.keyboard.press("g")
    saved(page)
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.status == "rejected"
    assert Review.objects.get(finding=second).reason == "duplicate"
    assert stored_mask(first).sum() == 1200
    page.keyboard.press("j")
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_label("Other: say what").check()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#draw-why-error")).to_have_text("Say in a few words what it is.")
    page.get_by_role("dialog").get_by_role("textbox").fill("Glue on the lens")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    saved(page)
    assert Review.objects.get(finding=first, reason="other").comment == "Glue on the lens"


def test_a_box_is_drawn_and_changed_by_its_handles(page: Page, screens: Screens) -> None:
    page.keyboard.press("r")
    drag(page, (100, 60), (140, 90))
    drag(page, (140, 90), (170, 120))
    assert page.evaluate("loupeDrawing.app.selected.box.map(Math.round)") == [100, 60, 70, 60]
    drag(page, (130, 80), (110, 90))
    assert page.evaluate("loupeDrawing.app.selected.box.map(Math.round)") == [80, 70, 70, 60]
    saved(page)
    made = Finding.objects.get(source="person")
    assert [round(made.x1), round(made.y1), round(made.x2), round(made.y2)] == [80, 70, 150, 130]


def test_who_saves_over_another_is_shown_what_changed_and_may_keep_theirs(
    page: Page, screens: Screens
) -> None:
    first, second = screens.findings
    page.keyboard.press("j")
    page.locator("#draw-severity").select_option("critical")
    page.keyboard.press("j")
    page.locator("#draw-severity").select_option("critical")
    now = shapes(screens)
    other = sent(disc(30, 30, 9))
    save(screens, change(now[0], type="scratch"), change(now[1], mask=other), who="admin")
    page.keyboard.press("Control+s")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody has changed this meanwhile")
    expect(dialog).to_contain_text("Scratch, major")
    dialog.get_by_role("group", name="2 Scratch").get_by_label("Take theirs").check()
    dialog.get_by_role("button", name="Save so").click()
    expect(page.locator("#draw-status")).to_have_text("Saved")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.type, first.severity) == ("scratch", "critical")
    assert (second.severity, second.mask_counts) == ("minor", other["counts"])


def test_two_windows_of_one_person_do_not_overwrite_each_other(
    page: Page, screens: Screens
) -> None:
    with page.context.expect_page() as popup:
        page.evaluate("(url) => { window.open(url, '_blank', 'noopener'); }", start(screens))
    second = popup.value
    until(second, READY)
    page.keyboard.press("b")
    drag(page, (120, 100), (160, 100))
    kept(page)
    second.keyboard.press("b")
    drag(second, (40, 100), (80, 100))
    expect(second.locator("#draw-notice")).to_contain_text("in another window")
    assert Draft.objects.get().session == page.evaluate("loupeDrawing.work.drafts.session")
    second.get_by_role("button", name="Go on here").click()
    kept(second)
    assert Draft.objects.get().session == second.evaluate("loupeDrawing.work.drafts.session")


def test_all_of_it_by_keyboard(page: Page, screens: Screens) -> None:
    page.locator("#draw-stage").focus()
    page.keyboard.press("b")
    page.keyboard.press("Shift+K")
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#draw-findings li")).to_have_count(3)
    made = drawn(page, -1)
    assert made is not None
    assert made[75, 100]
    page.keyboard.press("2")
    expect(page.locator("#draw-type")).to_have_value("scratch")
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="Show New Scratch")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Hide New Scratch")).to_be_visible()
    saved(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Copy from the earlier photo")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(f"**/inspections/{screens.inspection.pk}/")


def test_a_golden_photo_lies_beside_or_under_a_sash(page: Page, screens: Screens) -> None:
    width = page.evaluate("loupeDrawing.app.view.width")
    page.keyboard.press("d")
    assert page.evaluate("loupeDrawing.app.view.width") == width / 2
    page.keyboard.press("w")
    until(page, "loupeDrawing.compare.photo?.isReady")
    box = page.locator("#draw-stage").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 300, steps=4)
    page.mouse.up()
    assert abs(page.evaluate("loupeDrawing.compare.sash") - 0.25) < 0.02


def test_a_phone_draws_with_a_finger_and_zooms_with_two(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    with opened(browser, live_server.url, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        signed_in(page, screens, live_server.url)
        draw(page, screens)
        page.get_by_role("button", name="Brush", exact=True).tap()
        touch(page, [[(120, 100)], [(140, 100)], [(160, 100)]])
        expect(page.locator("#draw-sheet-toggle")).to_have_text("Findings 3")
        before = page.evaluate("loupeDrawing.app.view.scale")
        touch(page, [[(80, 75), (120, 75)], [(60, 75), (140, 75)], [(20, 75), (180, 75)]])
        assert page.evaluate("loupeDrawing.app.view.scale") > before * 1.5
        expect(page.locator("#draw-sheet-toggle")).to_have_text("Findings 3")
        page.locator("#draw-sheet-toggle").tap()
        expect(page.locator("#draw-panel")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def touch(page: Page, steps: list[list[tuple[float, float]]]) -> None:
    """Fingers that go through places of the photo, as the browser's own touch events."""
    devtools = page.context.new_cdp_session(page)
    places = [[on_screen(page, *place) for place in fingers] for fingers in steps]
    for number, fingers in enumerate(places):
        kind = "touchMove" if number else "touchStart"
        points = [{"x": x, "y": y, "id": id} for id, (x, y) in enumerate(fingers)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_keeps_the_rules_for_accessibility(
    browser: Browser, live_server: Any, screens: Screens, size: Any, scheme: Any
) -> None:
    with opened(browser, live_server.url, viewport=size, color_scheme=scheme) as page:
        signed_in(page, screens, live_server.url)
        draw(page, screens)
        page.keyboard.press("j")
        page.keyboard.press("b")
        if size is PHONE:
            page.locator("#draw-sheet-toggle").click()
        check(page)
        page.keyboard.press("Delete")
        expect(page.get_by_role("dialog")).to_be_visible()
        check(page)


def check(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_operator_looks_and_changes_nothing(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    with opened(browser, live_server.url, viewport=WIDE) as page:
        signed_in(page, screens, live_server.url, "operator")
        draw(page, screens)
        page.keyboard.press("j")
        expect(page.locator("#draw-type")).to_be_disabled()
        page.keyboard.press("b")
        drag(page, (120, 100), (160, 100))
        expect(page.locator("#draw-findings li")).to_have_count(2)
        expect(page.get_by_text("Only reviewers draw")).to_be_visible()
