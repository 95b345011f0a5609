"""Reviewing from the queue in a real browser: by keyboard, without a connection, taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import until
from desk import PHONE, READY, WIDE, desk
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, make_inspection, make_screens

from inspection.models import Inspection, Membership, ReviewTask, User
from inspection.models.choices import ReviewReason, Role
from inspection.services import queue, reviews
from inspection.services.queue_reasons import Worth

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("LOUPE_SHOTS", "")
AHEAD = "window.loupeQueue?.isReady()"


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    world = make_screens()
    Inspection.objects.filter(pk=world.inspection.pk).update(status="decided")
    return world


def line_up(world: Screens, count: int) -> list[Inspection]:
    """Units that wait, the first one worth most."""
    units = []
    for number in range(count):
        unit = make_inspection(world.site, world.plan, reference=f"LID-{number + 1}")
        worth = Worth(0.9 - number * 0.05, 0.5)
        queue.enqueue(unit, ReviewReason.LOW_CONFIDENCE, worth=worth)
        units.append(unit)
    return units


def begin(page: Page) -> None:
    page.goto("/queue/")
    page.get_by_role("link", name="Start reviewing").click()
    until(page, READY)


def title(page: Page, text: str) -> None:
    expect(page.locator("#inspection-head h1")).to_have_text(text)


def settled(unit: Inspection, disposition: str) -> None:
    until_true(lambda: Inspection.objects.get(pk=unit.pk).disposition == disposition)


def until_true(holds: Any, tries: int = 300) -> None:
    import time

    for _ in range(tries):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("never true")


@pytest.fixture
def at_work(browser: Browser, live_server: Any, screens: Screens) -> Iterator[Page]:
    with desk(browser, live_server.url, screens, "reviewer") as page:
        yield page


def test_from_unit_to_unit_by_keys_without_loading_a_page(at_work: Page, screens: Screens) -> None:
    first, second, third = line_up(screens, 3)
    begin(at_work)
    title(at_work, "LID-1")
    at_work.evaluate("window.isSamePage = true")
    until(at_work, AHEAD)
    at_work.keyboard.press("a")
    title(at_work, "LID-2")
    assert f"/inspections/{second.pk}/?queue=1" in at_work.url
    until(at_work, READY)
    until(at_work, AHEAD)
    at_work.keyboard.press("j")
    at_work.keyboard.press("c")
    expect(at_work.locator(".finding[data-status=confirmed]")).to_have_count(1)
    at_work.keyboard.press("r")
    title(at_work, "LID-3")
    assert at_work.evaluate("window.isSamePage"), "no page was loaded anew"
    settled(first, "accept")
    settled(second, "reject")
    until(at_work, READY)
    at_work.keyboard.press("h")
    settled(third, "hold")
    assert not ReviewTask.objects.filter(status="open").exists()
    expect(at_work.locator("#toasts")).to_contain_text("LID-3")


def test_the_last_verdict_is_taken_back_by_a_key(at_work: Page, screens: Screens) -> None:
    first, _ = line_up(screens, 2)
    begin(at_work)
    until(at_work, AHEAD)
    at_work.keyboard.press("a")
    title(at_work, "LID-2")
    settled(first, "accept")
    at_work.keyboard.press("z")
    title(at_work, "LID-1")
    expect(at_work.locator("#decision")).to_contain_text("Waits for a person")
    task = ReviewTask.objects.get(inspection=first)
    assert (task.status, task.held_by) == ("open", screens.users["reviewer"])


def test_undo_from_the_message_on_the_same_unit(at_work: Page, screens: Screens) -> None:
    (unit,) = line_up(screens, 1)
    at_work.goto(f"/inspections/{unit.pk}/")
    until(at_work, READY)
    at_work.keyboard.press("r")
    expect(at_work.locator("#decision")).to_contain_text("by lid-reviewer")
    at_work.get_by_role("button", name="Undo").click()
    expect(at_work.locator("#decision")).not_to_contain_text("by lid-reviewer")
    expect(at_work.locator("#toasts")).to_contain_text("Taken back")


def test_offline_for_a_moment_loses_nothing(at_work: Page, screens: Screens) -> None:
    first, second = line_up(screens, 2)
    begin(at_work)
    until(at_work, AHEAD)
    at_work.context.set_offline(True)
    at_work.keyboard.press("a")
    title(at_work, "LID-2")
    expect(at_work.locator("#toasts")).to_contain_text("will be sent by itself")
    until(at_work, READY)
    at_work.keyboard.press("j")
    at_work.keyboard.press("c")
    assert Inspection.objects.get(pk=first.pk).status == "review"
    at_work.context.set_offline(False)
    settled(first, "accept")
    until_true(lambda: second.findings.filter(status="confirmed").exists())
    expect(at_work.locator("#toasts")).not_to_contain_text("No connection")


def test_what_waits_is_sent_after_a_reload_and_counts_once(at_work: Page, screens: Screens) -> None:
    (unit,) = line_up(screens, 1)
    at_work.goto(f"/inspections/{unit.pk}/")
    until(at_work, READY)
    at_work.route("**/decide/", lambda route: route.abort())
    at_work.keyboard.press("a")
    expect(at_work.locator("#toasts")).to_contain_text("No connection")
    at_work.unroute("**/decide/")
    at_work.reload()
    settled(unit, "accept")
    assert unit.reviews.count() == 1


def test_a_verdict_that_is_refused_says_so(at_work: Page, screens: Screens) -> None:
    first, _ = line_up(screens, 2)
    begin(at_work)
    until(at_work, AHEAD)
    Inspection.objects.filter(pk=first.pk).update(status="running")
    at_work.keyboard.press("a")
    title(at_work, "LID-2")
    expect(at_work.locator("#toasts")).to_contain_text("Accept: LID-1 was not saved")


def test_two_reviewers_get_different_units(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    line_up(screens, 6)
    screens.users["second"] = User.objects.create_user("second", password="x")
    Membership.objects.create(site=screens.site, user=screens.users["second"], role=Role.REVIEWER)
    seen = []
    with (
        desk(browser, live_server.url, screens, "reviewer") as left,
        desk(browser, live_server.url, screens, "second") as right,
    ):
        for page in (left, right):
            begin(page)
            until(page, AHEAD)
            seen.append(page.locator("#inspection-head h1").inner_text())
            page.keyboard.press("a")
            expect(page.locator("#inspection-head h1")).not_to_have_text(seen[-1])
            seen.append(page.locator("#inspection-head h1").inner_text())
    assert len(set(seen)) == 4, seen


def test_a_key_is_changed_and_stays_changed(at_work: Page, screens: Screens) -> None:
    (unit,) = line_up(screens, 1)
    at_work.goto(f"/inspections/{unit.pk}/")
    until(at_work, READY)
    at_work.keyboard.press("?")
    dialog = at_work.get_by_role("dialog", name="Keys")
    dialog.locator("[data-act='decide.accept'] button").click()
    at_work.keyboard.press("r")
    expect(at_work.locator("#keys-said")).to_contain_text("is “Reject” already")
    at_work.keyboard.press("y")
    expect(at_work.locator("#keys-said")).to_contain_text("is on y now")
    at_work.keyboard.press("Escape")
    at_work.reload()
    until(at_work, READY)
    at_work.keyboard.press("a")
    at_work.keyboard.press("y")
    settled(unit, "accept")


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1440", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_queue_has_no_barriers(
    browser: Browser, live_server: Any, screens: Screens, filled: bool, size: Any, scheme: Any
) -> None:
    if filled:
        line_up(screens, 5)
        long = make_inspection(screens.site, screens.plan, reference="W" * 120)
        queue.enqueue(long, ReviewReason.ASKED)
        last = ReviewTask.objects.get(inspection=long)
        ReviewTask.objects.filter(pk=last.pk).update(
            assigned_to=screens.users["reviewer"], note="You know this line"
        )
    with desk(
        browser, live_server.url, screens, "manager", viewport=size, color_scheme=scheme
    ) as page:
        page.goto("/queue/")
        expect(page.locator("h1")).to_have_text("Queue")
        wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert wide, "nothing is cut off at the side"
        if SHOTS:
            name = f"queue-{'filled' if filled else 'empty'}-{size['width']}-{scheme}.png"
            page.screenshot(path=Path(SHOTS) / name, full_page=True)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
