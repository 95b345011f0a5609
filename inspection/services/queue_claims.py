"""Taking reviews from the queue, giving them back and handing them over.

A task is had by one person at a time, by a lease that their page renews; the row says so, and rows
are chosen with SKIP LOCKED, so that people who ask at the same moment get different units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from inspection.models import Inspection, Membership, ReviewTask, User
from inspection.models.choices import ReviewReason, Role, TaskStatus
from inspection.selectors.queue import free_for, reviewers_of
from inspection.services import judging
from inspection.services.gold import next_gold
from inspection.services.queue import adopt, enqueue

PASSED_FOR = timedelta(minutes=15)
"""So long somebody isn't given again what they did not want."""
MOST_TRIES = 10
GONE = "This review is done already. Take the next one."


class QueueRefusedError(Exception):
    """It can't be taken or handed over; the message says why and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Which part of the queue somebody works on: by plan, by reason, or only what is theirs."""

    plan: str = ""
    reason: str = ""
    mine: bool = False

    @classmethod
    def parse(cls, query: dict[str, str]) -> Wanted:
        reason = query.get("reason", "")
        plan = query.get("plan", "")[:64].replace("\0", "")
        return cls(plan, reason if reason in ReviewReason.values else "", bool(query.get("mine")))

    def query(self, **changes: str | bool) -> str:
        """As the part of an address after the question mark; "queue" tells that it is a review."""
        values = {**vars(self), **changes}
        chosen = {name: "1" if value is True else value for name, value in values.items() if value}
        return urlencode({"queue": "1", **chosen})

    def narrow(self, rows: QuerySet[ReviewTask], user: User) -> QuerySet[ReviewTask]:
        if self.plan:
            rows = rows.filter(plan__key=self.plan)
        if self.reason:
            rows = rows.filter(reason=self.reason)
        return rows.filter(assigned_to=user) if self.mine else rows


def take_next(
    membership: Membership, wanted: Wanted, besides: Iterable[UUID] = ()
) -> ReviewTask | None:
    """Take what is worth most for this person: what is overdue, then what was handed to them, then
    by worth. ``besides``: tasks that they have already. None where nothing is left."""
    _must_review(membership)
    have = list(besides)
    found = _take_gold(membership, wanted, have) or _take(membership, wanted, have)
    if found is None and adopt(membership.site):
        found = _take(membership, wanted, have)
    return found


def _take(membership: Membership, wanted: Wanted, have: list[UUID]) -> ReviewTask | None:
    for _ in range(MOST_TRIES):
        task = _take_one(membership, wanted, have)
        if task is None:
            return None
        round = judging.round_of(task.inspection)
        if round is None or not judging.why_not(membership, round):
            return task
        release(membership, task, passed=True)
    return None


@transaction.atomic
def _take_one(membership: Membership, wanted: Wanted, have: list[UUID]) -> ReviewTask | None:
    now = timezone.now()
    rows = wanted.narrow(free_for(membership), membership.user).exclude(pk__in=have)
    busy: list[UUID] = []
    for part, order in (
        (Q(due_at__lt=now), "due_at"),
        (Q(assigned_to=membership.user), "-rank"),
        (Q(), "-rank"),
    ):
        for _ in range(MOST_TRIES):
            locked = rows.select_for_update(skip_locked=True, of=("self",), no_key=True)
            free = locked.filter(part).exclude(pk__in=busy).order_by(order)
            task: ReviewTask | None = free.first()
            if task is None:
                break
            if _is_alone(task):
                return _hold(task, membership.user)
            busy.append(task.pk)
    return None


def _is_alone(task: ReviewTask) -> bool:
    """Whether nobody is at another task of the same unit. By the unit's lock, which is not waited
    for: whoever holds it may be about to lock the task."""
    units = Inspection.objects.select_for_update(skip_locked=True, no_key=True).only("pk")
    if units.filter(pk=task.inspection_id).first() is None:
        return False
    others = ReviewTask.objects.filter(inspection=task.inspection_id, held_until__gt=timezone.now())
    return not others.exclude(pk=task.pk).filter(status=TaskStatus.OPEN).exists()


def _take_gold(membership: Membership, wanted: Wanted, have: list[UUID]) -> ReviewTask | None:
    """A unit whose answer is known, where it is its turn; it looks like any other."""
    unit = next_gold(membership) if not (wanted.reason or wanted.mine) else None
    if unit is None or (wanted.plan and (unit.plan is None or unit.plan.key != wanted.plan)):
        return None
    with transaction.atomic():
        task = enqueue(unit, ReviewReason.GOLD, assigned_to=membership.user)
        is_passed = task.passed_until is not None and task.passed_until > timezone.now()
        return None if task.pk in have or is_passed else _hold(task, membership.user)


