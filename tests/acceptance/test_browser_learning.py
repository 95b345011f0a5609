"""Learning from reviewers in a real browser: from the button to a live version, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened
from django.conf import settings
from django.test import Client
from django.utils import timezone
from learning_world import Eyes, Judged, eyes, live_version  # noqa: F401
from pipeline_world import World, make_member, world  # noqa: F401
from playwright.sync_api import Browser, Page, expect

from inspection.models import LearningJob, Membership, ModelVersion, Run
from inspection.models.choices import Role
from inspection.services import learning_jobs, learning_shadow

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PAGE = "/plans/lids/learning/"
SHOTS = os.environ.get("LOUPE_SHOTS", "")
"""A folder for pictures of what the tests see; none are taken without it."""


@pytest.fixture
def manager(world: World) -> Membership:  # noqa: F811
    return make_member(world.site, Role.MANAGER)


@pytest.fixture
def judged(world: World) -> Judged:  # noqa: F811
    return Judged(world.plan, make_member(world.site, Role.REVIEWER))


@contextmanager
def desk(browser: Browser, base: str, who: Membership, **options: Any) -> Iterator[Page]:
    """A browser of somebody signed in."""
    client = Client()
    client.force_login(who.user)
    with opened(browser, base, **({"viewport": WIDE} | options)) as page:
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]
        )
        yield page


def live(judged: Judged, reference: str) -> None:
    """A unit that the live models have just looked at; the version in the shadow sees it too."""
    unit = judged.unit("dirt", reference=reference, judge=False)
    Run.objects.filter(inspection=unit).update(finished_at=timezone.now())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_shadow, "GRACE", timedelta(seconds=-5))


def test_from_the_button_to_a_live_version_and_back(
    browser: Browser,
    live_server: Any,
    world: World,  # noqa: F811
    eyes: Eyes,  # noqa: F811
    judged: Judged,
    manager: Membership,
) -> None:
    judged.units(75)
    with desk(browser, live_server.url, manager) as page:
        page.goto(PAGE)
        expect(page.get_by_role("heading", name="No version yet")).to_be_visible()
        page.get_by_role("button", name="Start learning").click()
        expect(page.get_by_role("heading", name="Learning is under way")).to_be_visible()
        job = LearningJob.objects.get()
        assert (learning_jobs.LEARN, str(job.pk), "vision") in world.woken.sent
        learning_jobs.work(job.pk, seconds=0)
        job.refresh_from_db()
        assert job.total, "a slice tells how much there is to do"
        expect(page.locator("#learning-job [role=status]")).to_contain_text(f"of {job.total}")
        expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
        learning_jobs.run_to_end(job.pk, lambda now: None)
        expect(page.get_by_text("Version 1 is offered.")).to_be_visible()
        page.get_by_role("link", name="Compare it").click()
        expect(page.get_by_role("heading", name="On units held back")).to_be_visible()
        held = page.get_by_role("region", name="Figures on units held back")
        expect(held.get_by_role("row", name="Right")).to_contain_text("better")
        page.get_by_role("link", name="Fixed").click()
        units = page.get_by_role("region", name="Judged units")
        expect(units.locator(".badge.bad")).to_have_count(0)
        expect(units.locator("tbody tr").first).to_contain_text("Fixed")
        page.locator("#id_part").select_option("held")
        page.get_by_role("button", name="Show").click()
        expect(units.get_by_text("units it learnt from")).to_have_count(0)
        assert "change=fixed" in page.url
        page.get_by_role("button", name="Run in the shadow").click()
        expect(page.locator("#toasts")).to_contain_text("without any effect")
        live(judged, "Live unit")
        version = ModelVersion.objects.get()
        while learning_shadow.catch_up(version.pk):
            pass
        page.reload()
        expect(page.get_by_role("region", name="Units decided otherwise")).to_contain_text(
            "Live unit"
        )
        assert live_version(world.plan) is None
        page.get_by_role("button", name="Let it go live").click()
        expect(page.locator("#toasts")).to_contain_text("Version 1 is live")
        assert live_version(world.plan) == version
        page.goto(PAGE)
        expect(page.get_by_text("version 1 judges new units")).to_be_visible()
        page.get_by_role("button", name="Roll back version 1").click()
        expect(page.locator("#toasts")).to_contain_text("the shipped models judge again")
        assert live_version(world.plan) is None


def test_too_few_verdicts_and_a_cancelled_job_say_what_to_do(
    browser: Browser,
    live_server: Any,
    world: World,  # noqa: F811
    eyes: Eyes,  # noqa: F811
    judged: Judged,
    manager: Membership,
) -> None:
    judged.units(5)
    with desk(browser, live_server.url, manager) as page:
        page.goto(PAGE)
        expect(page.get_by_text("Probably still too few")).to_be_visible()
        page.get_by_role("button", name="Start learning").click()
        learning_jobs.run_to_end(LearningJob.objects.get().pk, lambda now: None)
        expect(page.locator("#learning-job .notice.warn")).to_contain_text("Too few verdicts yet")
        page.get_by_role("button", name="Start learning").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#learning-job .notice.warn")).to_contain_text("Cancelled by")
        expect(page.get_by_role("button", name="Start learning")).to_be_enabled()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_learning_can_be_read_by_everybody(
    browser: Browser,
    live_server: Any,
    world: World,  # noqa: F811
    eyes: Eyes,  # noqa: F811
    judged: Judged,
    manager: Membership,
    scheme: Any,
) -> None:
    """axe finds no violation, no page is wider than the screen; empty, at work and furnished."""
    axe, problems = Axe(), []

    def look(names: dict[str, str]) -> None:
        for name, address in names.items():
            for size, viewport in (("desk", WIDE), ("phone", PHONE)):
                options = {"viewport": viewport, "color_scheme": scheme}
                with desk(browser, live_server.url, manager, **options) as page:
                    page.goto(address)
                    page.wait_for_load_state("load")
                    if SHOTS:
                        path = Path(SHOTS) / f"learning-{name}-{size}-{scheme}.png"
                        page.screenshot(path=path, full_page=True)
                    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    problems.extend([f"{name} is {wide} px too wide on {size}"] * (wide > 0))
                    found = axe.run(page, options={"resultTypes": ["violations"]})
                    report = f"{name} {size}: {found.generate_report()}"
                    problems.extend([report] * bool(found.violations_count))

    look({"empty": PAGE})
    judged.units(75)
    job = learning_jobs.start(manager, world.plan)
    learning_jobs.work(job.pk, seconds=0)
    look({"at-work": PAGE})
    learning_jobs.run_to_end(job.pk, lambda now: None)
    version = ModelVersion.objects.get()
    client = Client()
    client.force_login(manager.user)
    client.post(f"{PAGE}1/decide/", {"act": "shadow"})
    live(judged, "A rather long name of a unit " + "unbroken" * 6)
    while learning_shadow.catch_up(version.pk):
        pass
    look({"page": PAGE, "version": f"{PAGE}1/", "labels": f"{PAGE}1/labels/"})
    assert not problems, "\n".join(problems)
