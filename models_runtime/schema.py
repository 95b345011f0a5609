"""What the command line prints, as a published and versioned JSON Schema.

``docs/inspection.schema.json`` and ``docs/plan.schema.json`` are made from here by
``python -m models_runtime schema inspection|plan``. A change that could break a reader gets a new
number in ``format``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from models_runtime.contracts import (
    AttributeResult,
    Disposition,
    EngineRef,
    Finding,
    MaskCandidate,
    PlannedAction,
    Probability,
    Prompt,
    Report,
    Value,
)
from models_runtime.inspector import StepRecord
from models_runtime.intake.codes import Code
from models_runtime.intake.quality import PhotoQuality
from models_runtime.plans import PlanSpec, Severity

INSPECTION_FORMAT: Literal["loupe.inspection/1"] = "loupe.inspection/1"
SEGMENTATION_FORMAT: Literal["loupe.segmentation/1"] = "loupe.segmentation/1"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class PhotoIdentity(Value):
    """Which photo. Sizes are of the upright photo, in pixels; boxes and masks refer to it.

    ``perceptual_hash``: 16 hex digits, alike for photos that look alike.
    """

    path: str
    name: str
    sha256: str
    format: str
    width: int
    height: int
    perceptual_hash: str
    warnings: tuple[str, ...] = ()


class FindingRecord(Finding):
    """A finding with its name from the defect catalogue."""

    name: str


class GoldenRecord(Value):
    """The comparison with golden photos: chance that the photo deviates, share that does."""

    probability: Probability
    deviating_share: Probability


class EarlierRecord(Value):
    """The earlier photo of the asset: which, how alike after registration, share that changed.

    ``likeness`` and ``changed_share`` are null where the two could not be laid onto each other.
    """

    path: str
    sha256: str
    likeness: Probability | None
    changed_share: Probability | None


class PlanReference(Value):
    """The plan that was applied; ``sha256`` is of its canonical JSON."""

    name: str
    sha256: str


class InspectionRecord(Value):
    """One inspected photo.

    ``abstained`` with ``abstained_reasons``: the models would only be guessing, a person decides.
    ``disposition_confidence`` and ``defect_probability`` are calibrated.
    """

    format: Literal["loupe.inspection/1"] = INSPECTION_FORMAT
    status: Literal["inspected"] = "inspected"
    photo: PhotoIdentity
    quality: PhotoQuality
    codes: tuple[Code, ...]
    plan: PlanReference
    attributes: tuple[AttributeResult, ...]
    defect_probability: Probability
    in_domain: Probability
    extraction_confidence: Probability
    abstained: bool
    abstained_reasons: tuple[str, ...]
    golden: GoldenRecord | None
    earlier: EarlierRecord | None = None
    findings: tuple[FindingRecord, ...]
    disposition: Disposition
    disposition_confidence: Probability
    disposition_probabilities: dict[Disposition, Probability]
    severity: Severity | None
    priority: int = Field(ge=1, le=4)
    queue: str
    needs_review: bool
    reasons: tuple[str, ...]
    report: Report | None
    actions: tuple[PlannedAction, ...]
    steps: tuple[StepRecord, ...]
    total_ms: float
    overlay: str | None = None


class PhotoName(Value):
    """What is known of a photo that could not be read."""

    path: str
    name: str


class Problem(Value):
    """``input``: this photo can never work. ``transient``: try again. ``fatal``: ask an admin."""

    kind: Literal["input", "transient", "fatal"]
    message: str


class ErrorRecord(Value):
    """One photo that could not be inspected, and what to do about it."""

    format: Literal["loupe.inspection/1", "loupe.segmentation/1"] = INSPECTION_FORMAT
    status: Literal["error"] = "error"
    photo: PhotoName
    error: Problem


class SegmentedObject(Value):
    """The masks for one prompt, best first."""

    prompt: Prompt
    masks: tuple[MaskCandidate, ...]


class SegmentationRecord(Value):
    """Masks of one photo. Times in milliseconds: embedding once, decoding per call."""

    format: Literal["loupe.segmentation/1"] = SEGMENTATION_FORMAT
    status: Literal["segmented"] = "segmented"
    photo: PhotoIdentity
    objects: tuple[SegmentedObject, ...]
    engine: EngineRef
    embed_ms: float
    decode_ms: float
    overlay: str | None = None


Printed = Annotated[
    InspectionRecord | SegmentationRecord | ErrorRecord, Field(discriminator="status")
]


def inspection_schema() -> dict[str, Any]:
    """JSON Schema of every line that ``inspect`` and ``segment`` print."""
    schema = TypeAdapter(Printed).json_schema(mode="serialization")
    return {"$schema": _DIALECT, "title": INSPECTION_FORMAT, **schema}


def plan_schema() -> dict[str, Any]:
    """JSON Schema of a plan file. An option may be a plain string, which pydantic can't tell."""
    schema = PlanSpec.model_json_schema(mode="validation")
    option = schema["$defs"]["Option"]
    schema["$defs"]["Option"] = {"anyOf": [option["properties"]["value"], option]}
    return {"$schema": _DIALECT, **schema}
