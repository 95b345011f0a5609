"""Units come into the queue of reviews and leave it. Taking and handing over: ``queue_claims``.

Every function is called inside the transaction of its cause (triage, a verdict, a dispute), so that
the queue never says something else than the unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from inspection.models import Inspection, Review, ReviewTask, RiskGate, Round, Site, User
from inspection.models.choices import InspectionStatus, ReviewReason, RoundKind, TaskStatus
from inspection.models.queue import FIRST_LOOK
from inspection.selectors.findings import current_findings, is_standing
from inspection.services.queue_reasons import Case, Worth, reasons_of, worth_of
from models_runtime.plans import Severity
from models_runtime.slm.policy import at_least

WAITING = (TaskStatus.OPEN, TaskStatus.PAUSED)
CERTAIN = Worth(risk=0.5, uncertainty=0.5)
"""What a review is worth at least that a person asked for."""
SAFETY = "safety"
DUE = timedelta(hours=24)
MOST_ADOPTED = 200


@transaction.atomic
def enqueue(
    inspection: Inspection,
    reason: ReviewReason,
    *,
    also: Iterable[ReviewReason] = (),
    due_at: datetime | None = None,
    assigned_to: User | None = None,
    not_for: User | None = None,
    note: str = "",
    worth: Worth | None = None,
) -> ReviewTask:
    """Ask for a review. While the same is asked for already, bring that task up to date instead.

    ``not_for``: the person whose word is to be compared with another's. Without ``due_at`` it is
    due after DUE; without ``worth`` it is what the unit's own rows say, for
    everything but a first look at least as much as a severe and unsure unit.
    """
    Inspection.objects.select_for_update(no_key=True).only("pk").get(pk=inspection.pk)
    told = {
        "reason": reason,
        "also": [one.value for one in also if one != reason],
        "status": TaskStatus.OPEN,
        "note": note[:500],
        "not_for": not_for,
        **_worth(inspection, reason, worth),
    }
    known = _same(inspection, reason, assigned_to)
    if known is not None:
        return _updated(known, told, due_at, assigned_to)
    task: ReviewTask = ReviewTask.objects.create(
        site_id=inspection.site_id,
        inspection=inspection,
        plan_id=inspection.plan_id,
        due_at=due_at or timezone.now() + DUE,
        assigned_to=assigned_to,
        **told,
    )
    return task


def _same(inspection: Inspection, reason: ReviewReason, person: User | None) -> ReviewTask | None:
    """The task that asks for the same: a unit is looked at first once, whatever the reason."""
    rows = ReviewTask.objects.filter(inspection=inspection, status__in=WAITING)
    alike = FIRST_LOOK if reason in FIRST_LOOK else (reason,)
    rows = rows.filter(reason__in=alike)
    if reason == ReviewReason.GOLD:
        rows = rows.filter(assigned_to=person)
    found: ReviewTask | None = rows.first()
    return found


def _updated(
    task: ReviewTask, told: dict[str, Any], due_at: datetime | None, assigned_to: User | None
) -> ReviewTask:
    """With the new word; who has it and since when it waits stays, and a note without a new one."""
    values = dict(told, note=told["note"] or task.note, plan_id=task.inspection.plan_id)
    if due_at is not None:
        values["due_at"] = due_at
    if assigned_to is not None:
        values["assigned_to"] = assigned_to
    ReviewTask.objects.filter(pk=task.pk).update(**values)
    task.refresh_from_db()
    return task


def _worth(inspection: Inspection, reason: ReviewReason, worth: Worth | None) -> dict[str, float]:
    if worth is None:
        worth = worth_of(case_of(inspection))
        if reason not in FIRST_LOOK:
            risk = max(worth.risk, CERTAIN.risk)
            worth = Worth(risk, max(worth.uncertainty, CERTAIN.uncertainty))
    return {"risk": worth.risk, "uncertainty": worth.uncertainty}


def after_triage(inspection: Inspection) -> None:
    """Bring the queue in line with the models' word on a unit that nobody has decided."""
    golden = Round.objects.filter(inspection=inspection, kind=RoundKind.GOLD)
    if inspection.status == InspectionStatus.REVIEW and not golden.exists():
        first, *also = reasons_of(case_of(inspection))
        enqueue(inspection, first, also=also)
    else:
        withdraw(inspection)


def pause(inspection: Inspection) -> None:
    """The models look again: until they are done nobody is given the unit."""
    _first_look(inspection).filter(status=TaskStatus.OPEN).update(
        status=TaskStatus.PAUSED, held_by=None, held_until=None
    )


def withdraw(inspection: Inspection) -> None:
    """No first look is called for any more."""
    _first_look(inspection).update(status=TaskStatus.WITHDRAWN, held_by=None, held_until=None)


