"""Taking verdicts back: a verdict of its own that restores what was, and says what it can't."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone
from screen_world import Screens

from inspection.actions import act
from inspection.models import (
    ActionPlan,
    ActionStep,
    Inspection,
    Membership,
    Review,
    RiskDial,
    RiskGate,
    Ticket,
    User,
)
from inspection.selectors.risk import waiting_labels
from inspection.services import queue, queue_claims, reviews, undo
from inspection.services.queue_claims import Wanted
from inspection.services.refusals import ReviewRefusedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def nobody_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def key() -> str:
    return uuid.uuid4().hex


def test_a_finding_is_again_what_it_was_and_both_rows_stay(screens: Screens) -> None:
    member, finding, of = screens.memberships["reviewer"], screens.findings[0], key()
    reviews.change_finding(member, finding, of, type="scratch", severity="critical")
    undo.undo(member, screens.inspection, of, key())
    finding.refresh_from_db()
    assert (finding.type, finding.severity, finding.status) == ("dent", "major", "open")
    assert list(Review.objects.values_list("kind", flat=True)) == ["change_finding", "undo"]
    screens.inspection.refresh_from_db()
    assert screens.inspection.severity == "major"


def test_each_of_several_verdicts_is_taken_back_in_turn(screens: Screens) -> None:
    member, finding = screens.memberships["reviewer"], screens.findings[0]
    first, second = key(), key()
    reviews.confirm_finding(member, finding, first)
    reviews.change_finding(member, finding, second, severity="minor")
    with pytest.raises(ReviewRefusedError, match="judged it since"):
        undo.undo(member, screens.inspection, first, key())
    undo.undo(member, screens.inspection, second, key())
    finding.refresh_from_db()
    assert (finding.status, finding.severity) == ("confirmed", "major")
    undo.undo(member, screens.inspection, first, key())
    finding.refresh_from_db()
    assert finding.status == "open"


def test_an_undone_decision_waits_for_the_same_person_again(screens: Screens) -> None:
    member, of = screens.memberships["reviewer"], key()
    task = queue_claims.take_next(member, Wanted())
    assert task is not None
    reviews.decide(member, screens.inspection, "accept", of)
    done = undo.undo(member, screens.inspection, of, key())
    assert done.note == ""
    unit = Inspection.objects.get(pk=screens.inspection.pk)
    assert (unit.status, unit.disposition, unit.decided_by, unit.decided_at) == (
        "review", "rework", None, None,
    )  # fmt: skip
    task.refresh_from_db()
    assert (task.status, task.held_by, task.settled_with) == ("open", member.user, None)


def test_undo_of_a_second_decision_brings_the_first_one_back(screens: Screens) -> None:
    member, first, second = screens.memberships["reviewer"], key(), key()
    manager = screens.memberships["manager"]
    reviews.decide(member, screens.inspection, "accept", first)
    reviews.decide(manager, screens.inspection, "reject", second)
    undo.undo(manager, screens.inspection, second, key())
    unit = Inspection.objects.get(pk=screens.inspection.pk)
    assert (unit.status, unit.disposition, unit.decided_by) == ("decided", "accept", member.user)


def test_the_same_request_twice_is_one_undo(screens: Screens) -> None:
    member, of, again = screens.memberships["reviewer"], key(), key()
    reviews.decide(member, screens.inspection, "accept", of)
    one = undo.undo(member, screens.inspection, of, again)
    two = undo.undo(member, screens.inspection, of, again)
    assert one.review.pk == two.review.pk
    with pytest.raises(ReviewRefusedError, match="already"):
        undo.undo(member, screens.inspection, of, key())


def test_what_others_said_and_what_is_older_stays(screens: Screens) -> None:
    member, of = screens.memberships["reviewer"], key()
    reviews.decide(member, screens.inspection, "accept", of)
    other = Membership.objects.create(
        site=screens.site, user=User.objects.create(username="other"), role="manager"
    )
    with pytest.raises(ReviewRefusedError, match="Only the one who gave"):
        undo.undo(other, screens.inspection, of, key())
    reviews.decide(other, screens.inspection, "reject", key())
    with pytest.raises(ReviewRefusedError, match="judged it since"):
        undo.undo(member, screens.inspection, of, key())
    for stranger in (screens.stranger.memberships.get(), screens.memberships["operator"]):
        with pytest.raises(ReviewRefusedError):
            undo.undo(stranger, screens.inspection, of, key())
    with pytest.raises(ReviewRefusedError, match="no such verdict"):
        undo.undo(member, screens.inspection, "never sent", key())


def test_actions_that_wait_are_called_off_and_tickets_that_went_are_named(
    screens: Screens,
) -> None:
    member, of = screens.memberships["reviewer"], key()
    Ticket.objects.all().delete()
    reviews.decide(member, screens.inspection, "reject", of)
    plan = ActionPlan.objects.get(inspection=screens.inspection)
    ActionPlan.objects.filter(pk=plan.pk).update(planned_at=timezone.now())
    finding, connector = screens.findings[0], screens.extra["connector"]
    Ticket.objects.create(
        site=screens.site, inspection=screens.inspection, finding=finding, title="Dent",
        connector=connector, finding_identity=finding.identity,
    )  # fmt: skip
    done = undo.undo(member, screens.inspection, of, key())
    assert done.note.startswith("A ticket has gone to Tickets already and can't be called back")
    assert ActionStep.objects.get(action_plan=plan).status == "cancelled"
    unit = act._loaded(screens.inspection.pk)
    assert not act.calls_for_action(unit)


def test_a_decision_taken_back_is_no_label_of_the_risk_dial(screens: Screens) -> None:
    dial = RiskDial.objects.create(
        site=screens.site, plan=screens.plan, number=1, plan_version=screens.plan.current,
        is_on=True, largest_escape=0.01, confidence=0.95, check_share=0.1,
    )  # fmt: skip
    RiskGate.objects.create(
        site=screens.site, plan=screens.plan, dial=dial, inspection=screens.inspection,
        chances={}, engine="e", is_asked=False, is_eligible=True, is_below=True, is_drawn=True,
    )  # fmt: skip
    member, of = screens.memberships["reviewer"], key()
    reviews.decide(member, screens.inspection, "accept", of)
    assert waiting_labels(screens.plan) == 0
    undo.undo(member, screens.inspection, of, key())
    assert waiting_labels(screens.plan) == 1


def test_a_unit_with_two_tasks_goes_to_one_person(screens: Screens) -> None:
    queue.enqueue(screens.inspection, queue.ReviewReason.DISPUTE)
    queue.adopt()
    assert queue_claims.take_next(screens.memberships["reviewer"], Wanted()) is not None
    assert queue_claims.take_next(screens.memberships["manager"], Wanted()) is None
