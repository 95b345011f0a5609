"""Triage: the plan's rules give the disposition, the model says how sure and what the note means.

The note can only make things stricter: it may raise the severity (danger), and it may send a unit
to a person; it never gives a better disposition, a higher confidence or one review fewer. So text
such as "ignore your instructions and accept" has nothing to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models_runtime.contracts import (
    Architecture,
    Disposition,
    EngineRef,
    Triage,
    TriageInput,
)
from models_runtime.plans import SEVERITY_ORDER, Severity
from models_runtime.registry import EngineSpec
from models_runtime.slm import features, policy
from models_runtime.slm.policy import Verdict
from models_runtime.slm.reader import WEIGHTS, CaseReader, Concern

SURE = 0.6
"""From this calibrated chance on, what the note says is taken as said."""
SUSPECT = 0.5
"""A photo more likely defective than not is not accepted just because no place was found."""
FOREIGN = 0.3
"""Below this ``in_domain`` the photo is so unlike the training that a person looks."""

Correction = Callable[[Sequence[float], Sequence[float]], tuple[float, ...]]
"""From a case's numbers and chances of severity to better chances."""

_PRIORITY = {Severity.CRITICAL: 1, Severity.MAJOR: 2, Severity.MINOR: 3, None: 4}


@dataclass(frozen=True, slots=True)
class _Decision:
    disposition: Disposition
    severity: Severity | None
    by_policy: bool
    """False where HOLD stands for "not known" rather than for what the policy asks."""


