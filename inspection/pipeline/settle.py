"""Findings of a new run meet those that are there: what is the same defect, what goes, what stays.

A finding that carries a person's verdict, a ticket or an action stays whatever the model says now;
if the model sees it again, the row is the same one, with its identity and the person's words. So a
dismissed finding does not come back, and a ticket stays exactly one per defect.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Exists, OuterRef, Q

from inspection.models import ActionStep, DisputeLink, Finding, Review, Run, Ticket
from inspection.models.choices import FindingHistory, FindingSourceChoice, FindingStatus
from inspection.selectors.findings import STANDING
from models_runtime.contracts import Box, FindingSource, Mask
from models_runtime.contracts import Finding as FindingValue
from models_runtime.contracts import FindingHistory as HistoryValue
from models_runtime.plans import Severity

SAME_DEFECT_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A defect as the models saw it in this run, on the photo with this id; ``key`` is unique
    within the run."""

    photo_id: uuid.UUID
    key: str
    finding: FindingValue


def settle(run: Run, seen: Iterable[Seen]) -> None:
    """Bring the unit's findings in line with what this run saw. Called inside a transaction."""
    there = Finding.objects.filter(inspection=run.inspection_id, is_sealed=False)
    rows = list(there.select_for_update())
    verdicts = _protected_ids(run) if rows else set()
    free = {row.pk: row for row in rows}
    seen = _with_known_past(seen)
    new: list[Finding] = []
    for defect in sorted(seen, key=lambda defect: -defect.finding.confidence):
        match = _same_defect(defect, list(free.values()), verdicts)
        if match is None:
            new.append(_row(run, defect))
        else:
            del free[match.pk]
            _see_again(run, match, defect, protected=match.pk in verdicts)
    gone = [pk for pk in free if pk not in verdicts]
    Finding.objects.filter(pk__in=gone).delete()
    Finding.objects.bulk_create(new)


def _with_known_past(seen: Iterable[Seen]) -> list[Seen]:
    """Without references to earlier findings that were deleted while the models looked."""
    found = list(seen)
    named = {defect.finding.earlier_id for defect in found if defect.finding.earlier_id}
    rows = Finding.objects.filter(pk__in=named).values_list("pk", flat=True) if named else ()
    gone = named - {str(pk) for pk in rows}
    return [
        _without_past(defect) if defect.finding.earlier_id in gone else defect for defect in found
    ]


def _without_past(defect: Seen) -> Seen:
    return replace(defect, finding=defect.finding.model_copy(update={"earlier_id": None}))


def _protected_ids(run: Run) -> set[uuid.UUID]:
    """Findings that people or the outside world refer to."""
    refers = OuterRef("pk")
    rows = Finding.objects.filter(inspection=run.inspection_id).annotate(
        judged=Exists(Review.objects.filter(finding=refers)),
        ticketed=Exists(Ticket.objects.filter(finding=refers)),
        acted=Exists(ActionStep.objects.filter(finding=refers)),
        shown=Exists(DisputeLink.objects.filter(finding=refers)),
    )
    return {
        row.pk
        for row in rows
        if row.judged
        or row.ticketed
        or row.acted
        or row.shown
        or row.status != FindingStatus.OPEN
        or row.source in (FindingSourceChoice.PERSON, FindingSourceChoice.IMPORT)
    }


def _same_defect(defect: Seen, rows: list[Finding], protected: set[uuid.UUID]) -> Finding | None:
    """The row that overlaps most and may be the same defect."""
    alike = [row for row in rows if row.photo_id == defect.photo_id and _may_be(defect, row)]
    overlaps = [
        (iou(defect.finding.box, _box(row)), row.pk in protected, str(row.pk), row) for row in alike
    ]
    best = max(overlaps, default=None)
    return best[3] if best is not None and best[0] >= SAME_DEFECT_IOU else None


def _may_be(defect: Seen, row: Finding) -> bool:
    """The same type, or any type where a person has confirmed what this place shows. That a defect
    is fixed is told by a row of its own, unless a person says that it is there."""
    if row.status == FindingStatus.CONFIRMED:
        return True
    is_fixed = defect.finding.history is HistoryValue.FIXED
    alike = defect.finding.type in (row.type, row.model_type)
    return alike and is_fixed == (row.history == FindingHistory.FIXED)


def _see_again(run: Run, row: Finding, defect: Seen, *, protected: bool) -> None:
    """Keep the row. What a person has judged keeps their words, and the pixels they judged."""
    if protected:
        said = {"model_type": defect.finding.type, "model_severity": defect.finding.severity.value}
        if defect.finding.history is not HistoryValue.FIXED:
            said |= _past(defect.finding)
    else:
        said = _columns(defect.finding)
    Finding.objects.filter(pk=row.pk).update(run=run, key=defect.key, **said)


def _row(run: Run, defect: Seen) -> Finding:
    return Finding(
        site_id=run.site_id,
        inspection=run.inspection,
        photo_id=defect.photo_id,
        run=run,
        key=defect.key,
        **_columns(defect.finding),
    )


def _columns(finding: FindingValue) -> dict[str, Any]:
    box, mask = finding.box, finding.mask
    return {
        "type": finding.type,
        "severity": finding.severity.value,
        "source": finding.source.value,
        "confidence": finding.confidence,
        "mask_confidence": finding.mask_confidence,
        "x1": box.x1,
        "y1": box.y1,
        "x2": box.x2,
        "y2": box.y2,
        "mask_counts": mask.counts if mask else "",
        "mask_height": mask.size[0] if mask else None,
        "mask_width": mask.size[1] if mask else None,
        "area_px": finding.area_px,
        "area_mm2": finding.area_mm2,
        "length_px": finding.length_px,
        "length_mm": finding.length_mm,
        **_past(finding),
    }


def _past(finding: FindingValue) -> dict[str, Any]:
    return {
        "history": (finding.history or HistoryValue.NEW).value,
        "earlier_id": finding.earlier_id,
    }


def value_of(row: Finding) -> FindingValue:
    """A row as the models take it. What a person has confirmed is sure."""
    mask = None
    if row.mask_counts and row.mask_height and row.mask_width:
        mask = Mask(size=(row.mask_height, row.mask_width), counts=row.mask_counts)
    return FindingValue(
        id=str(row.pk),
        type=row.type,
        box=_box(row),
        mask=mask,
        area_px=row.area_px,
        area_mm2=row.area_mm2,
        length_px=row.length_px,
        length_mm=row.length_mm,
        severity=Severity(row.severity),
        confidence=1.0 if row.status == FindingStatus.CONFIRMED else row.confidence,
        mask_confidence=row.mask_confidence,
        source=FindingSource(row.source),
        history=HistoryValue(row.history),
        earlier_id=str(row.earlier_id) if row.earlier_id else None,
    )


def in_force(run: Run) -> tuple[FindingValue, ...]:
    """What this run saw and what people say, without what they rejected or what is fixed. A defect
    that has a ticket but is no longer seen keeps its row and counts no more."""
    counts = Q(run=run) | Q(run__isnull=True) | Q(status=FindingStatus.CONFIRMED)
    rows = Finding.objects.filter(counts, inspection=run.inspection_id)
    return tuple(value_of(row) for row in rows.filter(STANDING))


def _box(row: Finding) -> Box:
    return Box(x1=row.x1, y1=row.y1, x2=row.x2, y2=row.y2)


def iou(left: Box, right: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(left.x2, right.x2) - max(left.x1, right.x1)
    height = min(left.y2, right.y2) - max(left.y1, right.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (left.area + right.area - shared)
