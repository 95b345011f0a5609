"""Verdicts of people: each is a row that is never changed, and the current word follows from it.

Every function is one transaction: lock the inspection, check, write the verdict, update what it is
about. A repeated ``client_key`` returns the verdict that is already there, so a double click or a
replay after a lost connection changes nothing.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from inspection.celery import app
from inspection.models import Finding, Inspection, Membership, Review
from inspection.models.choices import (
    DispositionChoice,
    FindingStatus,
    InspectionStatus,
    RejectReason,
    ReviewKind,
    Role,
    SeverityChoice,
)
from inspection.selectors.findings import current_findings, is_standing
from inspection.services import judging, queue
from inspection.services.refusals import ReviewRefusedError as ReviewRefusedError

Change = dict[str, str]
logger = logging.getLogger(__name__)

ACT_TASK = "actions.act_after_decision"
SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SeverityChoice.values)}
DECIDABLE = (InspectionStatus.REVIEW, InspectionStatus.DECIDED, InspectionStatus.FAILED)


def confirm_finding(
    membership: Membership, finding: Finding, client_key: str, comment: str = ""
) -> Review:
    """Say that the finding is there and is what it is said to be."""
    change: Change = {"status": FindingStatus.CONFIRMED}
    return _judge(membership, finding, ReviewKind.CONFIRM_FINDING, change, client_key, comment)


def reject_finding(
    membership: Membership,
    finding: Finding,
    client_key: str,
    comment: str = "",
    *,
    reason: str = "",
) -> Review:
    """Say that there is no such defect, and why, by the catalogue; it never becomes a ticket."""
    if reason and reason not in RejectReason.values:
        raise ReviewRefusedError("Choose one of the reasons.")
    if reason == RejectReason.OTHER and not comment.strip():
        raise ReviewRefusedError("Say in the comment what it is, or choose another reason.")
    change: Change = {"status": FindingStatus.REJECTED}
    kind = ReviewKind.REJECT_FINDING
    return _judge(membership, finding, kind, change, client_key, comment, reason)


def change_finding(
    membership: Membership,
    finding: Finding,
    client_key: str,
    *,
    type: str | None = None,
    severity: str | None = None,
    comment: str = "",
) -> Review:
    """Give the finding another class of the plan's catalogue, another severity, or both."""
    change: Change = {"status": FindingStatus.CONFIRMED}
    if type is not None and type != finding.type:
        change["type"] = _known_type(finding, type)
    if severity is not None and severity != finding.severity:
        change["severity"] = known_severity(severity)
    if len(change) == 1:
        raise ReviewRefusedError("Choose another class or severity first.")
    return _judge(membership, finding, ReviewKind.CHANGE_FINDING, change, client_key, comment)


@transaction.atomic
def decide(
    membership: Membership,
    inspection: Inspection,
    disposition: str,
    client_key: str,
    comment: str = "",
) -> Review:
    """Settle what happens with the unit, and wake the actions that follow from it."""
    if disposition not in DispositionChoice.values:
        raise ReviewRefusedError("Choose accept, rework, reject or hold.")
    locked = lock_unit(membership, inspection.pk)
    if (known := already_said(locked, client_key)) is not None:
        return known
    if locked.status not in DECIDABLE:
        raise ReviewRefusedError("The models are still looking at it. Decide when they are done.")
    judging.take_turn(membership, locked)
    review = write_verdict(
        membership,
        locked,
        kind=ReviewKind.DISPOSITION,
        before={"disposition": locked.disposition, "status": locked.status},
        after={"disposition": disposition, "status": InspectionStatus.DECIDED},
        client_key=client_key,
        comment=comment,
    )
    if judging.takes_force(membership, locked, review):
        _put_in_force(locked, membership, disposition)
        queue.settle(locked, review)
    else:
        _keep_waiting(locked)
        queue.settle_sealed(locked, review)
    inspection.refresh_from_db(fields=["status", "disposition", "decided_by", "decided_at"])
    return review


