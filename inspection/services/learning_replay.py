"""What a version says of a judged unit, from readings that are kept: no photo is looked at again.

Findings have the areas of their rows; deviations from golden or earlier photos are taken as they
were. The same is done for both versions that are compared, so that only they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from inspection.models import Finding, Inspection
from inspection.models.choices import FindingSourceChoice
from inspection.pipeline.extract import surest
from inspection.pipeline.settle import SAME_DEFECT_IOU, iou, value_of
from models_runtime.contracts import Box, DefectCandidate, Disposition, Extraction, TriageInput
from models_runtime.contracts import Finding as FindingValue
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.learning.delta import Delta
    from models_runtime.learning.reading import Reading
    from models_runtime.runtime import Runtime

Readings = Mapping[UUID, "Reading"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A version's word on a unit. ``asks``: a person looks. ``chance``: that it is defective."""

    disposition: str
    asks: bool
    chance: float
    confidence: float

    def told(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def accepts(self) -> bool:
        return self.disposition == Disposition.ACCEPT


@dataclass(frozen=True, slots=True)
class Subject:
    """A unit: its photos as (id, width, height), its finding rows and its readings."""

    inspection: Inspection
    photos: Sequence[tuple[UUID, int, int]]
    rows: Sequence[Finding]
    readings: Readings


def extractions(delta: Delta, readings: Readings, plan: PlanSpec) -> dict[UUID, Extraction]:
    """What a version says of each photo."""
    from models_runtime.learning.applied import corrected

    return {photo: corrected(delta, reading, plan) for photo, reading in readings.items()}


def case_of(subject: Subject, said: Mapping[UUID, Extraction], plan: PlanSpec) -> TriageInput:
    """The unit as triage would have it."""
    known = [one.defect_probability for one in said.values() if not one.abstained]
    sizes = [width * height for _, width, height in subject.photos]
    return TriageInput(
        plan=plan,
        attributes=tuple(surest(said.values())),
        findings=tuple(_findings(subject, said, plan)),
        defect_probability=max(known, default=0.5),
        in_domain=min((one.in_domain for one in said.values()), default=0.0),
        extraction_abstained=any(one.abstained for one in said.values()),
        note=subject.inspection.note[:4000],
        photo_area_px=max(1, sum(sizes)),
    )


def answer(runtime: Runtime, case: TriageInput) -> Answer:
    """What triage says of a case; ``runtime`` with the version in front."""
    from models_runtime.inspector import triage_case

    triage = triage_case(runtime, case).value
    return Answer(
        triage.disposition.value, triage.needs_review, case.defect_probability, triage.confidence
    )


def _findings(
    subject: Subject, said: Mapping[UUID, Extraction], plan: PlanSpec
) -> Iterable[FindingValue]:
    for photo, one in said.items():
        for number, candidate in enumerate(one.defects):
            yield _finding(subject, photo, f"{photo}-{number}", candidate, plan)
    compared = (FindingSourceChoice.GOLDEN, FindingSourceChoice.EARLIER)
    for row in subject.rows:
        if row.source in compared and row.run_id == subject.inspection.current_run_id:
            yield value_of(row).model_copy(update={"confidence": row.confidence, "mask": None})


def _finding(
    subject: Subject, photo: UUID, key: str, candidate: DefectCandidate, plan: PlanSpec
) -> FindingValue:
    row = match(photo, candidate, subject.rows)
    area = row.area_px if row else round(candidate.box.area)
    scale = plan.mm_per_px
    return FindingValue(
        id=key,
        type=candidate.type,
        box=candidate.box,
        mask=None,
        area_px=area,
        area_mm2=None if scale is None else area * scale**2,
        severity=candidate.severity,
        confidence=candidate.confidence,
        mask_confidence=row.mask_confidence if row else None,
    )


def match(photo: UUID, candidate: DefectCandidate, rows: Iterable[Finding]) -> Finding | None:
    """The row of a unit that is this candidate, None where none is."""
    alike = [
        (iou(candidate.box, _box(row)), str(row.pk), row)
        for row in rows
        if row.photo_id == photo and candidate.type in (row.type, row.model_type)
    ]
    best = max(alike, default=None, key=lambda one: one[:2])
    return best[2] if best and best[0] >= SAME_DEFECT_IOU / 2 else None


def _box(row: Finding) -> Box:
    return Box(x1=row.x1, y1=row.y1, x2=row.x2, y2=row.y2)
