"""Units in the queue of reviews: why, in which order, by whom, and how they leave it."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from screen_world import Screens, make_inspection, make_plan, make_screens

from inspection.models import Inspection, Membership, ReviewTask, User
from inspection.models.choices import ReviewReason, Role
from inspection.services import queue, queue_claims, reviews
from inspection.services.queue_claims import QueueRefusedError, Wanted
from inspection.services.queue_reasons import Worth

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
ALL = Wanted()


@pytest.fixture(autouse=True)
def nobody_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def waiting(world: Screens, reference: str, risk: float = 0.5, days: float = 0.0) -> ReviewTask:
    unit = make_inspection(world.site, world.plan, reference=reference)
    worth = Worth(risk, 0.5)
    task = queue.enqueue(unit, ReviewReason.LOW_CONFIDENCE, worth=worth)
    since = timezone.now() - timedelta(days=days)
    due = timezone.now() + timedelta(days=30)
    ReviewTask.objects.filter(pk=task.pk).update(waits_since=since, due_at=due)
    return task


def colleague(world: Screens, role: Role = Role.REVIEWER) -> Membership:
    user = User.objects.create(username=f"other-{uuid.uuid4().hex[:6]}")
    return Membership.objects.create(site=world.site, user=user, role=role)


def taken(member: Membership, wanted: Wanted = ALL) -> list[str]:
    """The references that somebody gets, one after the other, until nothing is left."""
    have: list[ReviewTask] = []
    while task := queue_claims.take_next(member, wanted, [one.pk for one in have]):
        have.append(task)
    return [task.inspection.reference for task in have]


@pytest.fixture
def empty(screens: Screens) -> Screens:
    """A site whose own unit does not wait."""
    Inspection.objects.filter(pk=screens.inspection.pk).update(status="decided")
    return screens


def test_the_order_is_what_a_review_is_worth(empty: Screens) -> None:
    """0.2 × 2³ = 1.6 is more than 1.0 × 2⁰, which is more than 0.4 × 2¹ = 0.8."""
    waiting(empty, "new and severe", risk=1.0)
    waiting(empty, "old", risk=0.2, days=3)
    waiting(empty, "of yesterday", risk=0.4, days=1)
    got = taken(empty.memberships["reviewer"])
    assert got == ["old", "new and severe", "of yesterday"]


def test_the_order_comes_from_an_index(empty: Screens) -> None:
    rows = ReviewTask.objects.filter(site=empty.site, status="open").order_by("-rank")[:1]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = rows.explain()
    assert "task_worth" in plan
    assert "Sort" not in plan


def test_what_is_overdue_comes_first_and_then_what_was_handed_over(empty: Screens) -> None:
    waiting(empty, "worth most", risk=1.0)
    mine = waiting(empty, "handed over", risk=0.1)
    late = waiting(empty, "late", risk=0.05)
    ReviewTask.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(minutes=1))
    member = empty.memberships["reviewer"]
    queue_claims.hand_over(empty.memberships["manager"], mine, member.user, "You know these")
    assert taken(member) == ["late", "handed over", "worth most"]


def test_what_was_handed_to_somebody_is_for_nobody_else(empty: Screens) -> None:
    task, other = waiting(empty, "one"), colleague(empty)
    queue_claims.hand_over(empty.memberships["reviewer"], task, other.user)
    assert taken(empty.memberships["reviewer"]) == []
    assert taken(other) == ["one"]


def test_parts_of_the_queue(empty: Screens) -> None:
    waiting(empty, "lid")
    plan = make_plan(empty.site, "boxes")
    unit = make_inspection(empty.site, plan, reference="box")
    queue.enqueue(unit, ReviewReason.DISPUTE)
    member = empty.memberships["reviewer"]
    for wanted in (Wanted(plan="boxes"), Wanted(reason="dispute")):
        assert taken(member, wanted) == ["box"]
        ReviewTask.objects.update(held_by=None, held_until=None)
    assert taken(member, Wanted(plan="lids", reason="dispute")) == []
    assert taken(member, Wanted(mine=True)) == []


def test_a_lease_that_ran_out_frees_the_unit_and_a_heartbeat_keeps_it(empty: Screens) -> None:
    task, other = waiting(empty, "one"), colleague(empty)
    member = empty.memberships["reviewer"]
    assert taken(member) == ["one"]
    assert taken(other) == []
    before = ReviewTask.objects.get(pk=task.pk).held_until
    assert queue_claims.renew(member, [task.pk]) == [task.pk]
    assert ReviewTask.objects.get(pk=task.pk).held_until > before
    assert queue_claims.renew(other, [task.pk]) == []
    ReviewTask.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    assert taken(other) == ["one"]
    assert queue_claims.renew(member, [task.pk]) == []


def test_what_somebody_passed_over_goes_to_others_first(empty: Screens) -> None:
    task, other = waiting(empty, "one"), colleague(empty)
    member = empty.memberships["reviewer"]
    assert taken(member) == ["one"]
    assert queue_claims.release(member, task, passed=True)
    assert taken(member) == []
    assert taken(other) == ["one"]


def test_a_decision_ends_the_task(empty: Screens) -> None:
    task = waiting(empty, "one")
    reviews.decide(empty.memberships["reviewer"], task.inspection, "accept", "k1")
    task.refresh_from_db()
    assert (task.status, task.done_by) == ("done", empty.users["reviewer"])
    assert task.settled_with.after["disposition"] == "accept"
    assert taken(colleague(empty)) == []


def test_the_same_reason_twice_is_one_task(empty: Screens) -> None:
    task = waiting(empty, "one")
    again = queue.enqueue(task.inspection, ReviewReason.SEVERITY)
    assert again.pk == task.pk
    assert again.reason == "severity"
    dispute = queue.enqueue(task.inspection, ReviewReason.DISPUTE, note="The seller says no")
    assert dispute.pk != task.pk
    assert queue.enqueue(task.inspection, ReviewReason.DISPUTE).note == "The seller says no"


def test_units_that_came_before_the_queue_are_found(screens: Screens) -> None:
    assert not ReviewTask.objects.exists()
    assert taken(screens.memberships["reviewer"]) == [screens.inspection.reference]
    assert queue.adopt() == 0


def test_who_may_not(empty: Screens) -> None:
    task = waiting(empty, "one")
    stranger, member = empty.stranger.memberships.get(), empty.memberships["reviewer"]
    assert taken(stranger) == []
    with pytest.raises(QueueRefusedError, match="Only reviewers"):
        queue_claims.take_next(empty.memberships["operator"], ALL)
    with pytest.raises(QueueRefusedError, match="done already"):
        queue_claims.take(stranger, task)
    with pytest.raises(QueueRefusedError, match="of this site who reviews"):
        queue_claims.hand_over(member, task, stranger.user)
    with pytest.raises(QueueRefusedError, match="of this site who reviews"):
        queue_claims.hand_over(member, task, empty.users["operator"])
    with pytest.raises(QueueRefusedError, match="Only quality managers"):
        queue_claims.set_due(member, task, timezone.now())
    assert not queue_claims.release(stranger, task)


def test_nobody_takes_or_gives_away_what_a_colleague_is_at(empty: Screens) -> None:
    task, other = waiting(empty, "one"), colleague(empty)
    queue_claims.take(empty.memberships["reviewer"], task)
    with pytest.raises(QueueRefusedError, match="reviewing it right now"):
        queue_claims.take(other, task)
    with pytest.raises(QueueRefusedError, match="Ask them"):
        queue_claims.hand_over(other, task, other.user)
    assert not queue_claims.release(other, task)
    queue_claims.hand_over(empty.memberships["manager"], task, other.user)
    assert taken(other) == ["one"]


def test_while_the_models_look_again_nobody_is_given_the_unit(empty: Screens) -> None:
    task = waiting(empty, "one")
    queue_claims.hand_over(empty.memberships["manager"], task, empty.users["reviewer"], "yours")
    queue.pause(task.inspection)
    assert taken(empty.memberships["reviewer"]) == []
    queue.after_triage(task.inspection)
    task.refresh_from_db()
    assert (task.status, task.assigned_to, task.note) == ("open", empty.users["reviewer"], "yours")
    Inspection.objects.filter(pk=task.inspection_id).update(status="decided")
    task.inspection.refresh_from_db(fields=["status"])
    queue.after_triage(task.inspection)
    assert taken(empty.memberships["reviewer"]) == []


@pytest.mark.django_db(transaction=True)
def test_twelve_people_at_once_get_twelve_units() -> None:
    """Real transactions in threads of their own."""
    world = make_screens()
    Inspection.objects.filter(pk=world.inspection.pk).update(status="decided")
    for number in range(12):
        waiting(world, f"unit {number}")
    people = [colleague(world) for _ in range(12)]
    got: list[tuple[uuid.UUID, int]] = []
    start = threading.Barrier(12)

    def ask(member: Membership) -> None:
        try:
            start.wait()
            while task := queue_claims.take_next(member, ALL, []):
                got.append((task.pk, member.user_id))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=[member]) for member in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({task for task, _ in got}) == 12
    holders = dict(ReviewTask.objects.values_list("pk", "held_by"))
    assert all(holders[task] == user for task, user in got)
