"""Saving what a person drew on a photo: all changes in one transaction, or none of them.

Each change is a verdict (``Review``) with the values before and after, so that what the models said
can be read for ever. A save that is sent again changes nothing. Whoever saves says what they had
before them (``was``); where a finding has become another one meanwhile, nothing is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from inspection.forms.drawing import (
    AddSent,
    ChangeSent,
    DraftMark,
    MaskSent,
    RejectSent,
    UnreadableError,
)
from inspection.models import Finding, Inspection, Membership, Photo, Review
from inspection.models.base import new_id
from inspection.models.choices import (
    FindingSourceChoice,
    FindingStatus,
    RejectReason,
    ReviewKind,
)
from inspection.selectors.drawing import fingerprint, spec_of
from inspection.selectors.findings import current_findings
from inspection.services import drafts, judging, reviews
from models_runtime import rle
from models_runtime.plans import PlanSpec

Change = ChangeSent | AddSent | RejectSent
TOLERANCE = 0.5
"""Boxes may stick out of the photo by this many pixels (rounding), not by more."""
EMPTY = "This mask is empty. Draw something, or reject the finding."
NO_SHAPE = "Outline the defect or draw a box first."
TWICE = "The same finding is changed twice. Save one change of it at a time."
OTHER_NEEDS_WORDS = "Say in the comment what it is, or choose another reason."


class ConflictError(Exception):
    """Findings have changed since the page was loaded; none of the changes was saved."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__(
            "Somebody has changed this meanwhile. Look at it as it is now, then save again."
        )
        self.findings = list(findings)


@dataclass(frozen=True, slots=True)
class Canvas:
    """What shapes are drawn on."""

    width: int
    height: int
    mm_per_px: float | None


@transaction.atomic
def save(
    membership: Membership,
    photo: Photo,
    client_key: str,
    changes: Sequence[Change],
    draft: DraftMark | None = None,
) -> None:
    """Write the changes as verdicts of this person, and end their draft.

    Raises ConflictError, UnreadableError with the index of a change that can't be saved, and
    ReviewRefusedError where it is not this person's turn.
    """
    inspection = reviews.lock_unit(membership, photo.inspection_id)
    if not _is_saved(inspection, client_key):
        judging.take_turn(membership, inspection)
        _apply(membership, inspection, photo, client_key, changes)
        reviews.update_severity(inspection)
    if draft is not None:
        drafts.end(membership, photo, draft.session, draft.sequence)


def _is_saved(inspection: Inspection, client_key: str) -> bool:
    rows = Review.objects.filter(inspection=inspection, client_key__startswith=f"{client_key}.")
    return rows.exists()


def _apply(
    membership: Membership,
    inspection: Inspection,
    photo: Photo,
    client_key: str,
    changes: Sequence[Change],
) -> None:
    rows = _locked_rows(inspection, photo)
    _check_unchanged(rows, changes)
    spec = spec_of(inspection)
    canvas = Canvas(photo.width or 0, photo.height or 0, spec.mm_per_px if spec else None)
    for index, change in enumerate(changes):
        try:
            values = _verdict(rows, change, inspection, photo, canvas, spec)
        except (ValueError, reviews.ReviewRefusedError) as error:
            raise UnreadableError(str(error), index) from None
        if values:
            values |= {"comment": change.comment, "client_key": f"{client_key}.{index}"}
            reviews.write_verdict(membership, inspection, **values)


def _locked_rows(inspection: Inspection, photo: Photo) -> dict[UUID, Finding]:
    """The photo's findings in force; a run that ends meanwhile waits, and finds them judged."""
    locked = Finding.objects.select_for_update().filter(inspection=inspection, is_sealed=False)
    list(locked.order_by("pk").values_list("pk"))
    return {row.pk: row for row in current_findings(inspection) if row.photo_id == photo.pk}


def _check_unchanged(rows: dict[UUID, Finding], changes: Sequence[Change]) -> None:
    meant = [change for change in changes if not isinstance(change, AddSent)]
    seen: set[UUID] = set()
    for index, change in enumerate(changes):
        if not isinstance(change, AddSent):
            if change.finding in seen:
                raise UnreadableError(TWICE, index)
            seen.add(change.finding)
    stale = [
        str(change.finding)
        for change in meant
        if change.finding not in rows or fingerprint(rows[change.finding]) != change.was
    ]
    if stale:
        raise ConflictError(stale)


def _verdict(
    rows: dict[UUID, Finding],
    change: Change,
    inspection: Inspection,
    photo: Photo,
    canvas: Canvas,
    spec: PlanSpec | None,
) -> dict[str, Any]:
    """Do it, and return the columns of its verdict; nothing where nothing changes."""
    if isinstance(change, AddSent):
        return _add(change, inspection, photo, canvas, spec)
    row = rows[change.finding]
    if isinstance(change, RejectSent):
        return _reject(row, change)
    return _change(row, change, canvas, spec)


def _add(
    change: AddSent, inspection: Inspection, photo: Photo, canvas: Canvas, spec: PlanSpec | None
) -> dict[str, Any]:
    shape = _shape(change.mask, change.box, canvas)
    said = {
        "type": _known_type(change.type, spec),
        "severity": reviews.known_severity(change.severity),
        "status": FindingStatus.CONFIRMED.value,
        **shape,
    }
    made = Finding.objects.create(
        site_id=inspection.site_id,
        inspection=inspection,
        photo=photo,
        key=f"person-{new_id()}",
        source=FindingSourceChoice.PERSON,
        confidence=1.0,
        **said,
    )
    # Before, it was no defect: who takes the verdict back puts that in force.
    before = {"status": FindingStatus.REJECTED.value}
    return {"kind": ReviewKind.ADD_FINDING, "finding": made, "before": before, "after": said}


