"""A unit without a plan gets one from whoever is there; later another only from managers."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from screen_world import Screens, make_plan

from inspection.models import Inspection, Plan, Run

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
ANY = ["operator", "reviewer", "manager"]


def page(world: Screens) -> str:
    return f"/inspections/{world.inspection.pk}/"


def send(world: Screens, who: str, **sent: str) -> HttpResponse:
    return world.client(who).post(f"{page(world)}rerun/", sent, follow=True)


def without_plan(world: Screens) -> Inspection:
    Inspection.objects.filter(pk=world.inspection.pk).update(plan=None, plan_version=None)
    return Inspection.objects.get(pk=world.inspection.pk)


def plan_now(world: Screens) -> Plan | None:
    return Inspection.objects.select_related("plan").get(pk=world.inspection.pk).plan


@pytest.mark.parametrize("who", ANY)
def test_a_unit_without_a_plan_is_given_one_by_anybody(screens: Screens, who: str) -> None:
    without_plan(screens)
    shown = screens.client(who).get(page(screens)).content.decode()
    assert '<option value="">Choose the plan</option><option value="lids">' in shown
    assert send(screens, who, plan="lids").status_code == 200
    assert plan_now(screens) == screens.plan
    run = Run.objects.get(inspection=screens.inspection, number=2)
    assert run.requested_by == screens.users[who]


@pytest.mark.parametrize("who", ["operator", "reviewer"])
def test_a_plan_that_is_there_is_only_changed_by_managers(screens: Screens, who: str) -> None:
    make_plan(screens.site, "tiles")
    assert "/rerun/" not in screens.client(who).get(page(screens)).content.decode()
    assert send(screens, who, plan="tiles").status_code == 403
    shown = screens.client("manager").get(page(screens)).content.decode()
    assert '<option value="lids" selected>' in shown
    assert '<option value="tiles">' in shown
    send(screens, "manager", plan="tiles")
    assert getattr(plan_now(screens), "key", "") == "tiles"


def test_the_plan_of_another_site_or_one_switched_off_is_not_taken(screens: Screens) -> None:
    make_plan(screens.elsewhere, "vaults")
    Plan.objects.filter(pk=make_plan(screens.site, "old").pk).update(is_active=False)
    without_plan(screens)
    for key in ("vaults", "old", "none", "\0"):
        assert send(screens, "manager", plan=key).status_code == 404
    shown = screens.client("manager").get(page(screens)).content.decode()
    assert "vaults" not in shown
    assert 'value="old"' not in shown
    assert not Run.objects.filter(inspection=screens.inspection, number=2).exists()


def test_the_units_own_plan_stays_though_it_was_switched_off(screens: Screens) -> None:
    Plan.objects.filter(pk=screens.plan.pk).update(is_active=False)
    make_plan(screens.site, "tiles")
    shown = screens.client("manager").get(page(screens)).content.decode()
    assert '<option value="lids" selected>' in shown
    send(screens, "manager", plan="lids")
    assert plan_now(screens) == screens.plan
    assert Run.objects.filter(inspection=screens.inspection, number=2).exists()


def test_an_operator_who_chose_none_is_asked_for_it(screens: Screens) -> None:
    without_plan(screens)
    assert "Choose the plan first." in send(screens, "operator").content.decode()
    assert not Run.objects.filter(inspection=screens.inspection, number=2).exists()


def test_a_run_under_way_keeps_its_plan_and_that_is_said(screens: Screens) -> None:
    without_plan(screens)
    Run.objects.filter(pk=screens.run.pk).update(status="running")
    assert "/rerun/" not in screens.client("operator").get(page(screens)).content.decode()
    answer = send(screens, "operator", plan="lids")
    assert "The models are still at work" in answer.content.decode()
    assert plan_now(screens) is None


def test_the_choice_appears_as_soon_as_the_run_is_over(screens: Screens) -> None:
    without_plan(screens)
    screens.inspection.tickets.all().delete()
    live = f"{page(screens)}live/"
    Run.objects.filter(pk=screens.run.pk).update(status="running")
    assert "inspection-head" not in screens.client("operator").get(live).content.decode()
    Run.objects.filter(pk=screens.run.pk).update(status="done")
    shown = screens.client("operator").get(live).content.decode()
    assert 'id="inspection-head" hx-swap-oob="true"' in shown
    assert 'name="plan"' in shown


def test_where_there_is_no_plan_at_all_nothing_is_offered(screens: Screens) -> None:
    without_plan(screens)
    Plan.objects.filter(site=screens.site).update(is_active=False)
    assert "/rerun/" not in screens.client("operator").get(page(screens)).content.decode()
