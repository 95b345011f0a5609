"""What a ticket tells its receiver. docs/webhooks.md explains it and holds the schema.

The values are published: a field may be added, none is renamed or dropped within a format.
"""

from __future__ import annotations

from typing import Literal

from django.conf import settings
from django.urls import reverse
from pydantic import BaseModel, ConfigDict, Field

from inspection.models import ActionStep, Finding, Inspection, Photo, Ticket

TICKET_OPENED = "ticket.opened"
FORMAT: Literal["loupe.ticket/1"] = "loupe.ticket/1"


class Part(BaseModel):
    """Base of the published values."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BoxPart(Part):
    """Pixels of the upright photo, origin top left; x1 ≤ x < x2, y1 ≤ y < y2."""

    x1: float
    y1: float
    x2: float
    y2: float


class PhotoPart(Part):
    """The photo; ``sha256`` is of the file as it was uploaded."""

    id: str
    sha256: str
    width_px: int | None
    height_px: int | None


class FindingPart(Part):
    """The defect. ``id`` stays the same when a later run sees the same defect again."""

    id: str
    type: str = Field(description="key in the plan's defect catalogue")
    name: str
    severity: str
    confidence: float = Field(ge=0, le=1)
    status: str = Field(description="open (the model's word) or confirmed (a person's)")
    history: str = Field(
        description="new, pre_existing or worse, against the earlier inspection of the unit; fixed"
        " only where a person says that it is there all the same"
    )
    earlier_id: str | None = Field(
        description="`id` of the finding of the earlier inspection that this one goes on from"
    )
    source: str
    box: BoxPart
    area_px: int = Field(ge=0)
    area_mm2: float | None
    length_px: float | None
    length_mm: float | None
    photo: PhotoPart


class PlanPart(Part):
    key: str
    name: str
    version: int


class InspectionPart(Part):
    id: str
    url: str
    reference: str
    disposition: str
    severity: str
    priority: int = Field(ge=1, le=4, description="1 is most urgent")
    confidence: float | None
    summary: str
    decided_by_person: bool
    is_sample: bool


class TicketData(Part):
    """``data`` of the event ``ticket.opened``; ``finding`` is null for one about the whole unit."""

    format: Literal["loupe.ticket/1"] = FORMAT
    ticket: str
    title: str
    site: str
    reason: str
    inspection: InspectionPart
    plan: PlanPart | None
    finding: FindingPart | None
    photos: list[PhotoPart]


class TicketEvent(Part):
    """The whole body, as signed and sent."""

    type: Literal["ticket.opened"]
    timestamp: str = Field(description="time of the event, ISO 8601")
    data: TicketData


def ticket_data(ticket: Ticket, step: ActionStep) -> dict[str, object]:
    """The data of a ticket's event, ready for JSON."""
    inspection: Inspection = ticket.inspection
    finding = ticket.finding
    data = TicketData(
        ticket=str(ticket.pk),
        title=ticket.title,
        site=ticket.site.slug,
        reason=step.reason,
        inspection=_inspection_part(inspection),
        plan=_plan_part(inspection),
        finding=_finding_part(finding, inspection) if finding else None,
        photos=[_photo_part(photo) for photo in inspection.photos.all()],
    )
    return data.model_dump(mode="json")


def ticket_title(inspection: Inspection, finding: Finding | None) -> str:
    """One line that tells a person what it is about."""
    if finding is None:
        return f"{inspection.get_disposition_display()}: {inspection}"[:300]
    name = defect_name(inspection, finding.type)
    return f"{name} ({finding.get_severity_display().lower()}) on {inspection}"[:300]


def defect_name(inspection: Inspection, key: str) -> str:
    """A defect as the catalogue calls it; the key itself where the catalogue has none."""
    version = inspection.plan_version
    defect = version.parsed().defect(key) if version else None
    return defect.name if defect else key


def inspection_url(inspection: Inspection) -> str:
    """The page of an inspection, as somebody outside reaches it."""
    return str(settings.PUBLIC_URL + reverse("inspection", args=[inspection.pk]))


def _inspection_part(inspection: Inspection) -> InspectionPart:
    return InspectionPart(
        id=str(inspection.pk),
        url=inspection_url(inspection),
        reference=inspection.reference,
        disposition=inspection.disposition,
        severity=inspection.severity,
        priority=inspection.priority,
        confidence=inspection.confidence,
        summary=inspection.summary,
        decided_by_person=inspection.decided_by_id is not None,
        is_sample=inspection.is_sample,
    )


def _plan_part(inspection: Inspection) -> PlanPart | None:
    plan, version = inspection.plan, inspection.plan_version
    if plan is None or version is None:
        return None
    return PlanPart(key=plan.key, name=plan.name, version=version.number)


def _finding_part(finding: Finding, inspection: Inspection) -> FindingPart:
    return FindingPart(
        id=str(finding.identity),
        type=finding.type,
        name=defect_name(inspection, finding.type),
        severity=finding.severity,
        confidence=finding.confidence,
        status=finding.status,
        history=finding.history,
        earlier_id=str(finding.earlier.identity) if finding.earlier else None,
        source=finding.source,
        box=BoxPart(x1=finding.x1, y1=finding.y1, x2=finding.x2, y2=finding.y2),
        area_px=finding.area_px,
        area_mm2=finding.area_mm2,
        length_px=finding.length_px,
        length_mm=finding.length_mm,
        photo=_photo_part(finding.photo),
    )


def _photo_part(photo: Photo) -> PhotoPart:
    return PhotoPart(
        id=str(photo.pk), sha256=photo.sha256, width_px=photo.width, height_px=photo.height
    )
