"""Taking a verdict back: a verdict of its own that restores the values from before.

Nothing is erased: both rows stay. What had gone out already can't be called back, and the answer
says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from inspection.actions.act import NOT_CALLED_FOR
from inspection.actions.executor import OPEN
from inspection.models import (
    ActionPlan,
    ActionStep,
    Finding,
    Inspection,
    Membership,
    Review,
    StepRun,
    Ticket,
)
from inspection.models.choices import (
    FindingStatus,
    InspectionStatus,
    ReviewKind,
    RoundState,
    StepName,
    TicketStatus,
)
from inspection.services import judging, queue, reviews
from inspection.services.queue_claims import lease_end
from inspection.services.refusals import ReviewRefusedError

TAKEN_BACK = "It was taken back already."
OTHERS = "Only the one who gave a verdict takes it back. Give another verdict instead."
SINCE = "Somebody has judged it since, so it stays. Give another verdict instead."
UNKNOWN = "There is no such verdict to take back. Reload the page to see what was saved."
FINAL = "More than one person has judged this unit, so the result stays."


@dataclass(frozen=True)
class Undone:
    """The verdict that takes the other back. ``note`` tells what can't be taken back, if anything;
    ``is_again``: the same request came before."""

    review: Review
    note: str


@transaction.atomic
def undo(membership: Membership, inspection: Inspection, of: str, client_key: str) -> Undone:
    """Take back the verdict that was given with the key ``of``. ReviewRefusedError with the reason
    where that can't be: it is another's, or something else was said since."""
    locked = reviews.lock_unit(membership, inspection.pk)
    known = reviews.already_said(locked, client_key)
    if known is not None:
        return Undone(known, _gone_out(locked, known.undoes))
    verdict = _verdict(membership, locked, of)
    if verdict.kind == ReviewKind.DISPOSITION:
        return _undo_decision(membership, locked, verdict, client_key)
    judging.take_turn(membership, locked)
    return _undo_finding(membership, locked, verdict, client_key)


def _verdict(membership: Membership, inspection: Inspection, of: str) -> Review:
    verdict: Review | None = Review.objects.filter(inspection=inspection, client_key=of).first()
    if verdict is None or verdict.kind == ReviewKind.UNDO:
        raise ReviewRefusedError(UNKNOWN)
    if verdict.reviewer_id != membership.user_id:
        raise ReviewRefusedError(OTHERS)
    if Review.objects.filter(undoes=verdict).exists():
        raise ReviewRefusedError(TAKEN_BACK)
    return verdict


def _write(membership: Membership, verdict: Review, client_key: str, **values: Any) -> Review:
    review: Review = Review.objects.create(
        site_id=verdict.site_id,
        inspection_id=verdict.inspection_id,
        finding_id=verdict.finding_id,
        reviewer=membership.user,
        kind=ReviewKind.UNDO,
        client_key=client_key,
        undoes=verdict,
        **values,
    )
    return review


def _undo_finding(
    membership: Membership, inspection: Inspection, verdict: Review, client_key: str
) -> Undone:
    of = verdict.finding_id
    finding = Finding.objects.filter(pk=of).first() if of else None
    if finding is None:
        raise ReviewRefusedError(UNKNOWN)
    now = {name: getattr(finding, name) for name in verdict.after}
    if now != verdict.after or _is_older(verdict):
        raise ReviewRefusedError(SINCE)
    review = _write(membership, verdict, client_key, before=now, after=verdict.before)
    Finding.objects.filter(pk=finding.pk).update(**verdict.before)
    said = _said_by_models(inspection) if _nothing_judged(inspection) else None
    if said is None:
        reviews.update_severity(inspection)
    else:
        Inspection.objects.filter(pk=inspection.pk).update(severity=said)
    return Undone(review, "")


def _is_older(verdict: Review) -> bool:
    """Whether a later verdict on the same stands."""
    later = Review.objects.filter(
        inspection=verdict.inspection_id, finding=verdict.finding_id, undone_by__isnull=True
    )
    if verdict.finding_id is None:
        later = later.filter(kind=ReviewKind.DISPOSITION)
    return later.exclude(kind=ReviewKind.UNDO).filter(pk__gt=verdict.pk).exists()


def _nothing_judged(inspection: Inspection) -> bool:
    judged = Finding.objects.filter(inspection=inspection, is_sealed=False)
    return not judged.exclude(status=FindingStatus.OPEN).exists()


def _said_by_models(inspection: Inspection) -> str | None:
    """The severity of the run's triage, which may be worse than that of the worst finding; None
    where the run has none."""
    step = StepRun.objects.filter(run=inspection.current_run_id, step=StepName.TRIAGE).first()
    triage = step.output.get("triage", {}) if step else {}
    return str(triage["severity"] or "") if "severity" in triage else None


def _undo_decision(
    membership: Membership, inspection: Inspection, verdict: Review, client_key: str
) -> Undone:
    if _is_older(verdict):
        raise ReviewRefusedError(SINCE)
    before = {"disposition": inspection.disposition, "status": inspection.status}
    round = judging.round_of(inspection)
    if round is not None:
        if round.state == RoundState.FINAL or not judging.take_back(
            membership, inspection, verdict
        ):
            raise ReviewRefusedError(FINAL)
        review = _write(membership, verdict, client_key, before=before, after=before)
        queue.hold_again(inspection, membership.user, lease_end())
        return Undone(review, "")
    if before != {name: verdict.after[name] for name in before}:
        raise ReviewRefusedError(SINCE)
    review = _write(membership, verdict, client_key, before=before, after=verdict.before)
    _restore(inspection, verdict)
    queue.reopen(verdict, lease_end())
    _call_off(inspection)
    return Undone(review, _gone_out(inspection, verdict))


def _restore(inspection: Inspection, verdict: Review) -> None:
    """What was in force before: nobody's word, or that of an earlier decision."""
    is_decided = verdict.before["status"] == InspectionStatus.DECIDED
    earlier = (
        Review.objects.filter(
            inspection=inspection,
            kind=ReviewKind.DISPOSITION,
            undone_by__isnull=True,
            pk__lt=verdict.pk,
        ).last()
        if is_decided
        else None
    )
    Inspection.objects.filter(pk=inspection.pk).update(
        status=verdict.before["status"],
        disposition=verdict.before["disposition"],
        decided_by=earlier.reviewer if earlier else None,
        # A new time: actions by the decision that is in force again are looked for after it.
        decided_at=timezone.now() if earlier else None,
    )
    if earlier is not None:
        transaction.on_commit(lambda: reviews.wake_actions(inspection.pk))


def _call_off(inspection: Inspection) -> None:
    """What was planned and not done yet is not done; a new decision plans anew."""
    plans = ActionPlan.objects.filter(inspection=inspection).values("pk")
    ActionStep.objects.filter(action_plan__in=plans, status__in=OPEN).update(
        status="cancelled", message=NOT_CALLED_FOR, finished_at=timezone.now()
    )


def _gone_out(inspection: Inspection, verdict: Review | None) -> str:
    """Tickets that the decision had caused."""
    if verdict is None or verdict.kind != ReviewKind.DISPOSITION:
        return ""
    rows = Ticket.objects.filter(inspection=inspection, created_at__gte=verdict.created_at)
    tickets = list(rows.exclude(status=TicketStatus.FAILED).select_related("connector"))
    if not tickets:
        return ""
    names = ", ".join(sorted({ticket.connector.name for ticket in tickets}))
    what = "A ticket has" if len(tickets) == 1 else f"{len(tickets)} tickets have"
    return f"{what} gone to {names} already and can't be called back: tell them there."