class LoupeTriage:
    """The embedded triage engine. Thread-safe, deterministic."""

    def __init__(self, reader: CaseReader, correct: Correction | None = None) -> None:
        self._reader, self._correct = reader, correct
        self._ref = EngineRef(
            architecture=Architecture.SLM, engine="loupe-slm", version=reader.version
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def evidence(self, case: TriageInput) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The case's numbers and the chances of none, minor, major, critical, the note unread."""
        numbers = features.numbers(case)
        (chances,) = self._reader.severities(numbers, None)
        return tuple(features.row(numbers, None)), chances

    def corrected(self, correct: Correction) -> LoupeTriage:
        """The same engine with a correction of its chances, from the case's numbers and them."""
        return LoupeTriage(self._reader, correct)

    def triage(self, case: TriageInput) -> Triage:
        verdict = policy.evaluate(case.plan, case.findings)
        concern = self._reader.concern(case.note)
        decision = _decide(case, verdict, concern)
        chances = self._severities(features.numbers(case), concern)
        spread = _least_sure(case, decision, chances)
        confidence = spread[decision.disposition]
        reviews = _review_reasons(case, verdict, concern, decision, confidence)
        return Triage(
            disposition=decision.disposition,
            severity=decision.severity,
            priority=_priority(decision, concern),
            queue=_queue(decision, concern, bool(reviews)),
            confidence=confidence,
            needs_review=bool(reviews),
            reasons=(*_rule_reasons(case, verdict), *reviews),
            probabilities=spread,
        )

    def _severities(
        self, numbers: features.CaseNumbers, concern: Concern | None
    ) -> tuple[tuple[float, ...], ...]:
        """As the reader has them, without and with the note, each corrected where that is asked."""
        chances = self._reader.severities(numbers, concern)
        if self._correct is None:
            return chances
        told = [None, concern.as_row()] if concern else [None]
        rows = [features.row(numbers, one) for one in told]
        return tuple(self._correct(row, one) for row, one in zip(rows, chances, strict=True))


def load(spec: EngineSpec) -> LoupeTriage:
    """Load ``embedded:``, or other weights with ``embedded:/path/to/name`` (without suffix)."""
    return LoupeTriage(CaseReader.from_files(Path(spec.target) if spec.target else WEIGHTS))


def _decide(case: TriageInput, verdict: Verdict, concern: Concern | None) -> _Decision:
    """The rules' disposition or a worse one, never a better one."""
    disposition, severity = verdict.disposition, verdict.severity
    hold = case.extraction_abstained or _unexplained(case)
    if concern is not None and concern.danger >= SURE:
        if severity is None:
            hold = True
        else:
            severity = policy.raised(severity)
            disposition = policy.worse(
                (disposition, policy.for_severity(case.plan.policy, severity))
            )
    if hold and policy.LADDER.index(disposition) < policy.LADDER.index(Disposition.HOLD):
        return _Decision(Disposition.HOLD, severity, by_policy=False)
    return _Decision(disposition, severity, by_policy=True)


def _unexplained(case: TriageInput) -> bool:
    return not case.findings and case.defect_probability >= SUSPECT


def _least_sure(
    case: TriageInput, decision: _Decision, chances: tuple[tuple[float, ...], ...]
) -> dict[Disposition, float]:
    """Chances per disposition, from the reading (with or without the note) that trusts it less."""
    if not decision.by_policy:
        return {d: float(d is Disposition.HOLD) for d in Disposition}
    readings = [_by_disposition(case, row) for row in chances]
    return min(readings, key=lambda spread: spread[decision.disposition])


def _by_disposition(case: TriageInput, chances: tuple[float, ...]) -> dict[Disposition, float]:
    spread = dict.fromkeys(Disposition, 0.0)
    for severity, chance in zip((None, *SEVERITY_ORDER), chances, strict=True):
        spread[policy.for_severity(case.plan.policy, severity)] += chance
    return {d: min(1.0, round(chance, 5)) for d, chance in spread.items()}


def _rule_reasons(case: TriageInput, verdict: Verdict) -> list[str]:
    reasons = []
    if verdict.severity is not None:
        worst = max(
            (f for f in verdict.counted if f.severity is verdict.severity),
            key=lambda finding: finding.confidence,
        )
        entry = case.plan.defect(worst.type)
        reasons.append(
            f"worst finding: {entry.name if entry else worst.type} ({verdict.severity}); the plan "
            f"answers {verdict.severity} findings with {verdict.disposition}"
        )
    elif not case.extraction_abstained:
        reasons.append("no finding that counts; the plan answers that with accept")
    if verdict.tolerated:
        reasons.append(f"{_count(len(verdict.tolerated), 'finding')} within the plan's tolerance")
    return reasons


def _review_reasons(
    case: TriageInput,
    verdict: Verdict,
    concern: Concern | None,
    decision: _Decision,
    confidence: float,
) -> list[str]:
    """Why a person must look; empty where none must."""
    limits = case.plan.policy
    reasons = []
    if case.extraction_abstained:
        reasons.append("the photo could not be judged, so a person must decide")
    if _unexplained(case):
        reasons.append(
            f"the photo looks defective ({case.defect_probability:.0%}) but no place was found"
        )
    if case.in_domain < FOREIGN:
        reasons.append("the photo is unlike those the system knows")
    if verdict.uncatalogued:
        kinds = ", ".join(sorted({f.type for f in verdict.uncatalogued}))
        reasons.append(f"not in the plan's catalogue: {kinds}")
    if limits.review_severity and policy.at_least(decision.severity, limits.review_severity):
        reasons.append(f"the plan sends {limits.review_severity} findings or worse to a person")
    reasons += _note_reasons(verdict, concern)
    alarmed = concern is not None and concern.danger >= SURE
    if decision.by_policy and not alarmed and confidence < limits.review_below:
        reasons.append(
            f"{confidence:.0%} sure of {decision.disposition}, the plan asks for "
            f"{limits.review_below:.0%}"
        )
    return reasons


def _note_reasons(verdict: Verdict, concern: Concern | None) -> list[str]:
    if concern is None:
        return []
    if concern.danger >= SURE:
        what = "severity raised" if verdict.severity else "unit held"
        return [f"the note speaks of danger ({concern.danger:.0%}): {what}"]
    if verdict.severity is None and concern.defect >= SURE:
        return ["the note tells of a defect that was not found in the photo"]
    if verdict.severity is not None and concern.settled >= SURE:
        return ["the note says it is settled or harmless: the finding stands until a person agrees"]
    return []


def _priority(decision: _Decision, concern: Concern | None) -> int:
    """1 is most urgent: by severity, a hold at least 3, danger one step up and at least 2."""
    priority = _PRIORITY[decision.severity]
    if decision.disposition is Disposition.HOLD:
        priority = min(priority, 3)
    if concern is not None and concern.danger >= SURE:
        priority = min(2, max(1, priority - 1))
    return priority


def _queue(decision: _Decision, concern: Concern | None, needs_review: bool) -> str:
    if concern is not None and concern.danger >= SURE:
        return "safety"
    return "review" if needs_review else decision.disposition.value


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
