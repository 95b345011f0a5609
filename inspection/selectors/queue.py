"""Reads of the queue of reviews, always of one site.

Order and counts come from partial indexes of open tasks, so that they take as long as there are
reviews to be done, however many units the site has inspected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from inspection.models import (
    Inspection,
    Judgement,
    Membership,
    Photo,
    ReviewTask,
    Round,
    Site,
    User,
)
from inspection.models.choices import ReviewReason, Role, RoundState, TaskStatus
from inspection.models.queue import DOUBLES_AFTER_S

MOST_ROWS = 50
REVIEWING = (Role.REVIEWER, Role.MANAGER, Role.ADMIN)
LIGHT = ("embedding", "search", "note", "reasons", "message", "summary")


@dataclass(frozen=True)
class QueueRow:
    """Tasks of one plan and reason that wait: how many, since when, and how many are overdue."""

    plan_key: str
    plan_name: str
    reason: ReviewReason
    count: int
    oldest: datetime
    overdue: int

    @property
    def label(self) -> str:
        return str(self.reason.label)


@dataclass(frozen=True)
class TaskRow:
    """A task as the page shows it. ``worth`` is risk × uncertainty × 2^(days waited)."""

    task: ReviewTask
    worth: float
    is_overdue: bool
    is_held: bool

    @property
    def reason(self) -> str:
        return shown_reason(self.task).label


@dataclass
class Overview:
    queues: list[QueueRow]
    rows: list[TaskRow]
    mine: list[TaskRow]
    held: list[TaskRow]
    waiting: int = 0
    overdue: int = 0
    oldest: datetime | None = None
    reviewers: list[User] = field(default_factory=list)


def shown_reason(task: ReviewTask) -> ReviewReason:
    """A unit whose answer is known must look like any other one."""
    reason = ReviewReason(task.reason)
    return ReviewReason.LOW_CONFIDENCE if reason is ReviewReason.GOLD else reason


def open_tasks(site: Site) -> QuerySet[ReviewTask]:
    """What waits for a person; without gold units, which are given out by a draw of their own."""
    rows: QuerySet[ReviewTask] = ReviewTask.objects.for_site(site).filter(status=TaskStatus.OPEN)
    return rows.exclude(reason=ReviewReason.GOLD)


def free_for(membership: Membership) -> QuerySet[ReviewTask]:
    """What this person may be given: nobody else has it or is to have it, they have not put it
    aside, and their word on the unit is not in."""
    user = membership.user
    sealed = Judgement.objects.filter(
        inspection=OuterRef("inspection"), reviewer=user, withdrawn_at__isnull=True
    ).exclude(round__state=RoundState.FINAL)
    judging = Round.objects.filter(
        inspection=OuterRef("inspection"), holder_until__gt=Now()
    ).exclude(holder=user)
    others = ReviewTask.objects.filter(
        inspection=OuterRef("inspection"), status=TaskStatus.OPEN, held_until__gt=Now()
    ).exclude(pk=OuterRef("pk"))
    return open_tasks(membership.site).filter(
        Q(held_by__isnull=True) | Q(held_until__lt=Now()),
        Q(assigned_to__isnull=True) | Q(assigned_to=user),
        Q(not_for__isnull=True) | ~Q(not_for=user),
        Q(passed_by__isnull=True) | ~Q(passed_by=user) | Q(passed_until__lt=Now()),
        ~Exists(sealed),
        ~Exists(judging),
        ~Exists(others),
    )


def reviewers_of(site: Site) -> QuerySet[User]:
    """Who may review at a site."""
    return User.objects.filter(
        memberships__site=site, memberships__role__in=REVIEWING, is_active=True
    ).order_by("username")


def overview(membership: Membership, rows: QuerySet[ReviewTask]) -> Overview:
    """Everything that the page of the queue shows; ``rows``: the chosen part of it."""
    user, now = membership.user, timezone.now()
    queues = queues_of(membership.site)
    there = _shown(rows.exclude(assigned_to=user))
    mine = _shown(ReviewTask.objects.for_site(membership.site).filter(_is_mine(user)))
    held = open_tasks(membership.site).filter(held_by__isnull=False, held_until__gt=now)
    return Overview(
        queues=queues,
        rows=[_row(task, now) for task in there.order_by("-rank")[:MOST_ROWS]],
        mine=[_row(task, now) for task in mine.order_by("-rank")[:MOST_ROWS]],
        held=[_row(task, now) for task in _shown(held).order_by("held_until")[:MOST_ROWS]],
        waiting=sum(queue.count for queue in queues),
        overdue=sum(queue.overdue for queue in queues),
        oldest=min((queue.oldest for queue in queues), default=None),
        reviewers=list(reviewers_of(membership.site)),
    )


def _is_mine(user: User) -> Q:
    held = Q(held_by=user, held_until__gt=Now())
    return Q(status=TaskStatus.OPEN) & (held | Q(assigned_to=user) & ~Q(reason=ReviewReason.GOLD))


def queues_of(site: Site) -> list[QueueRow]:
    """Open tasks by plan and reason, the one with most overdue first."""
    late = Count("pk", filter=Q(due_at__lt=Now()))
    counted = (
        open_tasks(site)
        .order_by()
        .values("plan__key", "plan__name", "reason")
        .annotate(count=Count("pk"), oldest=Min("waits_since"), late=late)
    )
    rows = [
        QueueRow(
            plan_key=row["plan__key"] or "",
            plan_name=row["plan__name"] or "No plan yet",
            reason=ReviewReason(row["reason"]),
            count=row["count"],
            oldest=row["oldest"],
            overdue=row["late"],
        )
        for row in counted
    ]
    return sorted(rows, key=lambda row: (-row.overdue, -row.count, row.plan_name, row.reason))


def _shown(rows: QuerySet[ReviewTask]) -> QuerySet[ReviewTask]:
    first = Photo.objects.filter(position=0).only("inspection", "thumb_key")
    units = Inspection.objects.defer(*LIGHT).prefetch_related(
        Prefetch("photos", queryset=first, to_attr="covers")
    )
    people = ("plan", "held_by", "assigned_to", "assigned_by")
    return rows.select_related(*people).prefetch_related(Prefetch("inspection", queryset=units))


def _row(task: ReviewTask, now: datetime) -> TaskRow:
    days = (now - task.waits_since).total_seconds() / DOUBLES_AFTER_S
    return TaskRow(
        task=task,
        worth=task.risk * task.uncertainty * 2 ** min(days, 60.0),
        is_overdue=task.due_at is not None and task.due_at < now,
        is_held=task.held_until is not None and task.held_until > now,
    )


def task_on(inspection: Inspection, membership: Membership) -> dict[str, Any]:
    """What the page of a unit says of its task: mine, or who has it."""
    rows = ReviewTask.objects.filter(inspection=inspection, status=TaskStatus.OPEN)
    tasks = list(rows.select_related("held_by", "assigned_to", "assigned_by").order_by("-rank"))
    user, now = membership.user, timezone.now()
    for task in tasks:
        if task.held_by_id == user.pk:
            return {"task": task, "is_mine": True, "reason": shown_reason(task)}
    others = [task for task in tasks if task.reason != ReviewReason.GOLD]
    if not others:
        return {}
    task = others[0]
    is_held = task.held_until is not None and task.held_until > now
    return {"task": task, "is_mine": False, "is_held": is_held, "reason": shown_reason(task)}
