"""Typed values that go into and come out of each architecture.

Coordinates are pixels of the upright photo, origin top left, x to the right, y down. Boxes are
half-open: ``x1 <= x < x2``. Confidences and probabilities are in 0..1 and meant to be calibrated.
Pixels are ``uint8`` arrays of shape (height, width, 3) in RGB order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models_runtime.plans import PlanSpec, Severity

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = NDArray[np.uint8]


class Architecture(StrEnum):
    """The kinds of model a step can be given to; RULES is plain code."""

    RULES = "rules"
    MLM = "mlm"
    VLM = "vlm"
    SAM = "sam"
    COMPARE = "compare"
    SLM = "slm"
    LLM = "llm"
    LCM = "lcm"
    LAM = "lam"


class Disposition(StrEnum):
    """What happens with the unit, in the words of quality management."""

    ACCEPT = "accept"
    REWORK = "rework"
    REJECT = "reject"
    HOLD = "hold"


class FindingSource(StrEnum):
    """Who saw it first."""

    VLM = "vlm"
    GOLDEN = "golden"
    EARLIER = "earlier"
    PERSON = "person"
    IMPORT = "import"


class FindingHistory(StrEnum):
    """What became of a defect since the earlier photo of the same asset."""

    NEW = "new"
    PRE_EXISTING = "pre_existing"
    WORSE = "worse"
    FIXED = "fixed"


class Value(BaseModel):
    """Base of the typed values: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(Value):
    """A rectangle in pixels of the upright photo."""

    x1: float = Field(ge=0)
    y1: float = Field(ge=0)
    x2: float
    y2: float

    @model_validator(mode="after")
    def _has_area(self) -> Box:
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise ValueError("a box needs x2 > x1 and y2 > y1")
        return self

    @property
    def area(self) -> float:
        return (self.x2 - self.x1) * (self.y2 - self.y1)


class Mask(Value):
    """A mask as compressed COCO run-length encoding; ``size`` is (height, width)."""

    size: tuple[int, int]
    counts: str


class EngineRef(Value):
    """Which engine answered. ``version`` changes whenever its answers may change."""

    architecture: Architecture
    engine: str
    version: str


@dataclass(frozen=True, slots=True)
class PhotoPixels:
    """An upright sRGB photo in memory. ``sha256`` is of the original file's bytes (hex). ``note``:
    the operator's words about the unit, data and never orders."""

    pixels: Pixels
    sha256: str
    note: str = ""

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


class AttributeResult(Value):
    """The answer for one characteristic; ``value`` is None where the engine abstained."""

    key: str
    value: str | int | float | bool | None
    confidence: Probability
    abstained: bool = False
    alternatives: dict[str, Probability] = Field(default_factory=dict)


class DefectCandidate(Value):
    """A defect that the extractor points at, before it has pixels."""

    type: str
    box: Box
    confidence: Probability
    severity: Severity
    source: FindingSource = FindingSource.VLM


class Extraction(Value):
    """What the VLM says of one photo, schema-valid for the plan that was asked.

    ``defect_probability``: calibrated chance that the unit has any catalogued defect.
    ``in_domain``: 1 for photos like those it was trained on, 0 for quite other ones.
    ``abstained`` with ``reasons`` when it would only be guessing; findings are then empty.
    ``embedding``: unit-length image embedding in the MLM's text space, empty where there is none.
    ``basis``: what the confidences are made of, in words, where they are not calibrated.
    """

    attributes: tuple[AttributeResult, ...]
    defects: tuple[DefectCandidate, ...]
    defect_probability: Probability
    in_domain: Probability
    confidence: Probability
    abstained: bool
    reasons: tuple[str, ...] = ()
    embedding: tuple[float, ...] = ()
    basis: str = ""


class Click(Value):
    """A point prompt; ``positive`` says whether the point belongs to the object."""

    x: float = Field(ge=0)
    y: float = Field(ge=0)
    positive: bool = True


