"""After a decision the page looks out for what follows from it, until workers have acted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from screen_world import Screens, make_inspection

from inspection.models import ActionPlan, Inspection

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LOOKS_OUT = 'hx-trigger="every 3s"'


def page(world: Screens, unit: Inspection) -> str:
    return world.client("reviewer").get(f"/inspections/{unit.pk}/").content.decode()


def decided(world: Screens, ago: timedelta) -> Inspection:
    unit = make_inspection(world.site, world.plan)
    Inspection.objects.filter(pk=unit.pk).update(
        status="decided", decided_by=world.users["reviewer"], decided_at=timezone.now() - ago
    )
    return unit


def test_the_page_looks_out_until_the_decision_was_acted_on(screens: Screens) -> None:
    unit = decided(screens, timedelta(seconds=5))
    plan = ActionPlan.objects.create(
        site=unit.site,
        inspection=unit,
        run=unit.current_run,
        planned_at=timezone.now() - timedelta(seconds=9),
    )
    assert LOOKS_OUT in page(screens, unit)
    ActionPlan.objects.filter(pk=plan.pk).update(planned_at=timezone.now())
    assert LOOKS_OUT not in page(screens, unit)


def test_nothing_is_looked_out_for_without_a_fresh_decision(screens: Screens) -> None:
    assert LOOKS_OUT not in page(screens, make_inspection(screens.site, screens.plan))
    assert LOOKS_OUT not in page(screens, decided(screens, timedelta(minutes=3)))
