"""A manager's way through the dashboards, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from screen_world import Screens, make_inspection, make_screens

from inspection.models import Inspection
from inspection.services.rollups import count_marked
from inspection.views.dashboards import PAGES

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture
def world() -> Screens:
    """Twelve days with a bad one."""
    made = make_screens()
    for day in range(12):
        for number in range(3):
            unit = make_inspection(made.site, made.plan, findings=number, status="decided")
            is_bad = number == 2 or day == 4
            Inspection.objects.filter(pk=unit.pk).update(
                created_at=timezone.now() - timedelta(days=day), line=f"Line {number}",
                disposition="reject" if is_bad else "accept",
            )  # fmt: skip
    while count_marked():
        pass
    return made


@pytest.fixture
def manager(browser: Browser, live_server: Any, world: Screens) -> Iterator[Page]:
    with opened(browser, live_server.url, viewport=SIZES["wide"]) as page:
        value = world.client("manager").cookies[settings.SESSION_COOKIE_NAME].value
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}
        page.context.add_cookies([cookie])
        yield page


def test_from_a_point_of_the_chart_to_its_units_and_back(manager: Page) -> None:
    page = manager
    page.goto("/upload/")
    page.get_by_role("link", name="Charts").click()
    expect(page.get_by_role("heading", name="Quality", level=1)).to_be_visible()
    page.get_by_label("Points of the charts").select_option("day")
    page.wait_for_url("**by=day**")
    page.get_by_label("Line").select_option("Line 2")
    page.wait_for_url("**line=Line+2**")
    point = page.locator("#defect-rate svg a").last
    point.locator(".chart-hit").click()
    page.wait_for_url("**/inspections/**")
    expect(page.locator(".like-note")).to_contain_text("line Line 2")
    expect(page.locator("[id^=card-]")).to_have_count(1)
    page.go_back()
    expect(page).to_have_url(page.url)
    with page.expect_download() as download:
        page.get_by_label("Share of defective units (p-chart) as CSV").click()
    assert download.value.suggested_filename.startswith("defect-rate-")


def test_tables_open_by_keyboard(manager: Page) -> None:
    page = manager
    page.goto("/dashboards/quality/")
    summary = page.locator("#defect-rate summary", has_text="As a table")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#defect-rate table")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_is_wider_than_its_window_or_breaks_accessibility(
    manager: Page, size: str, scheme: Any
) -> None:
    page = manager
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)
    problems = []
    for name in [*PAGES, "costs"]:
        page.goto(f"/dashboards/{name}/?plan=lids")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > SIZES[size]["width"]:
            problems.append(f"{name} is {width} px wide")
        found = Axe().run(page).response["violations"]
        problems += [f"{name}: {v['id']} {v['nodes'][0]['html'][:120]}" for v in found]
    assert problems == []
