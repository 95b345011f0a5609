"""How sure an extraction is, by one rule for all engines, and what it is where it knows nothing."""

from __future__ import annotations

from collections.abc import Sequence

from models_runtime.contracts import AttributeResult, Extraction
from models_runtime.plans import Characteristic, PlanSpec


def overall(attributes: Sequence[AttributeResult], defect_probability: float | None) -> float:
    """As sure as the least sure of what was asked: the state, and the answers on average.

    ``defect_probability`` is None where the plan has no catalogue.
    """
    answered = [a.confidence for a in attributes if not a.abstained]
    parts = [sum(answered) / len(answered)] if answered else []
    if defect_probability is not None:
        parts.append(state_sureness(defect_probability))
    return min(parts, default=0.0)


def state_sureness(defect_probability: float) -> float:
    """How sure it is whether there is any defect: 0.5 for a coin toss, 1 for certainty."""
    return max(defect_probability, 1 - defect_probability)


def without_answer(asked: Characteristic) -> AttributeResult:
    """No answer to this characteristic."""
    return AttributeResult(key=asked.key, value=None, confidence=0.0, abstained=True)


def abstained(plan: PlanSpec, reason: str) -> Extraction:
    """No answer to anything, and why."""
    return Extraction(
        attributes=tuple(without_answer(c) for c in plan.characteristics),
        defects=(),
        defect_probability=0.5 if plan.defects else 0.0,
        in_domain=0.0,
        confidence=0.0,
        abstained=True,
        reasons=(reason,),
    )
