"""Triage with a dial: sound units pass by the thresholds, go to a person, or are drawn."""

from __future__ import annotations

import pytest
from pipeline_world import World, make_member, photo_bytes

from inspection.models import RiskDial, RiskGate
from inspection.models.choices import Role
from inspection.services import reviews
from inspection.services.runs import start_run
from models_runtime.risk.chances import ANY_DEFECT

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def dial(world: World, number: int = 1, check_share: float = 1e-9, **more: object) -> RiskDial:
    return RiskDial.objects.create(
        site=world.site, plan=world.plan, number=number, plan_version=world.plan.current,
        largest_escape=0.01, confidence=0.95, check_share=check_share,
        **({"is_on": True} | more),
    )  # fmt: skip


def sound(world: World, number: int = 0):
    return world.run(world.inspect(photo_bytes(square=None, size=(200, 150 + number))))


def chosen(world: World, number: int, limit: float, **more: object) -> RiskDial:
    """A dial with thresholds for the extractor that has answered."""
    engine = RiskGate.objects.latest("created_at").engine
    limits = {ANY_DEFECT: limit, "hole": limit}
    return dial(world, number, thresholds=limits, engines=[engine], **more)


def test_without_a_dial_or_with_it_off_triage_alone_decides(world: World) -> None:
    assert sound(world).status == "decided"
    dial(world, is_on=False)
    assert sound(world, 1).status == "decided"
    assert not RiskGate.objects.exists()


def test_without_thresholds_every_sound_unit_goes_to_a_person_and_is_drawn(world: World) -> None:
    dial(world)
    done = sound(world)
    gate = done.risk_gate
    assert (done.status, done.disposition, done.queue) == ("review", "accept", "review")
    assert "its labels are too few" in done.reasons[-1]
    assert (gate.is_eligible, gate.is_below, gate.is_drawn, gate.is_asked) == (
        True, False, True, False,
    )  # fmt: skip
    assert set(gate.chances) == {ANY_DEFECT, "hole"}
    assert gate.chances[ANY_DEFECT] == pytest.approx(done.defect_probability)


def test_a_unit_below_the_thresholds_passes_one_over_them_does_not(world: World) -> None:
    dial(world)
    sound(world)
    chosen(world, 2, 1.01)
    passed = sound(world, 1)
    assert (passed.status, passed.risk_gate.is_below, passed.risk_gate.is_drawn) == (
        "decided", True, False,
    )  # fmt: skip
    chosen(world, 3, 1e-6)
    held = sound(world, 2)
    assert (held.status, held.risk_gate.is_below) == ("review", False)
    assert "the risk dial lets pass below" in held.reasons[-1]


def test_a_drawn_unit_is_marked_and_goes_to_a_person(world: World) -> None:
    dial(world)
    sound(world)
    chosen(world, 2, 1.01, check_share=1.0)
    done = sound(world, 1)
    assert (done.status, done.risk_gate.is_below, done.risk_gate.is_drawn) == ("review", True, True)
    assert done.reasons[-1] == "drawn at random to check what passes without a person"


def test_a_defective_unit_goes_as_triage_says(world: World) -> None:
    dial(world)
    done = world.run(world.inspect(photo_bytes()))
    assert (done.status, done.disposition) == ("decided", "rework")
    assert (done.risk_gate.is_eligible, done.risk_gate.is_drawn) == (False, False)


def test_the_verdict_of_a_drawn_unit_becomes_a_label_and_a_rerun_keeps_it(world: World) -> None:
    dial(world)
    done = sound(world)
    reviewer = make_member(world.site, Role.REVIEWER)
    reviews.decide(reviewer, done, "reject", "k")
    start_run(done, None)
    again = world.run(done)
    assert (again.status, again.disposition) == ("decided", "reject")
    assert again.risk_gate.is_drawn
    assert RiskGate.objects.count() == 1


def test_a_unit_judged_for_another_reason_does_not_become_a_label(world: World) -> None:
    done = sound(world)
    reviews.decide(make_member(world.site, Role.REVIEWER), done, "reject", "k")
    dial(world)
    start_run(done, None)
    again = world.run(done)
    assert again.risk_gate.is_eligible
    assert not again.risk_gate.is_drawn
