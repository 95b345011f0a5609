"""What the dial looks at of a unit: the chance of any defect, and of each type of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from models_runtime.contracts import Extraction
from models_runtime.plans import PlanSpec

ANY_DEFECT = "any-defect!"
"""Name of the class "any defect"; no key of a catalogue can hold an exclamation mark."""


def class_names(plan: PlanSpec) -> tuple[str, ...]:
    """The classes that have a threshold, in order: any defect, then the catalogue's types."""
    return (ANY_DEFECT, *(defect.key for defect in plan.defects))


def unit_chances(
    plan: PlanSpec, defect_probability: float, photos: Iterable[Extraction]
) -> dict[str, float]:
    """Chances by class name. Of a type it is the surest place on any photo, 0 where there is none.

    ``defect_probability`` is the one that triage goes by, golden photos counted in.
    """
    chances = dict.fromkeys(class_names(plan), 0.0)
    chances[ANY_DEFECT] = defect_probability
    for extraction in photos:
        for candidate in extraction.defects:
            known = chances.get(candidate.type)
            if known is not None:
                chances[candidate.type] = max(known, candidate.confidence)
    return chances