def _put_in_force(locked: Inspection, membership: Membership, disposition: str) -> None:
    Inspection.objects.filter(pk=locked.pk).update(
        status=InspectionStatus.DECIDED,
        disposition=disposition,
        decided_by=membership.user,
        decided_at=timezone.now(),
    )
    if judging.round_of(locked) is not None:
        update_severity(locked)
    transaction.on_commit(partial(wake_actions, locked.pk))


def _keep_waiting(locked: Inspection) -> None:
    """The word is sealed: the unit looks as if nobody had judged it, and no action goes out."""
    Inspection.objects.filter(pk=locked.pk).update(status=judging.status_while_sealed(locked))
    if Review.objects.filter(inspection=locked, finding__isnull=False).exists():
        update_severity(locked)


@transaction.atomic
def _judge(
    membership: Membership,
    finding: Finding,
    kind: ReviewKind,
    change: Change,
    client_key: str,
    comment: str,
    reason: str = "",
) -> Review:
    inspection = lock_unit(membership, finding.inspection_id)
    if (known := already_said(inspection, client_key)) is not None:
        return known
    judging.take_turn(membership, inspection)
    current = Finding.objects.get(pk=finding.pk)
    before = {field: getattr(current, field) for field in change}
    review = write_verdict(
        membership,
        inspection,
        kind=kind,
        finding=current,
        before=before,
        after=change,
        client_key=client_key,
        comment=comment,
        reason=reason,
    )
    kept = {
        "model_type": current.model_type or current.type,
        "model_severity": current.model_severity or current.severity,
    }
    Finding.objects.filter(pk=finding.pk).update(**change, **kept)
    finding.refresh_from_db(fields=list(change))
    update_severity(inspection)
    return review


def lock_unit(membership: Membership, inspection_id: UUID) -> Inspection:
    """The inspection, for us alone until the end of the transaction."""
    if not membership.allows(Role.REVIEWER):
        raise ReviewRefusedError("Only reviewers judge. Ask an admin for the role.")
    rows = Inspection.objects.for_site(membership.site).select_for_update(no_key=True)
    inspection: Inspection | None = rows.filter(pk=inspection_id).first()
    if inspection is None:
        raise ReviewRefusedError("This inspection belongs to another site.")
    return inspection


def already_said(inspection: Inspection, client_key: str) -> Review | None:
    """The verdict of a request that was heard before."""
    if not client_key or len(client_key) > 64:
        raise ReviewRefusedError("The request has no key of its own. Reload the page.")
    known: Review | None = Review.objects.filter(
        inspection=inspection, client_key=client_key
    ).first()
    return known


def write_verdict(membership: Membership, inspection: Inspection, **values: Any) -> Review:
    """Add a verdict of this person; ``values`` are the columns of ``Review``."""
    values["comment"] = values["comment"].replace("\0", "").strip()[:2000]
    review: Review = Review.objects.create(
        site_id=membership.site_id, inspection=inspection, reviewer=membership.user, **values
    )
    return review


def update_severity(inspection: Inspection) -> None:
    """The unit is as bad as its worst finding that nobody rejected and that is not fixed."""
    standing = filter(is_standing, current_findings(inspection))
    severities = [finding.severity for finding in standing]
    worst = max(severities, key=SEVERITY_RANK.__getitem__, default="")
    Inspection.objects.filter(pk=inspection.pk).update(severity=worst)


def _known_type(finding: Finding, type: str) -> str:
    version = finding.inspection.plan_version
    known = {defect.key for defect in version.parsed().defects} if version else set()
    if type not in known:
        raise ReviewRefusedError(f"“{type}” is not in the plan's defect catalogue.")
    return type


def known_severity(severity: str) -> str:
    """The severity, where it is one."""
    if severity not in SeverityChoice.values:
        raise ReviewRefusedError("Choose minor, major or critical.")
    return severity


def wake_actions(inspection_id: UUID) -> None:
    """Tell the workers that a person has decided; the sweeper finds it if they don't hear."""
    try:
        app.send_task(ACT_TASK, args=[str(inspection_id)], queue="actions", retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take a message (%s); the sweeper will", error)
