"""Second review, adjudication and gold units: whose turn it is, and when a word is in force.

A unit goes through a ``Round`` when one person's word is not enough. Each word is sealed as it is
given (``inspection.services.sealing``): the rows carry the models' word until all who are asked
have judged, so nothing that shows the unit can tell the next person what the one before said.
Every function here is called inside a transaction that holds the inspection's lock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from inspection.models import (
    Agreement,
    Inspection,
    Judgement,
    JudgingRule,
    Membership,
    Plan,
    Review,
    Round,
)
from inspection.models.choices import (
    InspectionStatus,
    JudgementPart,
    ReviewKind,
    Role,
    RoundKind,
    RoundState,
    SecondReviewReason,
    SeverityChoice,
)
from inspection.services import sealing
from inspection.services.grading import grade
from inspection.services.refusals import ReviewRefusedError
from models_runtime.risk.dial import part_of

HOLD = timedelta(minutes=30)
"""So long the next word is kept for the person who began to give it."""
DRAW = "second review"
"""The purpose of the draw: a unit's number is ``sha256("second review:<id of the inspection>")``,
its first 8 bytes as a share of 2^64, so that it is the same for ever and can be checked by hand."""
REVIEWER_ROLES = (Role.REVIEWER, Role.MANAGER, Role.ADMIN)
GIVEN = "Your word on this unit is in. It stays sealed until everybody who is asked has judged."
HELD = "Somebody else is judging this unit right now. Take the next one."
AGREED = "More than one person has judged this unit. Only a quality manager may change the result."
RETIRED = "This unit is not judged any more."
PARTIAL = "You are one of the two who disagree. A third person decides."
BLIND = (RoundState.SECOND, RoundState.GOLD)


def round_of(inspection: Inspection, *, lock: bool = False) -> Round | None:
    rows = Round.objects.filter(inspection=inspection)
    found: Round | None = (rows.select_for_update() if lock else rows).first()
    return found


def take_turn(membership: Membership, inspection: Inspection) -> None:
    """Let this person judge now, and nobody else meanwhile. ReviewRefusedError where it is not
    their turn."""
    round = round_of(inspection, lock=True)
    if round is None:
        return
    if why := why_not(membership, round):
        raise ReviewRefusedError(why)
    if round.state == RoundState.FINAL:
        return
    if round.holder_id not in (None, membership.user_id):
        _clear(round, inspection)  # the one who began has let go: their part counts no more
    Round.objects.filter(pk=round.pk).update(
        holder=membership.user, holder_until=timezone.now() + HOLD
    )


def why_not(membership: Membership, round: Round) -> str:
    """Why this person may not judge now, "" where they may."""
    user = membership.user_id
    if round.state == RoundState.FINAL:
        if round.kind == RoundKind.GOLD:
            return RETIRED
        return "" if membership.allows(Role.MANAGER) or _adjudicated(round, user) else AGREED
    if round.state in BLIND and user in _heard(round):
        return GIVEN
    if round.state == RoundState.ADJUDICATION and _is_partial(membership, round):
        return PARTIAL
    until = round.holder_until
    is_held = round.holder_id not in (None, user) and until is not None
    return HELD if is_held and until is not None and until > timezone.now() else ""


def _heard(round: Round) -> set[int]:
    """Who gave a word that counts, or took part in it."""
    rows = Judgement.objects.filter(round=round, withdrawn_at__isnull=True)
    given = set(rows.values_list("reviewer", flat=True))
    if given and round.kind == RoundKind.SECOND:
        before = Review.objects.filter(
            inspection=round.inspection_id, created_at__lte=round.created_at
        )
        given |= set(before.values_list("reviewer", flat=True))
    return given


def _adjudicated(round: Round, user: int) -> bool:
    rows = Judgement.objects.filter(round=round, part=JudgementPart.ADJUDICATION, reviewer=user)
    return rows.exists()


def _is_partial(membership: Membership, round: Round) -> bool:
    """Whether this is one of the two. A manager who is may decide where there is nobody else."""
    heard = _heard(round)
    if membership.user_id not in heard:
        return False
    return not membership.allows(Role.MANAGER) or reviewers_besides(membership.site_id, heard)


def reviewers_besides(site_id: UUID, users: set[int]) -> bool:
    """Whether somebody else at the site may judge."""
    rows = Membership.objects.filter(site=site_id, role__in=REVIEWER_ROLES, user__is_active=True)
    return rows.exclude(user__in=users).exists()


def _clear(round: Round, inspection: Inspection) -> None:
    """Take the part of somebody who did not end it out of the rows again."""
    sealing.take_out(inspection)
    if round.state == RoundState.ADJUDICATION:
        _lay_open(round)


def reasons_for_second(membership: Membership, inspection: Inspection) -> list[str]:
    """Why this decision needs a second one, by the plan's rule; none where it needs none or nobody
    else could give it. Only the first word on a unit is asked about."""
    rule = JudgingRule.objects.filter(plan=inspection.plan_id).first()
    if rule is None or inspection.decided_by_id is not None:
        return []
    holds = {
        SecondReviewReason.SHARE: part_of(str(inspection.pk), DRAW) < rule.share,
        SecondReviewReason.SEVERITY: _is_severe(rule, inspection),
        SecondReviewReason.NEW_REVIEWER: is_new(rule, membership),
    }
    reasons = [reason.value for reason, is_so in holds.items() if is_so]
    took_part = Review.objects.filter(inspection=inspection).values_list("reviewer", flat=True)
    if reasons and not reviewers_besides(inspection.site_id, {*took_part, membership.user_id}):
        return []
    return reasons


def _is_severe(rule: JudgingRule, inspection: Inspection) -> bool:
    """As bad as the rule says, for the models or for the person who has just judged."""
    if not rule.severity_from:
        return False
    rank = sealing.RANK
    words = [word for word in sealing.word_on(inspection) if word.stands]
    worst = [str(word.columns["severity"]) for word in words]
    worst += [inspection.severity] if inspection.severity else []
    return any(rank[severity] >= rank[SeverityChoice(rule.severity_from)] for severity in worst)


def is_new(rule: JudgingRule, membership: Membership) -> bool:
    """Newer than the rule's days at the site, or with fewer decisions there than its units."""
    days, units = rule.new_days, rule.new_units
    if days and membership.created_at > timezone.now() - timedelta(days=days):
        return True
    if not units:
        return False
    decided = Review.objects.filter(
        site=membership.site_id, reviewer=membership.user_id, kind=ReviewKind.DISPOSITION
    )
    # The decision that is asked about is among them already.
    return decided.values("inspection").distinct().count() <= units