def _hold(task: ReviewTask, user: User) -> ReviewTask:
    until = lease_end()
    ReviewTask.objects.filter(pk=task.pk).update(
        held_by=user, held_until=until, claim=F("claim") + 1
    )
    task.held_by, task.held_until = user, until
    return task


def lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.REVIEW_LEASE_SECONDS)


@transaction.atomic
def take(membership: Membership, task: ReviewTask) -> ReviewTask:
    """Take this one; refused while somebody else has it, or it is for somebody else."""
    locked = _locked(membership, task)
    user, until = membership.user, locked.held_until
    if locked.held_by_id not in (None, user.pk) and until is not None and until > timezone.now():
        raise QueueRefusedError(f"{locked.held_by} is reviewing it right now. Take another one.")
    if locked.assigned_to_id not in (None, user.pk) and not membership.allows(Role.MANAGER):
        raise QueueRefusedError(f"It was handed to {locked.assigned_to}. Take another one.")
    if locked.not_for_id == user.pk:
        raise QueueRefusedError("Your word on it is in. Somebody else has to look.")
    return _hold(locked, user)


def renew(membership: Membership, tasks: Iterable[UUID]) -> list[UUID]:
    """Prolong what this person has; tells which of them are still theirs. What ran out and nobody
    else took meanwhile is theirs still."""
    mine = ReviewTask.objects.for_site(membership.site).filter(
        pk__in=list(tasks), held_by=membership.user, status=TaskStatus.OPEN
    )
    ids = list(mine.values_list("pk", flat=True))
    mine.update(held_until=lease_end())
    return ids


def release(membership: Membership, task: ReviewTask, *, passed: bool = False) -> bool:
    """Give it back; ``passed``: and don't give it to this person again for a while."""
    values: dict[str, object] = {"held_by": None, "held_until": None}
    if passed:
        until = timezone.now() + PASSED_FOR
        values |= {"passed_by": membership.user, "passed_until": until}
    rows = ReviewTask.objects.for_site(membership.site).filter(pk=task.pk, status=TaskStatus.OPEN)
    holder = Q() if membership.allows(Role.MANAGER) and not passed else Q(held_by=membership.user)
    return bool(rows.filter(holder).update(**values))


@transaction.atomic
def hand_over(
    membership: Membership, task: ReviewTask, to: User | None, note: str = ""
) -> ReviewTask:
    """Let somebody of the site do it, or, without ``to``, anybody again. Reviewers hand over what
    is theirs or nobody's, managers everything."""
    locked = _locked(membership, task)
    user = membership.user
    owner = locked.assigned_to_id or (locked.held_by_id if _is_held(locked) else None)
    gave = locked.assigned_by_id == user.pk
    if owner not in (None, user.pk) and not gave and not membership.allows(Role.MANAGER):
        raise QueueRefusedError(f"It is with {locked.assigned_to or locked.held_by}. Ask them.")
    if to is not None and not reviewers_of(membership.site).filter(pk=to.pk).exists():
        raise QueueRefusedError("Choose somebody of this site who reviews.")
    if to is not None and to.pk == locked.not_for_id:
        raise QueueRefusedError(f"{to}'s word on it is in. Choose somebody else.")
    ReviewTask.objects.filter(pk=locked.pk).update(
        assigned_to=to,
        assigned_by=user if to else None,
        note=note.replace("\0", "").strip()[:500] if to else "",
        held_by=None,
        held_until=None,
    )
    locked.refresh_from_db()
    return locked


def set_due(membership: Membership, task: ReviewTask, due_at: datetime | None) -> None:
    """State until when it is to be done; only quality managers do."""
    if not membership.allows(Role.MANAGER):
        raise QueueRefusedError("Only quality managers set due times.")
    rows = ReviewTask.objects.for_site(membership.site).filter(pk=task.pk, status=TaskStatus.OPEN)
    if not rows.update(due_at=due_at):
        raise QueueRefusedError(GONE)


def _is_held(task: ReviewTask) -> bool:
    until = task.held_until
    return task.held_by_id is not None and until is not None and until > timezone.now()


def _must_review(membership: Membership) -> None:
    if not membership.allows(Role.REVIEWER):
        raise QueueRefusedError("Only reviewers judge. Ask an admin for the role.")


def _locked(membership: Membership, task: ReviewTask) -> ReviewTask:
    _must_review(membership)
    rows = ReviewTask.objects.for_site(membership.site).select_for_update(no_key=True)
    found: ReviewTask | None = rows.filter(pk=task.pk, status=TaskStatus.OPEN).first()
    if found is None:
        raise QueueRefusedError(GONE)
    return found
