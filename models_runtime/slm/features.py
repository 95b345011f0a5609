"""The case as numbers: what the severity head sees beside the note.

All values lie in about 0..1, so that the head needs no statistics of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models_runtime.contracts import TriageInput
from models_runtime.plans import SEVERITY_ORDER, CharacteristicKind
from models_runtime.slm.policy import tolerated

NAMES: tuple[str, ...] = (
    "any_minor",
    "any_major",
    "any_critical",
    "top_minor",
    "top_major",
    "top_critical",
    "count",
    "area",
    "mask_confidence",
    "defect_probability",
    "defect_log_odds",
    "in_domain",
    "worst_condition",
    "attribute_confidence",
    "attributes_abstained",
    "tolerated",
    "has_note",
    "note_routine_or_worse",
    "note_defect_or_worse",
    "note_danger",
)
SIZE = len(NAMES)


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding reduced to numbers: index of its severity, confidences, share of the photo."""

    severity: int
    confidence: float
    area: float
    mask_confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class CaseNumbers:
    """Everything the severity head may know of a case, without the note."""

    findings: tuple[Seen, ...]
    defect_probability: float
    in_domain: float
    worst_condition: float = 1.0
    attribute_confidence: float = 1.0
    attributes_abstained: float = 0.0
    tolerated: int = 0


def numbers(case: TriageInput) -> CaseNumbers:
    """Reduce a case to the head's numbers; tolerated findings are only counted."""
    counted = [f for f in case.findings if not tolerated(case.plan, f)]
    seen = tuple(
        Seen(
            SEVERITY_ORDER.index(finding.severity),
            finding.confidence,
            min(1.0, finding.area_px / case.photo_area_px),
            1.0 if finding.mask_confidence is None else finding.mask_confidence,
        )
        for finding in counted
    )
    given = [a for a in case.attributes if not a.abstained]
    total = len(case.attributes)
    return CaseNumbers(
        findings=seen,
        defect_probability=case.defect_probability,
        in_domain=case.in_domain,
        worst_condition=_worst_condition(case),
        attribute_confidence=sum(a.confidence for a in given) / len(given) if given else 1.0,
        attributes_abstained=1.0 - len(given) / total if total else 0.0,
        tolerated=len(case.findings) - len(counted),
    )


def row(case: CaseNumbers, concern: Sequence[float] | None) -> list[float]:
    """One row of features in the order of NAMES.

    ``concern``: P(routine or worse), P(defect or worse), P(danger) of the note; None without one.
    """
    any_of = [1.0, 1.0, 1.0]
    top = [0.0, 0.0, 0.0]
    for finding in case.findings:
        any_of[finding.severity] *= 1.0 - finding.confidence
        top[finding.severity] = max(top[finding.severity], finding.confidence)
    probability = min(max(case.defect_probability, 0.01), 0.99)
    area = sum(finding.area for finding in case.findings)
    return [
        *(1.0 - chance for chance in any_of),
        *top,
        min(1.0, math.log1p(len(case.findings)) / 3.0),
        min(1.0, math.sqrt(area)),
        min((f.mask_confidence for f in case.findings), default=1.0),
        case.defect_probability,
        math.log(probability / (1.0 - probability)) / 5.0,
        case.in_domain,
        case.worst_condition,
        case.attribute_confidence,
        case.attributes_abstained,
        min(1.0, case.tolerated / 5.0),
        *([0.0] * 4 if concern is None else [1.0, *concern]),
    ]


def _worst_condition(case: TriageInput) -> float:
    """The lowest answered condition scale (1 worst … 10 as new) as 0..1; 1 where none is asked."""
    scales = {c.key for c in case.plan.characteristics if c.kind is CharacteristicKind.SCALE}
    answers = [
        float(a.value)
        for a in case.attributes
        if a.key in scales and not a.abstained and isinstance(a.value, int | float)
    ]
    return min(1.0, max(0.0, (min(answers) - 1.0) / 9.0)) if answers else 1.0