def takes_force(membership: Membership, inspection: Inspection, review: Review) -> bool:
    """Take a decision into the unit's round, where it needs one; whether it is in force at once.

    Where it is not, the rows carry the models' word again. Where it is, and others had judged
    before, the rows carry what came of all their words.
    """
    round = round_of(inspection, lock=True)
    if round is None:
        return _open(membership, inspection, review)
    if round.state == RoundState.SECOND:
        return _first_or_second(round, inspection, review)
    if round.state == RoundState.GOLD:
        judgement = _seal(round, inspection, review, JudgementPart.GOLD)
        grade(judgement)
        _note_agreements(round, judgement)
        return False
    if round.state == RoundState.ADJUDICATION:
        _write(round, inspection, review, JudgementPart.ADJUDICATION)
        _close(round)
    return True


def _open(membership: Membership, inspection: Inspection, review: Review) -> bool:
    reasons = reasons_for_second(membership, inspection)
    if not reasons:
        return True
    round = Round.objects.create(
        site_id=inspection.site_id,
        inspection=inspection,
        plan_id=inspection.plan_id,
        kind=RoundKind.SECOND,
        state=RoundState.SECOND,
        reasons=reasons,
    )
    _seal(round, inspection, review, JudgementPart.FIRST)
    return False


def _first_or_second(round: Round, inspection: Inspection, review: Review) -> bool:
    """The second word; the first one once more, where its author has taken it back."""
    first = Judgement.objects.filter(
        round=round, part=JudgementPart.FIRST, withdrawn_at__isnull=True
    ).first()
    if first is None:
        _seal(round, inspection, review, JudgementPart.FIRST)
        return False
    second = _write(round, inspection, review, JudgementPart.SECOND)
    _note_agreements(round, second)
    compared = sealing.compare(sealing.parsed(first.findings), sealing.parsed(second.findings))
    agreed = first.disposition == second.disposition and not compared.disputed
    if agreed:
        sealing.put_back(compared.merged)
        _close(round, is_agreed=True)
        return True
    sealing.take_out(inspection)
    _lay_open(round)
    Round.objects.filter(pk=round.pk).update(
        state=RoundState.ADJUDICATION, is_agreed=False, holder=None, holder_until=None
    )
    return False