def settle(inspection: Inspection, review: Review) -> None:
    """A person has decided: the first look is over, and so is what else this person was to do."""
    rows = ReviewTask.objects.filter(inspection=inspection, status__in=WAITING)
    mine = Q(held_by=review.reviewer) & (Q(not_for__isnull=True) | ~Q(not_for=review.reviewer))
    mine &= ~Q(reason=ReviewReason.DISPUTE)  # that is over when the party has an answer
    _end(rows.filter(mine | Q(reason__in=FIRST_LOOK)), review)


def settle_sealed(inspection: Inspection, review: Review) -> None:
    """A word that is not in force yet: the unit waits for somebody else, in the same place of the
    queue, so that nothing tells that somebody has looked."""
    rows = ReviewTask.objects.filter(inspection=inspection, status__in=WAITING)
    _end(rows.filter(reason=ReviewReason.GOLD, assigned_to=review.reviewer), review)
    rows.filter(held_by=review.reviewer).update(held_by=None, held_until=None)


def _end(rows: QuerySet[ReviewTask], review: Review | None) -> None:
    rows.update(
        status=TaskStatus.DONE,
        done_by=review.reviewer if review else None,
        done_at=timezone.now(),
        settled_with=review,
        held_by=None,
        held_until=None,
    )


def close(task: ReviewTask, review: Review | None = None) -> None:
    """End one task by other means than a decision on the unit."""
    _end(ReviewTask.objects.filter(pk=task.pk, status__in=WAITING), review)


def reopen(review: Review, until: datetime) -> None:
    """A decision was taken back: what it had settled is to be done again, by the same person
    first, who has the unit before them."""
    ReviewTask.objects.filter(settled_with=review, status=TaskStatus.DONE).update(
        status=TaskStatus.OPEN,
        held_by=review.reviewer,
        held_until=until,
        done_by=None,
        done_at=None,
        settled_with=None,
    )


def hold_again(inspection: Inspection, user: User, until: datetime) -> None:
    """A sealed word was taken back: the unit is this person's again, unless somebody has it."""
    free = Q(held_by__isnull=True) | Q(held_until__lt=timezone.now())
    rows = ReviewTask.objects.filter(inspection=inspection, status=TaskStatus.OPEN)
    rows.filter(free).update(held_by=user, held_until=until)


def _first_look(inspection: Inspection) -> QuerySet[ReviewTask]:
    rows: QuerySet[ReviewTask] = ReviewTask.objects.filter(
        inspection=inspection, status__in=WAITING, reason__in=FIRST_LOOK
    )
    return rows


def case_of(inspection: Inspection) -> Case:
    """What the rows of a unit say after triage."""
    standing = [finding for finding in current_findings(inspection) if is_standing(finding)]
    version = inspection.plan_version
    limits = version.parsed().policy if version else None
    gate = RiskGate.objects.filter(inspection=inspection).first()
    severity = Severity(inspection.severity) if inspection.severity else None
    is_severe = inspection.queue == SAFETY or bool(
        limits and limits.review_severity and at_least(severity, limits.review_severity)
    )
    confidence = inspection.confidence or 0.0
    is_sampled = gate is not None and gate.is_drawn and not gate.is_asked
    return Case(
        severity=inspection.severity,
        findings=len(standing),
        confidence=confidence,
        defect_probability=_known(inspection.defect_probability, 0.5 if standing else 0.0),
        in_domain=_known(inspection.in_domain, 1.0),
        abstained=inspection.abstained,
        is_sampled=is_sampled,
        is_severe=is_severe,
        is_unsure=confidence < (limits.review_below if limits else 1.0)
        or (gate is not None and gate.is_eligible and not gate.is_below and not is_sampled),
    )


def _known(value: float | None, other: float) -> float:
    return other if value is None else value


def adopt(site: Site | None = None) -> int:
    """Put units in review into the queue that are not there: from before there was a queue, or
    written by other means. Called by the sweeper, and where somebody finds the queue empty."""
    there = ReviewTask.objects.filter(
        inspection=OuterRef("pk"), status__in=WAITING, reason__in=FIRST_LOOK
    )
    golden = Round.objects.filter(inspection=OuterRef("pk"), kind=RoundKind.GOLD)
    waits = Inspection.objects.filter(status=InspectionStatus.REVIEW)
    rows = waits.filter(~Exists(there), ~Exists(golden))
    if site is not None:
        rows = rows.filter(site=site)
    lost = rows.defer("embedding", "search").select_related("plan_version").order_by("created_at")
    return sum(_adopt_one(inspection) for inspection in lost[:MOST_ADOPTED])


@transaction.atomic
def _adopt_one(found: Inspection) -> bool:
    locked = Inspection.objects.select_for_update(no_key=True).defer("embedding", "search")
    inspection = locked.get(pk=found.pk)
    if inspection.status != InspectionStatus.REVIEW:
        return False
    after_triage(inspection)
    _first_look(inspection).filter(waits_since__gt=inspection.created_at).update(
        waits_since=inspection.created_at
    )
    return True
