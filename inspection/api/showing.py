"""Rows as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspection.api import schemas
from inspection.models import AttributeValue, Finding, Inspection, Photo, Report, Upload
from inspection.models.choices import InspectionStatus, UploadStatus
from inspection.selectors.earlier import earlier_inspection
from inspection.selectors.findings import current_findings


def upload(row: Upload, received: list[int], warnings: list[str]) -> schemas.UploadOut:
    """One file. Where its inspection failed, the message is the inspection's."""
    unit = row.inspection
    failed = unit is not None and unit.status == InspectionStatus.FAILED
    return schemas.UploadOut(
        id=row.pk,
        batch=row.batch,
        client_key=row.client_key,
        name=row.name,
        size=row.size_bytes,
        chunk_bytes=row.chunk_bytes,
        received=received,
        status=row.status,
        message=unit.message if unit is not None and failed else row.message,
        warnings=warnings,
        inspection=row.inspection_id,
        inspection_status=unit.status if unit else "",
        disposition=unit.disposition if unit else "",
        parent=row.parent_id,
    )


def uploads(rows: Sequence[Upload]) -> list[schemas.UploadOut]:
    """Files with what came of them, in two queries besides their own."""
    units = [row.inspection_id for row in rows if row.inspection_id]
    told: dict[object, list[str]] = {}
    photos = Photo.objects.filter(inspection__in=units).values_list("inspection_id", "warnings")
    for unit, warnings in photos:
        told.setdefault(unit, []).extend(warnings)
    return [upload(row, _received(row), told.get(row.inspection_id, [])) for row in rows]


def _received(row: Upload) -> list[int]:
    if row.status != UploadStatus.RECEIVING:
        return []
    return sorted(chunk.index for chunk in row.chunks.all())


def brief(row: Any) -> schemas.InspectionBrief:
    """An Inspection in a list; its counts are annotated by the selector."""
    return schemas.InspectionBrief(
        id=row.pk,
        reference=row.reference,
        plan=row.plan.key if row.plan else None,
        status=row.status,
        disposition=row.disposition,
        severity=row.severity,
        priority=row.priority,
        queue=row.queue,
        confidence=row.confidence,
        summary=row.summary,
        photos=row.photo_count,
        findings=row.finding_count,
        created_at=row.created_at,
    )


def inspection(row: Inspection) -> schemas.InspectionOut:
    """A unit with everything that belongs to it."""
    run = row.current_run
    attributes = AttributeValue.objects.filter(run=run) if run else []
    report = Report.objects.filter(run=run).first() if run else None
    before = earlier_inspection(row)
    return schemas.InspectionOut(
        id=row.pk,
        reference=row.reference,
        note=row.note,
        plan=row.plan.key if row.plan else None,
        plan_version=row.plan_version.number if row.plan_version else None,
        status=row.status,
        message=row.message,
        disposition=row.disposition,
        decided_by_person=row.decided_by_id is not None,
        severity=row.severity,
        priority=row.priority,
        queue=row.queue,
        confidence=row.confidence,
        defect_probability=row.defect_probability,
        in_domain=row.in_domain,
        abstained=row.abstained,
        reasons=[str(reason) for reason in row.reasons],
        summary=row.summary,
        earlier=before.pk if before else None,
        created_at=row.created_at,
        line=row.line,
        shift=row.shift,
        supplier=row.supplier,
        product=row.product,
        photos=[_photo(photo) for photo in row.photos.defer("embedding", "exif")],
        attributes=[_attribute(value) for value in attributes],
        findings=[_finding(found) for found in current_findings(row)],
        steps=[schemas.StepOut.from_orm(step) for step in run.steps.all()] if run else [],
        report=schemas.ReportOut.from_orm(report) if report else None,
        tickets=_tickets(row),
    )


def _tickets(row: Inspection) -> list[schemas.TicketOut]:
    return [
        schemas.TicketOut(
            id=ticket.pk,
            connector=ticket.connector.key,
            title=ticket.title,
            status=ticket.status,
            external_id=ticket.external_id,
            external_url=ticket.external_url,
        )
        for ticket in row.tickets.select_related("connector")
    ]


def _photo(row: Photo) -> schemas.PhotoOut:
    return schemas.PhotoOut(
        id=row.pk,
        name=row.name,
        status=row.status,
        message=row.message,
        width=row.width,
        height=row.height,
        sha256=row.sha256,
        warnings=row.warnings,
        codes=[code["text"] for code in row.codes],
        duplicate_of=row.duplicate_of_id,
    )


def _attribute(row: AttributeValue) -> schemas.AttributeOut:
    return schemas.AttributeOut(
        key=row.key,
        value=row.value,
        confidence=row.confidence,
        abstained=row.abstained,
        alternatives=row.alternatives,
    )


def _finding(row: Finding) -> schemas.FindingOut:
    mask = None
    if row.mask_counts and row.mask_height and row.mask_width:
        mask = schemas.MaskOut(size=(row.mask_height, row.mask_width), counts=row.mask_counts)
    return schemas.FindingOut(
        id=row.pk,
        identity=row.identity,
        photo=row.photo_id,
        type=row.type,
        severity=row.severity,
        status=row.status,
        history=row.history,
        earlier=row.earlier_id,
        source=row.source,
        confidence=row.confidence,
        mask_confidence=row.mask_confidence,
        box=(row.x1, row.y1, row.x2, row.y2),
        mask=mask,
        area_px=row.area_px,
        area_mm2=row.area_mm2,
        length_px=row.length_px,
        length_mm=row.length_mm,
    )
