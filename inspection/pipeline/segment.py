"""Segment: exactly which pixels, for each defect that was pointed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.models import Run
from inspection.models.choices import StepName
from inspection.pipeline.extract import NO_PLAN, plan_of, saved_extractions
from inspection.pipeline.golden import GoldenRef, comparer, golden_photos
from inspection.pipeline.photos import PhotoRef, pixels, usable_photos
from inspection.pipeline.runtime import runtime
from inspection.pipeline.settle import Seen, settle
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import DefectCandidate
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.inspector import StepRecord


@dataclass(frozen=True, slots=True)
class Pointed:
    """The unit's photos, each with what was pointed at, and the sound units to compare with."""

    plan: PlanSpec
    photos: tuple[tuple[PhotoRef, tuple[DefectCandidate, ...]], ...]
    golden: tuple[GoldenRef, ...]


def skip(run: Run) -> str:
    """Nothing to outline: then what an earlier run had found is settled here and now."""
    if not run.inspection.plan_version_id:
        return NO_PLAN
    if golden_photos(run) or any(one.defects for one in saved_extractions(run).values()):
        return ""
    settle(run, [])
    return "Nothing was pointed at, so there is nothing to outline."


def load(run: Run) -> Pointed:
    said = saved_extractions(run)
    photos = tuple(
        (ref, said[ref.id].defects if ref.id in said else ()) for ref in usable_photos(run)
    )
    return Pointed(plan_of(run), photos, golden_photos(run))


def compute(pointed: Pointed) -> tuple[list[Seen], Trace]:
    from models_runtime.inspector import compare_photo, segment_findings

    seen: list[Seen] = []
    records: list[StepRecord] = []
    deviations: dict[str, float] = {}
    judge = comparer(runtime(), pointed.golden)
    for position, (ref, candidates) in enumerate(pointed.photos):
        photo = pixels(ref)
        compared = compare_photo(runtime(), judge, photo) if judge else None
        if compared:
            deviations[str(ref.id)] = compared.value.probability
        done = segment_findings(
            runtime(), photo, candidates, pointed.plan, compared.value if compared else None
        )
        records.append(done.record)
        seen += [Seen(ref.id, f"{position}-{found.id}", found) for found in done.value]
    return seen, traced(records, {"findings": len(seen), "deviations": deviations})


def save(run: Run, seen: list[Seen]) -> None:
    settle(run, seen)


SEGMENT = Step(StepName.SEGMENT, "vision", load, compute, save, skip)
