"""A re-run replaces what the model said, and nothing that a person said."""

from __future__ import annotations

import pytest
from pipeline_world import PLAN, make_member, photo_bytes, set_plan

from inspection.models import Finding, Inspection, Review
from inspection.models.choices import FindingStatus, Role
from inspection.selectors.findings import current_findings
from inspection.services.inspections import start_run

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def verdict(world, finding, kind="confirm_finding", **changes):
    """A person's word on a finding, as the review service writes it."""
    reviewer = make_member(world.site, Role.REVIEWER)
    Review.objects.create(
        site=world.site,
        inspection=finding.inspection,
        finding=finding,
        reviewer=reviewer.user,
        kind=kind,
        client_key=str(finding.pk),
    )
    Finding.objects.filter(pk=finding.pk).update(**changes)


def again(world, inspection):
    start_run(inspection, None)
    return world.run(inspection)


def test_a_defect_seen_again_keeps_its_identity(world):
    first = world.run(world.inspect(photo_bytes()))
    before = first.findings.get()
    second = again(world, first)
    after = second.findings.get()
    assert second.current_run.number == 2
    assert (after.identity, after.run) == (before.identity, second.current_run)
    assert after.mask_counts == before.mask_counts


def test_a_defect_the_model_no_longer_sees_goes(world):
    first = world.run(world.inspect(photo_bytes()))
    set_plan(world.plan, {"name": "Lids", "defects": []})
    second = again(world, first)
    assert not second.findings.exists()
    assert second.disposition == "accept"
    assert second.plan_version == world.plan.versions.get(number=2)


def test_a_rejected_finding_does_not_come_back(world):
    first = world.run(world.inspect(photo_bytes()))
    verdict(world, first.findings.get(), "reject_finding", status=FindingStatus.REJECTED)
    second = again(world, first)
    assert second.findings.get().status == FindingStatus.REJECTED
    assert second.disposition == "accept"


def test_type_and_severity_by_a_person_stay(world):
    first = world.run(world.inspect(photo_bytes()))
    verdict(
        world,
        first.findings.get(),
        "change_finding",
        status=FindingStatus.CONFIRMED,
        type="scratch",
        severity="critical",
        model_type="hole",
    )
    second = again(world, first)
    finding = second.findings.get()
    assert (finding.type, finding.severity, finding.status) == ("scratch", "critical", "confirmed")
    assert (finding.model_type, finding.model_severity) == ("hole", "major")
    assert second.disposition == "reject"


def test_a_confirmed_finding_stays_although_the_model_no_longer_sees_it(world):
    first = world.run(world.inspect(photo_bytes()))
    verdict(world, first.findings.get(), status=FindingStatus.CONFIRMED)
    set_plan(world.plan, {"name": "Lids", "defects": []})
    second = again(world, first)
    assert second.findings.get().status == FindingStatus.CONFIRMED
    assert second.disposition == "rework"


def test_a_persons_disposition_stands_throughout_the_re_run(world):
    first = world.run(world.inspect(photo_bytes()))
    person = make_member(world.site, Role.REVIEWER).user
    Inspection.objects.filter(pk=first.pk).update(
        status="decided", disposition="accept", decided_by=person
    )
    first.refresh_from_db()
    start_run(first, None)
    assert Inspection.objects.get(pk=first.pk).status == "decided"
    second = world.run(first)
    assert (second.status, second.disposition, second.decided_by) == ("decided", "accept", person)
    assert second.current_run.status == "done"


def test_a_failing_re_run_does_not_take_a_persons_decision_away(world, monkeypatch):
    from inspection.pipeline import extract
    from models_runtime.errors import FatalError

    first = world.run(world.inspect(photo_bytes()))
    person = make_member(world.site, Role.REVIEWER).user
    Inspection.objects.filter(pk=first.pk).update(decided_by=person)

    def broken(engines, plan, photos):
        raise FatalError("no weights")

    monkeypatch.setattr(extract, "_extract", broken)
    first.refresh_from_db()
    second = again(world, first)
    assert second.runs.get(number=2).status == "failed"
    assert (second.status, second.disposition) == ("decided", "rework")
    assert "Looking again failed" in second.message
    assert second.current_run.number == 1
    assert current_findings(second)


def test_asking_twice_for_a_re_run_starts_one(world):
    first = world.run(world.inspect(photo_bytes()))
    assert start_run(first, None).pk == start_run(first, None).pk
    assert first.runs.count() == 2


def test_a_re_run_can_put_another_plan_in_place(world):
    from pipeline_world import make_plan

    first = world.run(world.inspect(photo_bytes()))
    other = make_plan(
        world.site, PLAN | {"name": "Caps", "defects": [{"key": "gap", "name": "Gap"}]}, "caps"
    )
    start_run(first, None, plan=other)
    second = world.run(first)
    assert second.plan == other
    assert second.findings.get().type == "gap"
