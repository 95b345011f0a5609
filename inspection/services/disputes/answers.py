"""A reviewer's answer: the verdicts that come with it, what the party is told, and the end of the
task in the queue, all in one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from inspection.models import (
    DisputeAnswer,
    DisputeLink,
    DisputeStatement,
    Finding,
    Inspection,
    Membership,
    Review,
    ReviewTask,
    User,
)
from inspection.models.choices import (
    FindingStatus,
    InspectionStatus,
    RejectReason,
    ReviewReason,
    Role,
)
from inspection.models.dispute import LONGEST_ANSWER, DisputeOutcome
from inspection.selectors.disputes import class_name, unanswered
from inspection.selectors.rounds import is_open
from inspection.services import queue, reviews
from inspection.services.disputes.links import lock_link
from inspection.services.disputes.refusals import DisputeRefusedError, NewStatementError
from inspection.services.disputes.statements import READABLE
from inspection.services.inspections import storable

UNDECIDED = (
    "Answer once a person has decided this unit, and where more than one is asked, once all have "
    "judged. Your words are still here."
)


@dataclass(frozen=True)
class Answer:
    """What a reviewer answers. ``findings``: which are withdrawn, or the one that is changed.
    ``type``, ``severity``, ``disposition``: what it becomes, "" for as it is."""

    outcome: str
    body: str
    findings: Sequence[Finding] = field(default=())
    type: str = ""
    severity: str = ""
    disposition: str = ""


@transaction.atomic
def answer(
    membership: Membership, link: DisputeLink, seen: uuid.UUID | None, given: Answer
) -> DisputeAnswer:
    """Answer all statements up to the one with the id ``seen``, the last that the reviewer read.

    Raises NewStatementError where the party has written since, DisputeRefusedError or
    ReviewRefusedError where it can't be answered so; then nothing is changed.
    """
    if not membership.allows(Role.REVIEWER) or link.site_id != membership.site_id:
        raise DisputeRefusedError("Only reviewers of this site answer.")
    locked = lock_link(link)
    unit = Inspection.objects.defer("embedding", "search").get(pk=locked.inspection_id)
    last = _last_seen(locked, seen)
    _check(unit, given)
    verdicts = _judge(membership, locked, unit, given)
    unit.refresh_from_db(fields=["status", "disposition", "decided_by"])
    if unit.status != InspectionStatus.DECIDED or is_open(unit.pk):
        # The verdict is sealed until others have judged: an answer would tell it.
        raise DisputeRefusedError(UNDECIDED)
    made: DisputeAnswer = DisputeAnswer.objects.create(
        site_id=locked.site_id,
        link=locked,
        statement=last,
        outcome=given.outcome,
        body=storable(given.body),
        reviews=[str(review.pk) for review in verdicts],
        told=_told(unit, verdicts),
        reviewer=membership.user,
    )
    _keep_readable(locked)
    _close_task(unit, membership.user)
    return made


def _last_seen(link: DisputeLink, seen: uuid.UUID | None) -> DisputeStatement:
    waiting = unanswered(link)
    if not waiting:
        raise DisputeRefusedError("Somebody has answered meanwhile. Reload the page to read it.")
    if waiting[-1].pk != seen:
        raise NewStatementError(
            "The party has written again. Read it above, then send your answer; your words are "
            "still here."
        )
    return waiting[-1]


def _check(unit: Inspection, given: Answer) -> None:
    if given.outcome not in DisputeOutcome.values:
        raise DisputeRefusedError("Choose whether you uphold, withdraw or change.")
    if not storable(given.body):
        raise DisputeRefusedError("Say why, in words for the party.")
    if len(given.body) > LONGEST_ANSWER:
        raise DisputeRefusedError(f"An answer may have {LONGEST_ANSWER:,} characters. Shorten it.")
    is_decided = unit.status == InspectionStatus.DECIDED and unit.decided_by_id is not None
    if not is_decided or is_open(unit.pk):
        raise DisputeRefusedError(UNDECIDED)


def _judge(
    membership: Membership, link: DisputeLink, unit: Inspection, given: Answer
) -> list[Review]:
    """The verdicts that make the answer true."""
    if given.outcome == DisputeOutcome.UPHELD:
        return _confirm(membership, link, given)
    if given.outcome == DisputeOutcome.WITHDRAWN:
        if not given.findings:
            raise DisputeRefusedError("Choose what you withdraw.")
        made = [_reject(membership, link, finding, given) for finding in given.findings]
    else:
        made = _change(membership, link, given)
    if given.disposition and given.disposition != unit.disposition:
        made.append(reviews.decide(membership, unit, given.disposition, _key(), given.body[:2000]))
    if not made:
        raise DisputeRefusedError("Choose what you change: class, severity or decision.")
    return made


def _confirm(membership: Membership, link: DisputeLink, given: Answer) -> list[Review]:
    """A finding that no person has judged is confirmed by upholding it."""
    finding = link.finding
    if finding is None or finding.status != FindingStatus.OPEN:
        return []
    return [reviews.confirm_finding(membership, finding, _key(), given.body[:2000])]


def _reject(membership: Membership, link: DisputeLink, finding: Finding, given: Answer) -> Review:
    _check_finding(link, finding)
    reason = RejectReason.OTHER
    return reviews.reject_finding(
        membership, finding, _key(), given.body[:2000], reason=reason.value
    )


def _change(membership: Membership, link: DisputeLink, given: Answer) -> list[Review]:
    if not (given.type or given.severity):
        return []
    if len(given.findings) != 1:
        raise DisputeRefusedError("Choose the one finding that you change.")
    finding = given.findings[0]
    _check_finding(link, finding)
    changed = reviews.change_finding(
        membership,
        finding,
        _key(),
        type=given.type or None,
        severity=given.severity or None,
        comment=given.body[:2000],
    )
    return [changed]


def _check_finding(link: DisputeLink, finding: Finding) -> None:
    is_of_link = link.finding_id in (None, finding.pk)
    if finding.inspection_id != link.inspection_id or not is_of_link:
        raise DisputeRefusedError("This link is about another finding.")
    if finding.status == FindingStatus.REJECTED:
        raise DisputeRefusedError("This finding is withdrawn already. Reload the page.")


def _told(unit: Inspection, verdicts: Sequence[Review]) -> list[dict[str, str]]:
    """What the party is told of the verdicts: by finding what it was and what it became."""
    return [told for review in verdicts if (told := _told_of(unit, review))]


def _told_of(unit: Inspection, review: Review) -> dict[str, str]:
    if review.finding is None:
        return {
            "what": "decision",
            "before": review.before.get("disposition", ""),
            "after": review.after["disposition"],
        }
    before = review.before.get("type", review.finding.type)
    kept = {"what": "finding", "finding": str(review.finding_id), "kind": str(review.kind)}
    kept["name"] = class_name(unit, before)
    if "type" in review.after:
        kept["type"] = class_name(unit, review.after["type"])
    if "severity" in review.after:
        kept["severity"] = review.after["severity"]
    return kept


def _keep_readable(link: DisputeLink) -> None:
    until = timezone.now() + READABLE
    DisputeLink.objects.filter(pk=link.pk).update(
        readable_until=Greatest(F("readable_until"), F("expires_at"), until)
    )


def _close_task(unit: Inspection, person: User) -> None:
    """The unit's dispute is settled, unless a statement by another link still waits."""
    links = DisputeLink.objects.filter(inspection=unit, revoked_at__isnull=True)
    if any(unanswered(link) for link in links.prefetch_related("statements", "answers__statement")):
        return
    tasks = ReviewTask.objects.filter(
        inspection=unit, reason=ReviewReason.DISPUTE, status__in=queue.WAITING
    )
    for task in tasks:
        # Not settled with a verdict: taking that back would not take the answer back.
        queue.close(task)
        ReviewTask.objects.filter(pk=task.pk).update(done_by=person)


def _key() -> str:
    return uuid.uuid4().hex
