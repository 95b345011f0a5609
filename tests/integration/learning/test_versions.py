"""A version goes live by a manager's word, judges new runs, and can be taken back."""

from __future__ import annotations

import pytest
from learning_world import Eyes, Judged, live_version
from pipeline_world import World, make_member, photo_bytes

from inspection.models import (
    Inspection,
    Membership,
    ModelVersion,
    Review,
    ShadowResult,
    Site,
    Ticket,
)
from inspection.models.choices import Role
from inspection.pipeline.learned import delta_of, ref_of
from inspection.services import learning_jobs, learning_shadow, learning_versions
from inspection.services.learning_jobs import LearningRefusedError
from inspection.services.runs import start_run
from models_runtime.errors import FatalError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
DIRT, HOLE = (10, 40, 60, 90), (140, 40, 190, 90)


@pytest.fixture
def offered(world: World, eyes: Eyes, judged: Judged, manager: Membership) -> ModelVersion:
    judged.units(75)
    job = learning_jobs.start(manager, world.plan)
    version = learning_jobs.run_to_end(job.pk, lambda now: None).version
    assert version is not None
    return version


def inspected(world: World, square: tuple[int, ...] = DIRT) -> Inspection:
    return world.run(world.inspect(photo_bytes(square)))


def engine_of(unit: Inspection) -> str:
    return unit.current_run.steps.get(step="extract").engine_version


def test_accepted_it_judges_new_units_and_rolled_back_it_does_not(
    world: World, manager: Membership, offered: ModelVersion
) -> None:
    before = inspected(world)
    assert (before.disposition, engine_of(before)) == ("rework", "1")
    learning_versions.accept(manager, offered)
    assert (offered.status, offered.decided_by) == ("live", manager.user)
    after = inspected(world, (12, 41, 62, 91))
    assert after.disposition == "accept"
    assert engine_of(after) == f"1+site-1.{offered.digest[:8]}"
    assert after.current_run.learned == offered
    assert inspected(world, HOLE).disposition == "rework"
    assert learning_versions.roll_back(manager, offered) is None
    again = inspected(world, (14, 42, 64, 92))
    assert (again.disposition, again.current_run.learned, engine_of(again)) == ("rework", None, "1")
    assert offered.status == "rolled_back"


def test_verdicts_stay_when_a_new_version_looks_again(
    world: World, judged: Judged, manager: Membership, offered: ModelVersion
) -> None:
    unit = Inspection.objects.filter(disposition="rework", status="decided").first()
    assert unit is not None
    said = list(Review.objects.order_by("pk").values())
    learning_versions.accept(manager, offered)
    start_run(unit, None)
    again = world.run(unit)
    assert (again.status, again.disposition) == ("decided", "rework")
    assert again.decided_by == judged.reviewer.user
    assert list(Review.objects.order_by("pk").values()) == said


def test_the_next_version_is_compared_with_the_live_one_and_rolls_back_to_it(
    world: World, judged: Judged, manager: Membership, offered: ModelVersion
) -> None:
    learning_versions.accept(manager, offered)
    judged.units(12)
    job = learning_jobs.start(manager, world.plan)
    second = learning_jobs.run_to_end(job.pk, lambda now: None).version
    assert second is not None
    assert (second.number, second.against) == (2, offered)
    held = second.figures["parts"]["held"]
    assert held["old"]["accuracy"]["mean"] > 0.9
    learning_versions.accept(manager, second)
    offered.refresh_from_db()
    assert offered.status == "retired"
    assert learning_versions.roll_back(manager, second) == offered
    assert live_version(world.plan) == offered


def test_two_managers_who_decide_at_once_get_one_answer(
    world: World, manager: Membership, offered: ModelVersion
) -> None:
    other = make_member(world.site, Role.MANAGER)
    stale = ModelVersion.objects.get(pk=offered.pk)
    learning_versions.accept(manager, offered)
    with pytest.raises(LearningRefusedError, match="Only a version that is offered"):
        learning_versions.accept(other, stale)
    learning_versions.roll_back(other, stale)
    with pytest.raises(LearningRefusedError, match="not live any more"):
        learning_versions.roll_back(manager, offered)


