"""Judging together in a real browser: reasons, the catalogue, comments with pins, blind words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import until
from desk import PHONE, READY, WIDE, desk
from judging_world import decide, key, member, rule
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, make_inspection, make_screens

from inspection.models import Comment, GoldUnit, Inspection, Judgement, Review, Round
from inspection.services import comments, gold, reviews

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    return make_screens()


def open_unit(page: Page, inspection: Inspection) -> None:
    page.goto(f"/inspections/{inspection.pk}/")
    until(page, READY)
    expect(page.locator("#comment-new")).to_be_visible()


def test_a_finding_is_rejected_with_a_reason_by_two_keys(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    first, second = screens.findings
    with desk(browser, live_server.url, screens, "reviewer") as page:
        open_unit(page, screens.inspection)
        page.keyboard.press("j")
        page.keyboard.press("x")
        expect(page.get_by_role("group", name="Why is finding 1 no defect?")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(f"#reasons-{first.pk}")).to_be_hidden()
        page.keyboard.press("x")
        page.keyboard.press("r")
        expect(page.locator(f"#finding-{first.pk}[data-status=rejected]")).to_be_visible()
        expect(page.locator("#side")).to_contain_text("reflection or glare")
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.keyboard.press("o")
        page.keyboard.type("A label")
        page.keyboard.press("Enter")
        expect(page.locator(f"#finding-{second.pk}[data-status=rejected]")).to_be_visible()
        said = list(Review.objects.order_by("created_at").values_list("reason", "comment"))
        assert said == [("reflection", ""), ("other", "A label")]
        page.keyboard.press("r")
        expect(page.locator("#decision")).to_contain_text("by lid-reviewer")


def test_the_catalogue_is_one_key_away(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    with desk(browser, live_server.url, screens, "reviewer") as page:
        open_unit(page, screens.inspection)
        page.keyboard.press("j")
        page.keyboard.press("d")
        dialog = page.get_by_role("dialog", name="Defect catalogue")
        expect(dialog).to_contain_text("Pressed in")
        page.keyboard.press("d")
        expect(dialog).to_be_hidden()
        expect(page.locator(".finding.is-selected")).to_have_count(1)


def test_a_comment_is_pinned_answered_and_resolved(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    base = live_server.url
    with desk(browser, base, screens, "operator") as page:
        open_unit(page, screens.inspection)
        page.keyboard.press("p")
        frame = page.locator("#stage").bounding_box()
        assert frame
        page.mouse.click(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
        expect(page.locator(".pin.is-draft")).to_be_visible()
        page.keyboard.type("Look here @lid-re")
        page.keyboard.press("Tab")
        expect(page.locator("#comment-body")).to_have_value("Look here @lid-reviewer ")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".pin:not(.is-draft)")).to_have_text("1")
    pinned = Comment.objects.get()
    assert pinned.x == pytest.approx(0.5, abs=0.02)
    assert pinned.y == pytest.approx(0.5, abs=0.02)
    with desk(browser, base, screens, "reviewer") as page:
        page.goto("/inspections/")
        page.get_by_role("link", name="Inbox, 1 unread").click()
        page.get_by_role("link", name=re.compile("Look here")).click()
        expect(page.locator(f"#comment-{pinned.pk}.is-target")).to_be_visible()
        expect(page.locator(".pin")).to_be_visible()
        expect(page.get_by_role("link", name="Inbox", exact=True)).to_be_visible()
        page.locator(".answer summary").click()
        page.get_by_role("textbox", name="Answer").fill("It is a dent.")
        page.get_by_role("button", name="Answer").click()
        expect(page.locator(".reply")).to_contain_text("It is a dent.")
        page.get_by_role("button", name="Resolve").click()
        expect(page.locator(".pin")).to_have_count(0)
        expect(page.get_by_role("button", name="Open again")).to_be_visible()


def test_a_refused_comment_keeps_its_words_and_a_pin_can_be_put_by_keyboard(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    with desk(browser, live_server.url, screens, "operator") as page:
        open_unit(page, screens.inspection)
        page.keyboard.press("p")
        page.keyboard.press("Enter")
        expect(page.locator(".pin.is-draft")).to_be_visible()
        page.keyboard.type("kept")
        page.route("**/comments/", lambda route: route.abort())
        page.keyboard.press("Control+Enter")
        expect(page.locator("#toasts")).to_contain_text("was not saved")
        expect(page.locator("#comment-body")).to_have_value("kept")
        page.unroute("**/comments/")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".thread")).to_contain_text("kept")
        assert Comment.objects.count() == 1


def test_two_judge_blind_and_a_third_decides(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    rule(screens.plan)
    base, unit = live_server.url, screens.inspection
    with desk(browser, base, screens, "reviewer") as page:
        open_unit(page, unit)
        page.keyboard.press("j")
        page.keyboard.press("c")
        expect(page.locator("[data-status=confirmed]")).to_be_visible()
        page.keyboard.press("r")
        expect(page.locator(".turn")).to_contain_text("It is sealed")
        expect(page.locator("[data-status=confirmed]")).to_have_count(0)
        page.keyboard.press("a")
        expect(page.locator("#toasts")).to_contain_text("Your word on this unit is in")
    with desk(browser, base, screens, "manager") as page:
        open_unit(page, unit)
        expect(page.locator("body")).not_to_contain_text("lid-reviewer")
        expect(page.locator(".turn")).to_have_count(0)
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.keyboard.press("d")
        expect(page.locator("[data-status=rejected]")).to_be_visible()
        page.keyboard.press("a")
        expect(page.locator(".turn")).to_contain_text("Two reviewers differ")
        expect(page.locator(".turn")).to_contain_text("A third person decides")
    with desk(browser, base, screens, "admin") as page:
        open_unit(page, unit)
        expect(page.locator(".turn")).to_contain_text("not a defect")
        page.locator(".turn").get_by_role("link", name="finding 1").click()
        expect(page.locator(".finding.is-selected")).to_have_count(1)
        page.keyboard.press("c")
        expect(page.locator("[data-status=confirmed]")).to_be_visible()
        page.keyboard.press("w")
        expect(page.locator(".turn")).to_contain_text("Decided by a third person")
        expect(page.locator(".turn")).to_contain_text("lid-reviewer")
    assert Round.objects.get().state == "final"
    assert Judgement.objects.count() == 3


def test_a_manager_sets_the_rule_makes_a_gold_unit_and_sees_grades(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    base, unit = live_server.url, screens.inspection
    decide(screens.memberships["manager"], unit, "reject")
    with desk(browser, base, screens, "manager") as page:
        page.goto(f"/plans/{screens.plan.key}/")
        page.get_by_role("link", name="Second review").click()
        page.get_by_label("Gold units, in %").fill("100")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#toasts")).to_contain_text("Saved")
        open_unit(page, unit)
        page.get_by_text("Use as gold unit").click()
        page.get_by_role("button", name="Make it a gold unit").click()
        expect(page.locator("h1")).to_have_text("Judging")
    copy = GoldUnit.objects.get().inspection
    with desk(browser, base, screens, "reviewer") as page:
        page.goto("/queue/next/")
        page.wait_for_url(f"**/inspections/{copy.pk}/**")
        open_unit(page, copy)
        until(page, READY)
        page.keyboard.press("r")
        expect(page.locator(".turn")).to_contain_text("It is sealed")
    with desk(browser, base, screens, "manager") as page:
        page.goto("/judging/gold/")
        expect(page.get_by_role("region", name="Grades of reviewers")).to_contain_text("100 %")


def furnished(screens: Screens) -> list[tuple[str, str]]:
    """Pages with something on them, and who looks."""
    first, second = screens.memberships["reviewer"], member(screens, "a-rather-long-name-" * 4)
    manager = screens.memberships["manager"]
    rule(screens.plan, gold_share=0.1)
    for number in range(12):
        unit = make_inspection(screens.site, screens.plan, reference=f"Unit {number}")
        dent = unit.findings.order_by("key")[0]
        reviews.reject_finding(first, dent, key(), "Only dust " * 20, reason="dirt")
        decide(first, unit, "accept" if number % 3 else "reject")
        decide(second, unit, "accept")
    source = Inspection.objects.filter(status="decided", decided_by__isnull=False).first()
    assert source is not None
    made = gold.make_gold(manager, source, note="Hard to see at the edge")
    decide(first, made.inspection, "accept")
    place = comments.Place(screens.photo, 0.3, 0.4)
    begun = comments.add_comment(
        manager, screens.inspection, "@lid-reviewer " + "unbroken" * 30, key(), place=place
    )
    comments.add_comment(first, screens.inspection, "It was there before.", key(), thread=begun)
    disputed = Round.objects.filter(state="adjudication").first()
    assert disputed is not None
    return [
        ("manager", "/judging/agreement/"),
        ("manager", "/judging/gold/"),
        ("reviewer", "/judging/rejections/"),
        ("reviewer", "/inbox/"),
        ("manager", f"/plans/{screens.plan.key}/judging/"),
        ("reviewer", f"/inspections/{screens.inspection.pk}/"),
        ("admin", f"/inspections/{disputed.inspection_id}/"),
        ("admin", f"/inspections/{source.pk}/"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_pages_of_judging_can_be_read_by_everybody(
    browser: Browser, live_server: Any, screens: Screens, scheme: Any, viewport: Any
) -> None:
    """axe finds no violation, and no page is wider than the screen; empty and furnished."""
    axe, problems = Axe(), []
    empty = [("manager", "/judging/agreement/"), ("manager", "/judging/gold/")]
    empty += [("reviewer", "/judging/rejections/"), ("reviewer", "/inbox/")]

    def look(pages: list[tuple[str, str]]) -> None:
        for who, address in pages:
            options = {"viewport": viewport, "color_scheme": scheme}
            with desk(browser, live_server.url, screens, who, **options) as page:
                page.goto(address)
                page.wait_for_load_state("networkidle")
                report = axe.run(page)
                if report.violations_count:
                    problems.append(f"{who} {address}: {report.generate_report()}")
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    problems.append(f"{who} {address} is wider than the screen")

    look(empty)
    look(furnished(screens))
    assert not problems, "\n".join(problems)
