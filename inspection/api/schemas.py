"""What goes in and out of the HTTP API; the OpenAPI document is made of these models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AfterValidator, Field


def _readable(text: str) -> str:
    """Refuse what no database keeps and nobody reads."""
    if any(ord(char) < 32 and char not in "\t\r\n" for char in text):
        raise ValueError("control characters are not allowed")
    return text


Text = Annotated[str, AfterValidator(_readable)]
PlanKey = Annotated[str, Field(pattern=r"^$|^[a-z0-9][a-z0-9_-]{0,63}$")]
Reference = Annotated[Text, Field(max_length=200)]
Note = Annotated[Text, Field(max_length=4000)]
Context = Annotated[Text, Field(max_length=64)]


class UnitContextIn(Schema):
    """Where the unit comes from, in the site's own words; dashboards compare by them."""

    line: Context = ""
    shift: Context = ""
    supplier: Context = ""
    product: Context = ""

    def context(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in UnitContextIn.model_fields}


class UploadIn(UnitContextIn):
    """A file that is about to be sent. ``client_key`` is made from the file by the sender, so that
    announcing it again finds the same upload."""

    batch: UUID
    client_key: Annotated[Text, Field(min_length=1, max_length=128)]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    size: Annotated[int, Field(ge=0, le=2**53)]
    plan: PlanKey | None = None
    reference: Reference = ""
    note: Note = ""
    wants_report: bool = False


class UploadOut(Schema):
    """A file on its way, or what came of it. ``chunk_bytes``: size of every chunk but the last.
    ``received``: chunks that need not be sent again. ``parent``: the zip it was in."""

    id: UUID
    batch: UUID
    client_key: str
    name: str
    size: int
    chunk_bytes: int
    received: list[int]
    status: str
    message: str
    warnings: list[str]
    inspection: UUID | None
    inspection_status: str
    disposition: str
    parent: UUID | None


class MaskOut(Schema):
    """Compressed COCO run-length encoding; ``size`` is [height, width]."""

    size: tuple[int, int]
    counts: str


class FindingOut(Schema):
    """A defect. ``box`` is x1, y1, x2, y2 in pixels of the upright photo; the length is that of its
    longest side, turned as it may be. Sizes in mm are null where the plan has no scale.
    ``history``: new, pre_existing, worse or fixed, against the earlier inspection of the unit;
    ``earlier`` is the finding there that it goes on from. A fixed one is a defect no more."""

    id: UUID
    identity: UUID
    photo: UUID
    type: str
    severity: str
    status: str
    history: str
    earlier: UUID | None
    source: str
    confidence: float
    mask_confidence: float | None
    box: tuple[float, float, float, float]
    mask: MaskOut | None
    area_px: int
    area_mm2: float | None
    length_px: float | None
    length_mm: float | None


class AttributeOut(Schema):
    """An answer; ``value`` is null where the model abstained."""

    key: str
    value: Any
    confidence: float
    abstained: bool
    alternatives: dict[str, float]


class PhotoOut(Schema):
    """A photo of the unit. ``message`` says why it can't be used."""

    id: UUID
    name: str
    status: str
    message: str
    width: int | None
    height: int | None
    sha256: str
    warnings: list[str]
    codes: list[str]
    duplicate_of: UUID | None


class StepOut(Schema):
    """What one step did. Times in milliseconds, cost in millionths of a US dollar."""

    step: str
    status: str
    architecture: str
    engine: str
    engine_version: str
    reason: str
    confidence: float | None
    escalated: bool
    attempt: int
    wait_ms: int | None
    run_ms: float | None
    cost_microusd: int
    error: str


class ReportOut(Schema):
    """A grounded report; each claim names its evidence."""

    title: str
    writer: str
    claims: list[dict[str, Any]]


class TicketOut(Schema):
    """A ticket and where it went."""

    id: UUID
    connector: str
    title: str
    status: str
    external_id: str
    external_url: str


class InspectionQuery(Schema):
    """What to list. ``after`` is the ``next`` of the page before."""

    status: Literal["", "received", "running", "review", "decided", "failed"] = ""
    disposition: Literal["", "accept", "rework", "reject", "hold"] = ""
    severity: Literal["", "minor", "major", "critical"] = ""
    plan: PlanKey = ""
    q: Annotated[Text, Field(max_length=200)] = ""
    after: UUID | None = None


class InspectionIn(UnitContextIn):
    """A unit to be inspected. Without a plan one is chosen by what the photos show. ``earlier``:
    the inspection to compare with; without, the newest one of the same reference and plan."""

    plan: PlanKey = ""
    reference: Reference = ""
    note: Note = ""
    wants_report: bool = False
    earlier: UUID | None = None


class InspectionBrief(Schema):
    """A unit in a list."""

    id: UUID
    reference: str
    plan: str | None
    status: str
    disposition: str
    severity: str
    priority: int
    queue: str
    confidence: float | None
    summary: str
    photos: int
    findings: int
    created_at: datetime


class InspectionPageOut(Schema):
    """``next`` is the value of ``after`` for the following page, null at the end."""

    items: list[InspectionBrief]
    next: UUID | None


class InspectionOut(Schema):
    """A unit with everything that was found. ``earlier``: the inspection it is compared with."""

    id: UUID
    reference: str
    note: str
    plan: str | None
    plan_version: int | None
    status: str
    message: str
    disposition: str
    decided_by_person: bool
    severity: str
    priority: int
    queue: str
    confidence: float | None
    defect_probability: float | None
    in_domain: float | None
    abstained: bool
    reasons: list[str]
    summary: str
    earlier: UUID | None
    line: str
    shift: str
    supplier: str
    product: str
    created_at: datetime
    photos: list[PhotoOut]
    attributes: list[AttributeOut]
    findings: list[FindingOut]
    steps: list[StepOut]
    report: ReportOut | None
    tickets: list[TicketOut]


class PlanOut(Schema):
    """An inspection plan; ``spec`` is in the format loupe.plan/1."""

    key: str
    name: str
    version: int
    spec: dict[str, Any]


class RerunIn(Schema):
    """``plan`` puts another plan in the place of the unit's; ``earlier`` chooses the inspection to
    compare with."""

    plan: PlanKey | None = None
    earlier: UUID | None = None


class RunOut(Schema):
    """A run that was started, or is under way."""

    inspection: UUID
    number: int
    status: str
