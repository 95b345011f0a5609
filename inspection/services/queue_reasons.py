"""Why a unit comes to a person, and how much the review is worth. Pure functions of values."""

from __future__ import annotations

from dataclasses import dataclass

from inspection.models.choices import ReviewReason, SeverityChoice

UNLIKE_BELOW = 0.3
"""Photos with less chance than this of being like those of the training are told as unlike."""
LOOKS_DEFECTIVE = 0.5
"""From this chance of any defect on, a photo without a finding contradicts itself."""
LEAST = 0.02
"""No review is worth nothing: the others could keep it waiting for ever."""
RISK = {SeverityChoice.CRITICAL: 1.0, SeverityChoice.MAJOR: 0.5, SeverityChoice.MINOR: 0.2}
FIRST = (
    ReviewReason.SEVERITY,
    ReviewReason.OUT_OF_DISTRIBUTION,
    ReviewReason.DISAGREEMENT,
    ReviewReason.LOW_CONFIDENCE,
    ReviewReason.SAMPLED,
)
"""Of several reasons the first of these is the queue."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a unit after triage. ``findings`` that count; chances and confidence 0..1;
    ``is_sampled``: the risk dial drew it although the models alone would have accepted it;
    ``is_severe``: as bad as the plan, or a note that speaks of danger, sends to a person."""

    severity: str
    findings: int
    confidence: float
    defect_probability: float
    in_domain: float
    abstained: bool
    is_sampled: bool
    is_severe: bool
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """Shares above 0, up to 1: how bad a wrong word would be, and how likely it is."""

    risk: float
    uncertainty: float


def reasons_of(case: Case) -> tuple[ReviewReason, ...]:
    """All that hold, the one whose queue it lies in first; never none."""
    holds = {
        ReviewReason.SAMPLED: case.is_sampled,
        ReviewReason.SEVERITY: case.is_severe,
        ReviewReason.OUT_OF_DISTRIBUTION: case.in_domain < UNLIKE_BELOW,
        ReviewReason.DISAGREEMENT: _contradicts_itself(case),
        ReviewReason.LOW_CONFIDENCE: case.abstained or case.is_unsure,
    }
    found = tuple(reason for reason in FIRST if holds[reason])
    # Asked although it was sure: a note, or a class outside of the catalogue, says otherwise.
    return found or (ReviewReason.DISAGREEMENT,)


def _contradicts_itself(case: Case) -> bool:
    """A photo that looks defective without a place of it, or findings on one that looks sound."""
    if case.abstained:
        return False
    looks_defective = case.defect_probability >= LOOKS_DEFECTIVE
    return looks_defective != bool(case.findings)


def worth_of(case: Case) -> Worth:
    """What a review is worth now; each day that it waits doubles it (``ReviewTask.rank``)."""
    severity = RISK.get(SeverityChoice(case.severity), 0.0) if case.severity else 0.0
    risk = max(severity, case.defect_probability / 2)
    uncertainty = 1.0 - case.confidence
    if case.abstained:
        uncertainty = 1.0
    return Worth(_share(risk), _share(max(uncertainty, 0.5 - case.in_domain)))


def _share(value: float) -> float:
    return min(1.0, max(LEAST, value))