def test_a_version_compared_with_something_else_than_is_live_is_refused(
    world: World, manager: Membership, offered: ModelVersion
) -> None:
    job = learning_jobs.start(manager, world.plan)
    second = learning_jobs.run_to_end(job.pk, lambda now: None).version
    assert second is not None
    learning_versions.accept(manager, offered)
    with pytest.raises(LearningRefusedError, match="Start learning again"):
        learning_versions.accept(manager, second)


def test_nobody_else_decides(world: World, offered: ModelVersion) -> None:
    reviewer = make_member(world.site, Role.REVIEWER)
    stranger = make_member(Site.objects.create(name="Other", slug="other"), Role.ADMIN)
    for act in (learning_versions.accept, learning_versions.decline, learning_versions.roll_back):
        with pytest.raises(LearningRefusedError, match="quality managers"):
            act(reviewer, offered)
        with pytest.raises(LearningRefusedError, match="another site"):
            act(stranger, offered)
    assert live_version(offered.plan) is None


def test_each_decision_is_in_the_audit_trail(manager: Membership, offered: ModelVersion) -> None:
    from inspection.models.learning import ModelVersion as Audited

    learning_versions.accept(manager, offered)
    learning_versions.roll_back(manager, offered)
    trail = Audited.pgh_event_model.objects.filter(pgh_obj_id=offered.pk)  # type: ignore[attr-defined]
    told = list(trail.order_by("pgh_id").values_list("status", flat=True))
    assert [s for n, s in enumerate(told) if n == 0 or told[n - 1] != s] == [
        "offered", "live", "rolled_back",
    ]  # fmt: skip


def test_files_that_were_changed_are_not_used(offered: ModelVersion) -> None:
    from inspection.services.intake import put

    put(offered.plain_key, b"{}")
    delta_of.cache_clear()
    with pytest.raises(FatalError, match="roll it back"):
        delta_of(ref_of(offered))


def test_a_version_for_another_catalogue_does_not_judge(
    world: World, manager: Membership, offered: ModelVersion
) -> None:
    from pipeline_world import PLAN, set_plan

    learning_versions.accept(manager, offered)
    set_plan(world.plan, PLAN | {"defects": [{"key": "hole", "name": "Burnt hole"}]})
    done = inspected(world)
    assert (done.current_run.learned, engine_of(done)) == (None, "1")


def shadowed(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> list[ShadowResult]:
    from datetime import timedelta

    monkeypatch.setattr(learning_shadow, "GRACE", timedelta(seconds=-5))
    while learning_shadow.catch_up(version.pk):
        pass
    return list(ShadowResult.objects.order_by("created_at"))


def test_in_the_shadow_it_sees_live_units_and_changes_nothing(
    world: World, manager: Membership, offered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning_versions.shadow(manager, offered, on=True)
    unit = inspected(world)
    before = Inspection.objects.filter(pk=unit.pk).values().get()
    findings, tickets = list(unit.findings.values()), Ticket.objects.count()
    (seen,) = shadowed(offered, monkeypatch)
    assert seen.error == ""
    assert (seen.live["disposition"], seen.shadow["disposition"]) == ("rework", "accept")
    assert Inspection.objects.filter(pk=unit.pk).values().get() == before
    assert list(unit.findings.values()) == findings
    assert Ticket.objects.count() == tickets
    assert unit.current_run.learned is None
    assert len(shadowed(offered, monkeypatch)) == 1, "each run is looked at once"


def test_what_fails_in_the_shadow_is_written_down_there_only(
    world: World, manager: Membership, offered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning_versions.shadow(manager, offered, on=True)
    from inspection.services.intake import put

    put(offered.plain_key, b"broken")
    delta_of.cache_clear()
    unit = inspected(world)
    (seen,) = shadowed(offered, monkeypatch)
    assert "roll it back" in seen.error
    unit.refresh_from_db()
    assert (unit.status, unit.disposition, unit.message) == ("decided", "rework", "")


def test_shadow_mode_ends(
    world: World, manager: Membership, offered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning_versions.shadow(manager, offered, on=True)
    learning_versions.shadow(manager, offered, on=False)
    inspected(world)
    assert learning_shadow.due_versions() == []
    assert shadowed(offered, monkeypatch) == []