def _reject(row: Finding, change: RejectSent) -> dict[str, Any]:
    if change.reason not in RejectReason.values:
        raise ValueError("Choose one of the reasons.")
    if change.reason == RejectReason.OTHER and not change.comment.strip():
        raise ValueError(OTHER_NEEDS_WORDS)
    after = {"status": FindingStatus.REJECTED.value}
    told = _written(row, ReviewKind.REJECT_FINDING, after)
    return told | {"reason": change.reason}


def _change(
    row: Finding, change: ChangeSent, canvas: Canvas, spec: PlanSpec | None
) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if change.type is not None and change.type != row.type:
        said["type"] = _known_type(change.type, spec)
    if change.severity is not None and change.severity != row.severity:
        said["severity"] = reviews.known_severity(change.severity)
    said |= _new_shape(row, change, canvas)
    if not said:
        return {}
    return _written(
        row, ReviewKind.CHANGE_FINDING, said | {"status": FindingStatus.CONFIRMED.value}
    )


def _written(row: Finding, kind: ReviewKind, after: dict[str, Any]) -> dict[str, Any]:
    """Put the values into the row, and keep the models' class and severity beside them."""
    before = {name: getattr(row, name) for name in after}
    kept = {
        "model_type": row.model_type or row.type,
        "model_severity": row.model_severity or row.severity,
    }
    Finding.objects.filter(pk=row.pk).update(**after, **kept)
    return {"kind": kind, "finding": row, "before": before, "after": after}


def _new_shape(row: Finding, change: ChangeSent, canvas: Canvas) -> dict[str, Any]:
    """The columns of another mask or box; none where it is what the row has."""
    sent = change.model_fields_set
    if change.mask is None and "mask" not in sent and (change.box is None or row.mask_counts):
        return {}
    if change.mask is None and change.box is None and not row.mask_counts:
        return {}
    shape = _shape(change.mask, change.box, canvas)
    same_mask = shape["mask_counts"] == row.mask_counts
    corners = ("x1", "y1", "x2", "y2")
    same_box = all(abs(shape[name] - getattr(row, name)) < 1e-6 for name in corners)
    return {} if same_mask and (row.mask_counts or same_box) else shape


def _shape(
    mask: MaskSent | None, box: tuple[float, float, float, float] | None, canvas: Canvas
) -> dict[str, Any]:
    """Columns of a finding of this outline. ValueError with words where it is none."""
    if mask is not None:
        return _of_mask(mask, canvas)
    if box is None:
        raise ValueError(NO_SHAPE)
    return _of_box(box, canvas)


def _of_mask(mask: MaskSent, canvas: Canvas) -> dict[str, Any]:
    if mask.size != (canvas.height, canvas.width):
        height, width = mask.size
        raise ValueError(
            f"The mask is for a photo of {width} × {height} pixels, but this one has "
            f"{canvas.width} × {canvas.height}. Reload the page."
        )
    runs = rle.runs_of(mask.counts, mask.size)
    box = rle.bounding_box(runs, canvas.height)
    if box is None:
        raise ValueError(EMPTY)
    longer, _ = rle.sides(runs, canvas.height)
    return {
        **dict(zip(("x1", "y1", "x2", "y2"), map(float, box), strict=True)),
        "mask_counts": rle.counts_of(runs),
        "mask_height": canvas.height,
        "mask_width": canvas.width,
        **_measures(rle.area(runs), longer, canvas),
    }


def _of_box(box: tuple[float, float, float, float], canvas: Canvas) -> dict[str, Any]:
    x, y, width, height = box
    if width < 1 or height < 1:
        raise ValueError("This box is smaller than a pixel. Draw it larger.")
    if min(x, y) < -TOLERANCE or x + width > canvas.width + TOLERANCE:
        raise ValueError("This box lies outside the photo.")
    if y + height > canvas.height + TOLERANCE:
        raise ValueError("This box lies outside the photo.")
    x1, y1 = max(0.0, x), max(0.0, y)
    x2, y2 = min(float(canvas.width), x + width), min(float(canvas.height), y + height)
    return {
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "mask_counts": "",
        "mask_height": None,
        "mask_width": None,
        **_measures(round((x2 - x1) * (y2 - y1)), max(x2 - x1, y2 - y1), canvas),
    }


def _measures(area: int, length: float, canvas: Canvas) -> dict[str, Any]:
    """As ``models_runtime.outlining.measured`` rounds them."""
    scale = canvas.mm_per_px
    return {
        "area_px": area,
        "area_mm2": None if scale is None else round(area * scale**2, 4),
        "length_px": round(length, 2),
        "length_mm": None if scale is None else round(length * scale, 4),
    }


def _known_type(type: str, spec: PlanSpec | None) -> str:
    if spec is None:
        raise ValueError("Choose a plan for this unit first: its catalogue names the defects.")
    if spec.defect(type) is None:
        raise ValueError(f"“{type[:40]}” is not in the plan's defect catalogue.")
    return type
