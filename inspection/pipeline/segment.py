"""Segment: exactly which pixels, for each defect that was pointed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from inspection.models import Run
from inspection.models.choices import StepName
from inspection.pipeline.earlier import EarlierUnit, earlier_photos, earlier_unit, hashes_of
from inspection.pipeline.extract import NO_PLAN, output_of, plan_of, saved_extractions
from inspection.pipeline.golden import Doubt, GoldenRef, comparer, doubt, golden_photos
from inspection.pipeline.heat import keep_heat
from inspection.pipeline.photos import PhotoRef, pixels, usable_photos
from inspection.pipeline.runtime import runtime
from inspection.pipeline.settle import Seen, settle
from inspection.pipeline.step import Step, Trace, traced
from inspection.selectors.earlier import earlier_inspection
from models_runtime.contracts import Extraction, PhotoPixels
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.compare.earlier import Change
    from models_runtime.inspector import StepRecord


@dataclass(frozen=True, slots=True)
class Pointed:
    """The unit's photos, each with what was said of it and its perceptual hash, and what they are
    compared with: sound units, and the same unit as it was."""

    plan: PlanSpec
    photos: tuple[tuple[PhotoRef, Extraction], ...]
    golden: tuple[GoldenRef, ...]
    earlier: EarlierUnit | None = None
    hashes: dict[UUID, int | None] = field(default_factory=dict)


def skip(run: Run) -> str:
    """Nothing to outline: then what an earlier run had found is settled here and now."""
    if not run.inspection.plan_version_id:
        return NO_PLAN
    if golden_photos(run) or any(one.defects for one in saved_extractions(run).values()):
        return ""
    if earlier_inspection(run.inspection) is not None:
        return ""
    settle(run, [])
    return "Nothing was pointed at, so there is nothing to outline."


def load(run: Run) -> Pointed:
    said = saved_extractions(run)
    photos = tuple((ref, said[ref.id]) for ref in usable_photos(run) if ref.id in said)
    hashes = hashes_of([ref.id for ref, _ in photos])
    return Pointed(plan_of(run), photos, golden_photos(run), earlier_unit(run), hashes)


def compute(pointed: Pointed) -> tuple[list[Seen], Trace]:
    """Outline what the extractor pointed at, what differs from the golden photos, and what has
    changed since the earlier inspection."""
    from models_runtime.inspector import compare_photo, segment_findings

    seen: list[Seen] = []
    records: list[StepRecord] = []
    doubts: dict[str, object] = {}
    changes: dict[UUID, Change | None] = {}
    heat: dict[str, str] = {}
    judge = comparer(pointed.golden)
    for position, (ref, said) in enumerate(pointed.photos):
        photo = pixels(ref)
        compared = compare_photo(runtime(), judge, photo).value if judge else None
        if compared is not None:
            heat[str(ref.id)] = keep_heat(ref.id, compared.heat)
        change = changes[ref.id] = _change(pointed, ref, photo)
        done = segment_findings(runtime(), photo, said.defects, pointed.plan, compared, change)
        records.append(done.record)
        doubts[str(ref.id)] = doubt(said, compared).model_dump(mode="json")
        seen += [Seen(ref.id, f"{position}-{found.id}", found) for found in done.value]
    compared_with = len(pointed.golden) if judge else 0
    output = {"findings": len(seen), "golden": compared_with, "doubts": doubts, "heat": heat}
    return seen, traced(records, output | _told_of(pointed.earlier, changes))


def _change(pointed: Pointed, ref: PhotoRef, photo: PhotoPixels) -> Change | None:
    from models_runtime.inspector import compare_with_earlier

    if pointed.earlier is None:
        return None
    photos = earlier_photos(pointed.earlier, pointed.hashes.get(ref.id))
    return compare_with_earlier(runtime(), photo, photos).value


def _told_of(
    earlier: EarlierUnit | None, changes: Mapping[UUID, Change | None]
) -> dict[str, object]:
    """What is kept of the comparison: with which inspection, and by photo how alike both are and
    which share of it has changed."""
    if earlier is None:
        return {}
    photos = {
        str(photo): {
            "likeness": round(change.registration.likeness, 4),
            "changed_share": round(float((change.heat > 1).mean()), 4),
        }
        for photo, change in changes.items()
        if change is not None
    }
    return {"earlier": {"inspection": str(earlier.id), "photos": photos}}


def save(run: Run, seen: list[Seen]) -> None:
    settle(run, seen)


def saved_doubts(run: Run) -> list[Doubt]:
    """How sure this run is of each photo, from its rows."""
    doubts = output_of(run, StepName.SEGMENT).get("doubts")
    if doubts is not None:
        return [Doubt.model_validate(value) for value in doubts.values()]
    return [doubt(said, None) for said in saved_extractions(run).values()]


SEGMENT = Step(StepName.SEGMENT, "vision", load, compute, save, skip)