def _lay_open(round: Round) -> None:
    """Let stand what the two don't contradict each other in; the rest is for the third person."""
    first, second = blind_words(round)
    sealing.put_back(sealing.compare(first, second).merged)


def blind_words(round: Round) -> tuple[list[sealing.Word], list[sealing.Word]]:
    """What the two said, once both are in."""
    rows = Judgement.objects.filter(round=round, withdrawn_at__isnull=True)
    by_part = {row.part: sealing.parsed(row.findings) for row in rows}
    return by_part[JudgementPart.FIRST], by_part[JudgementPart.SECOND]


def _write(round: Round, inspection: Inspection, review: Review, part: JudgementPart) -> Judgement:
    judgement: Judgement = Judgement.objects.create(
        site_id=round.site_id,
        round=round,
        inspection=inspection,
        reviewer_id=review.reviewer_id,
        review=review,
        part=part,
        disposition=review.after["disposition"],
        findings=sealing.kept(sealing.word_on(inspection)),
    )
    return judgement


def _seal(round: Round, inspection: Inspection, review: Review, part: JudgementPart) -> Judgement:
    judgement = _write(round, inspection, review, part)
    sealing.take_out(inspection)
    Round.objects.filter(pk=round.pk).update(holder=None, holder_until=None)
    return judgement


def _close(round: Round, **more: object) -> None:
    Round.objects.filter(pk=round.pk).update(
        state=RoundState.FINAL, closed_at=timezone.now(), holder=None, holder_until=None, **more
    )


def status_while_sealed(inspection: Inspection) -> InspectionStatus:
    """It waits for a person, like a unit that nobody has looked at."""
    return InspectionStatus.REVIEW if inspection.disposition else InspectionStatus.FAILED


def take_back(membership: Membership, inspection: Inspection, review: Review) -> bool:
    """Take a sealed first word back, before anybody else has begun; the rows get what its author
    had said of the findings, so that they can go on from there. False where it is not sealed."""
    round = round_of(inspection, lock=True)
    judgement = Judgement.objects.filter(
        review=review, reviewer=membership.user, withdrawn_at__isnull=True
    ).first()
    if round is None or judgement is None:
        return False
    if round.state != RoundState.SECOND or judgement.part != JudgementPart.FIRST:
        raise ReviewRefusedError("It is compared with other words already, so it stays.")
    if round.holder_id is not None:
        raise ReviewRefusedError("Somebody has begun to give the second word, so yours stays.")
    Judgement.objects.filter(pk=judgement.pk).update(withdrawn_at=timezone.now())
    sealing.put_back(sealing.parsed(judgement.findings))
    return True


def _note_agreements(round: Round, mine: Judgement) -> None:
    """Lay a blind word beside those that others gave on the same unit."""
    parts = (JudgementPart.FIRST, JudgementPart.SECOND, JudgementPart.GOLD)
    others = Judgement.objects.filter(round=round, part__in=parts, withdrawn_at__isnull=True)
    for other in others.exclude(pk=mine.pk).exclude(reviewer=mine.reviewer_id):
        one, two = sorted((mine, other), key=lambda row: row.reviewer_id)
        _note_pair(round, one, two)


def _note_pair(round: Round, one: Judgement, two: Judgement) -> None:
    compared = sealing.compare(sealing.parsed(one.findings), sealing.parsed(two.findings))
    overlaps = [sealing.mask_iou(left, right) for left, right in compared.drawn]
    Agreement.objects.create(
        site_id=round.site_id,
        round=round,
        plan_id=round.plan_id,
        judgement_a=one,
        judgement_b=two,
        reviewer_a_id=one.reviewer_id,
        reviewer_b_id=two.reviewer_id,
        disposition_a=one.disposition,
        disposition_b=two.disposition,
        classes=[list(pair) for pair in compared.labels],
        ious=[overlap for overlap in overlaps if overlap is not None],
    )


def set_rule(membership: Membership, plan: Plan, **values: Any) -> JudgingRule:
    """State when a second reviewer looks at units of a plan, and the share of gold units."""
    if plan.site_id != membership.site_id or not membership.allows(Role.MANAGER):
        raise ReviewRefusedError("Only a quality manager of this site sets the rule.")
    rule, _ = JudgingRule.objects.update_or_create(
        plan=plan, defaults=values | {"site": membership.site, "updated_by": membership.user}
    )
    return rule