class Prompt(Value):
    """What to segment: a box, clicks, or both, all meaning one object."""

    box: Box | None = None
    clicks: tuple[Click, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Prompt:
        if self.box is None and not self.clicks:
            raise ValueError("a prompt needs a box or at least one click")
        return self


class MaskCandidate(Value):
    """One mask for a prompt, with the model's own estimate of its IoU and its area in pixels."""

    mask: Mask
    predicted_iou: Probability
    area: int = Field(ge=0)
    box: Box | None


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """The costly half of segmentation, as a value: cache it, send it, decode it in any thread.

    ``features``: float32 (channels, rows, columns). ``size``: (height, width) of the photo.
    ``engine``: version of the engine that made it; another engine must refuse it.
    """

    features: NDArray[np.float32]
    size: tuple[int, int]
    input_size: tuple[int, int]
    engine: str


class Finding(Value):
    """A defect with its pixels. ``length_px`` is the longer side of the smallest turned rectangle
    around the mask, else of the box; None where it was not measured. ``area_mm2`` and ``length_mm``
    only where the plan states millimetres per pixel. ``history``: against the earlier photo, None
    where there is none or it does not show the place; ``earlier_id``: the finding there that this
    one goes on from. One that is fixed is a defect no more and only tells what was there."""

    id: str
    type: str
    box: Box
    mask: Mask | None
    area_px: int = Field(ge=0)
    area_mm2: float | None = None
    length_px: float | None = Field(default=None, ge=0)
    length_mm: float | None = None
    severity: Severity
    confidence: Probability
    mask_confidence: Probability | None = None
    source: FindingSource = FindingSource.VLM
    history: FindingHistory | None = None
    earlier_id: str | None = None


class TriageInput(Value):
    """Everything triage may look at; ``note`` is the operator's words, data and never orders."""

    plan: PlanSpec
    attributes: tuple[AttributeResult, ...]
    findings: tuple[Finding, ...]
    defect_probability: Probability
    in_domain: Probability
    extraction_abstained: bool
    note: str = Field(default="", max_length=4000)
    photo_area_px: int = Field(default=1, ge=1)


class Triage(Value):
    """What to do with the unit. ``confidence`` is of the disposition; priority 1 is most urgent."""

    disposition: Disposition
    severity: Severity | None
    priority: int = Field(ge=1, le=4)
    queue: str
    confidence: Probability
    needs_review: bool
    reasons: tuple[str, ...]
    probabilities: dict[Disposition, Probability]


class Claim(Value):
    """One sentence of a report and the evidence it leans on (``finding:ID``, ``attribute:KEY``,
    ``triage``, ``photo``). ``replaced``: the writer's own sentence failed the check and a template
    stands in its place."""

    text: str
    evidence: tuple[str, ...]
    replaced: bool = False


class ReportInput(Value):
    """The evidence a report may use, and nothing else."""

    plan: PlanSpec
    reference: str
    attributes: tuple[AttributeResult, ...]
    findings: tuple[Finding, ...]
    triage: Triage
    photo_warnings: tuple[str, ...] = ()


class Report(Value):
    """A grounded report. ``writer`` names who wrote it, also where that was a template."""

    title: str
    claims: tuple[Claim, ...]
    writer: str
    rejected_claims: tuple[str, ...] = ()


class PlannedAction(Value):
    """A node of the action graph. ``depends_on`` holds ids of nodes that must be done before."""

    id: str
    action: str
    destination: str
    finding_id: str | None = None
    depends_on: tuple[str, ...] = ()
    requires_approval: bool = False
    arguments: dict[str, str | int | float | bool] = Field(default_factory=dict)
    reason: str = ""


class ActionGraph(Value):
    """Allowed actions in a valid order: acyclic, each dependency before its dependant."""

    actions: tuple[PlannedAction, ...]


class ActionInput(Value):
    """What the planner sees: the playbook in the plan, the triage and the findings."""

    plan: PlanSpec
    triage: Triage
    findings: tuple[Finding, ...]


class Engine(Protocol):
    """What every engine has: a name and a version to be written beside its answers."""

    @property
    def ref(self) -> EngineRef: ...


class TextEmbedder(Engine, Protocol):
    """MLM: text to unit-length vectors."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dimension) rows of length 1."""
        ...


class Extractor(Engine, Protocol):
    """VLM: photos and a plan to attributes and defects."""

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]: ...


class Segmenter(Engine, Protocol):
    """SAM in two phases: the embedding is a value, so a further prompt costs the decoder only."""

    def embed(self, photo: PhotoPixels) -> ImageEmbedding: ...

    def decode(
        self, embedding: ImageEmbedding, prompts: Sequence[Prompt]
    ) -> list[tuple[MaskCandidate, ...]]:
        """One tuple per prompt, best predicted IoU first; InputError for one outside the photo."""
        ...


class TriageEngine(Engine, Protocol):
    """SLM: findings, attributes and a note to a disposition."""

    def triage(self, case: TriageInput) -> Triage: ...


class ReportWriter(Engine, Protocol):
    """LLM: evidence to a grounded report."""

    def write(self, evidence: ReportInput) -> Report: ...


class ActionPlanner(Engine, Protocol):
    """LAM: playbook and triage to a typed action graph."""

    def plan(self, case: ActionInput) -> ActionGraph: ...


@dataclass(frozen=True, slots=True)
class Deviation:
    """A place where a photo differs from its references, with the pixels that do.

    ``score`` is the calibrated probability; ``mask`` is bool (height, width) of the photo.
    """

    box: Box
    mask: NDArray[np.bool_]
    score: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison with golden photos or an earlier one: the image score and where it
    comes from.

    ``heat``: float32 (rows, columns), coarse map of the deviation.
    """

    probability: float
    heat: NDArray[np.float32]
    deviations: tuple[Deviation, ...] = field(default=())
    source: FindingSource = FindingSource.GOLDEN
