"""Segment: exactly which pixels, for each defect that was pointed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.models import Run
from inspection.models.choices import StepName
from inspection.pipeline.extract import NO_PLAN, output_of, plan_of, saved_extractions
from inspection.pipeline.golden import Doubt, GoldenRef, comparer, doubt, golden_photos
from inspection.pipeline.photos import PhotoRef, pixels, usable_photos
from inspection.pipeline.runtime import runtime
from inspection.pipeline.settle import Seen, settle
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import Extraction
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.inspector import StepRecord


@dataclass(frozen=True, slots=True)
class Pointed:
    """The unit's photos, each with what was said of it, and the sound units to compare with."""

    plan: PlanSpec
    photos: tuple[tuple[PhotoRef, Extraction], ...]
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
    photos = tuple((ref, said[ref.id]) for ref in usable_photos(run) if ref.id in said)
    return Pointed(plan_of(run), photos, golden_photos(run))


def compute(pointed: Pointed) -> tuple[list[Seen], Trace]:
    """Outline what the extractor pointed at, and what differs from the golden photos."""
    from models_runtime.inspector import compare_photo, segment_findings

    seen: list[Seen] = []
    records: list[StepRecord] = []
    doubts: dict[str, object] = {}
    judge = comparer(pointed.golden)
    for position, (ref, said) in enumerate(pointed.photos):
        photo = pixels(ref)
        compared = compare_photo(runtime(), judge, photo).value if judge else None
        done = segment_findings(runtime(), photo, said.defects, pointed.plan, compared)
        records.append(done.record)
        doubts[str(ref.id)] = doubt(said, compared).model_dump(mode="json")
        seen += [Seen(ref.id, f"{position}-{found.id}", found) for found in done.value]
    compared_with = len(pointed.golden) if judge else 0
    output = {"findings": len(seen), "golden": compared_with, "doubts": doubts}
    return seen, traced(records, output)


def save(run: Run, seen: list[Seen]) -> None:
    settle(run, seen)


def saved_doubts(run: Run) -> list[Doubt]:
    """How sure this run is of each photo, from its rows."""
    doubts = output_of(run, StepName.SEGMENT).get("doubts")
    if doubts is not None:
        return [Doubt.model_validate(value) for value in doubts.values()]
    return [doubt(said, None) for said in saved_extractions(run).values()]


SEGMENT = Step(StepName.SEGMENT, "vision", load, compute, save, skip)
