"""What findings mean by the plan's policy: the rule of triage; nothing where they say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from screen_world import SPEC, Screens, make_inspection

from inspection.models import Finding, Inspection, PlanVersion, User
from inspection.selectors.evidence import gather

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def suggested(world: Screens, policy: dict[str, str] | None = None) -> str:
    unit = Inspection.objects.select_related("plan_version", "current_run").get(
        pk=world.inspection.pk
    )
    if policy:
        unit.plan_version.spec = SPEC | {"policy": policy}
    return gather(unit, User()).suggested


def change(world: Screens, **values: Any) -> None:
    Inspection.objects.filter(pk=world.inspection.pk).update(**values)


def test_the_worst_finding_in_force_counts(screens: Screens) -> None:
    assert suggested(screens) == "rework"
    Finding.objects.filter(pk=screens.findings[0].pk).update(severity="critical")
    assert suggested(screens) == "reject"


def test_rejected_findings_mean_accept(screens: Screens) -> None:
    Finding.objects.filter(inspection=screens.inspection).update(status="rejected")
    assert suggested(screens) == "accept"
    shown = screens.client("reviewer").get(f"/inspections/{screens.inspection.pk}/")
    assert "these findings mean <b>accept</b>" in shown.content.decode()


def test_without_any_finding_nothing_is_said(screens: Screens) -> None:
    screens.inspection = make_inspection(screens.site, screens.plan, findings=0)
    assert suggested(screens) == ""
    shown = screens.client("reviewer").get(f"/inspections/{screens.inspection.pk}/")
    assert "By the plan" not in shown.content.decode()


@pytest.mark.parametrize("state", [{"abstained": True}, {"status": "failed"}])
def test_a_unit_that_could_not_be_judged_is_not_said_to_be_good(
    screens: Screens, state: dict[str, Any]
) -> None:
    Finding.objects.filter(inspection=screens.inspection).update(status="rejected")
    change(screens, **state)
    assert suggested(screens) == ""


def test_it_is_the_rule_of_triage(screens: Screens) -> None:
    """A policy kinder to major than to minor is read as equally strict; small ones are let be."""
    assert suggested(screens, {"minor": "reject", "major": "accept"}) == "reject"
    spec = {**SPEC, "defects": [{**entry, "max_area_mm2": 9} for entry in SPEC["defects"]]}
    version = PlanVersion.objects.create(
        site=screens.site, plan=screens.plan, number=2, spec=spec | {"mm_per_px": 0.1}
    )
    change(screens, plan_version=version)
    Finding.objects.filter(inspection=screens.inspection).update(area_mm2=6)
    assert suggested(screens) == "accept"
