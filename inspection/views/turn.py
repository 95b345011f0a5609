"""What the page of a unit tells of its round: whose turn it is, and what two said who differ."""

from __future__ import annotations

from typing import Any

from inspection.models import Inspection, Judgement, Membership, Round
from inspection.models.choices import DispositionChoice, JudgementPart, RoundKind, RoundState
from inspection.selectors.evidence import Evidence
from inspection.selectors.rounds import sealed_word
from inspection.services import judging, sealing
from models_runtime.risk.dial import part_of

SIDES = ("One reviewer", "The other")


def turn(membership: Membership, inspection: Inspection, evidence: Evidence) -> dict[str, Any]:
    """Nothing for a unit that one person judges, and nothing that tells such a unit from one on
    which a second or known word is waited for."""
    round = judging.round_of(inspection)
    if round is None:
        return {}
    mine = sealed_word(round, membership.user)
    told: dict[str, Any] = {"mine": mine, "why_not": judging.why_not(membership, round)}
    if round.kind == RoundKind.SECOND and round.state == RoundState.ADJUDICATION:
        told["words"] = _two_words(round)
        told["disputed"] = _disputed(round, evidence)
    if round.kind == RoundKind.SECOND and round.state == RoundState.FINAL:
        told["final"] = _judgements(round)
        told["is_agreed"] = round.is_agreed
    return told


def _judgements(round: Round) -> list[Judgement]:
    rows = Judgement.objects.filter(round=round, withdrawn_at__isnull=True)
    return list(rows.select_related("reviewer").order_by("created_at"))


def _in_lot_order(round: Round) -> list[Judgement]:
    """The two blind words in an order that tells nothing of who was first."""
    parts = (JudgementPart.FIRST, JudgementPart.SECOND)
    found = [one for one in _judgements(round) if one.part in parts]
    return sorted(found, key=lambda one: part_of(str(one.pk), "side"))


def _two_words(round: Round) -> list[tuple[str, str, str]]:
    """Without names, which are no argument."""
    return [
        (side, one.disposition, DispositionChoice(one.disposition).label)
        for side, one in zip(SIDES, _in_lot_order(round), strict=False)
    ]


def _disputed(round: Round, evidence: Evidence) -> list[dict[str, Any]]:
    """Findings on which the two contradict each other, in the same order as the words."""
    left, right = (sealing.parsed(one.findings) for one in _in_lot_order(round))
    rows = {str(row.finding.pk): row for row in evidence.findings}
    found = sealing.compare(left, right).disputed
    return [
        {"row": rows[one.id], "left": _named(rows[one.id], one), "right": _named(rows[one.id], two)}
        for one, two in found
        if one.id in rows
    ]


def _named(row: Any, word: sealing.Word) -> str:
    """The class by its name in the catalogue."""
    names = {option.key: option.name for option in row.options}
    return str(names.get(word.label, word.label)) if word.stands else "not a defect"
