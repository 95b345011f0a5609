"""Intake: is each file a usable photo, was it here before, and which unit does it show?"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from inspection.models import Inspection, Photo, Run
from inspection.models.choices import InspectionStatus, PhotoStatus, StepName
from inspection.pipeline.photos import PhotoRef, decode, keep
from inspection.pipeline.step import Step, Trace
from inspection.pipeline.tiles import make_tiles
from inspection.selectors.tiles import VIEW_SIDE, is_large
from inspection.services.intake import put
from models_runtime.contracts import Pixels
from models_runtime.errors import InputError
from models_runtime.intake.hashes import NEAR_DUPLICATE

THUMB_SIDE = 320
LOOK_BACK = 20_000
"""Near duplicates are looked for among this many of the site's latest photos."""


@dataclass(frozen=True, slots=True)
class PhotoRead:
    """What was read from one file; ``error`` says why it can't be used, and what to do."""

    id: UUID
    error: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    codes: tuple[str, ...] = ()


def load(run: Run) -> tuple[PhotoRef, ...]:
    """The photos that were not read before; an unusable one is tried again."""
    rows = run.inspection.photos.exclude(status=PhotoStatus.READY)
    return tuple(PhotoRef(*told) for told in rows.values_list("pk", "original_key", "name"))


def compute(photos: tuple[PhotoRef, ...]) -> tuple[list[PhotoRead], Trace]:
    """Decode, measure and make the copies that are served. Writes files, which may be repeated."""
    read = [_read(photo) for photo in photos]
    usable = sum(not photo.error for photo in read)
    reason = f"{usable} of {len(read)} photos usable" if read else "photos were read before"
    return read, Trace(engine="pillow-opencv", reason=reason)


def _read(ref: PhotoRef) -> PhotoRead:
    from models_runtime.intake.codes import read_codes
    from models_runtime.intake.hashes import perceptual_hash
    from models_runtime.intake.quality import photo_quality

    try:
        decoded = decode(ref.key)
    except InputError as error:
        return PhotoRead(ref.id, error=str(error))
    keep(ref.key, decoded.photo)
    quality = photo_quality(decoded.pixels)
    codes = read_codes(decoded.pixels)
    view_key, thumb_key = f"served/{ref.id}/view.jpg", f"served/{ref.id}/thumb.jpg"
    put(view_key, served_copy(decoded.pixels, VIEW_SIDE, 85))
    put(thumb_key, served_copy(decoded.pixels, THUMB_SIDE, 80))
    height, width = decoded.pixels.shape[:2]
    columns = {
        "format": decoded.format,
        "width": width,
        "height": height,
        "exif": decoded.exif,
        "perceptual_hash": perceptual_hash(decoded.pixels),
        "quality": quality.model_dump(mode="json", exclude={"warnings"}),
        "warnings": [*decoded.warnings, *quality.warnings],
        "codes": [code.model_dump(mode="json") for code in codes],
        "view_key": view_key,
        "thumb_key": thumb_key,
        "tiles_key": make_tiles(ref.id, decoded.pixels) if is_large(width, height) else "",
    }
    return PhotoRead(ref.id, columns=columns, codes=tuple(code.text for code in codes))


def served_copy(pixels: Pixels, side: int, quality: int) -> bytes:
    """A JPEG without any metadata, its long side at most ``side`` px."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def save(run: Run, read: list[PhotoRead]) -> None:
    """Write down what was read; the inspection fails where no photo is usable."""
    for photo in read:
        if photo.error:
            _rows(photo).update(status=PhotoStatus.UNUSABLE, message=photo.error)
        else:
            _save_usable(run, photo)
    _fill_reference(run.inspection, [code for photo in read for code in photo.codes])
    if not run.inspection.photos.filter(status=PhotoStatus.READY).exists():
        _fail(run.inspection)


def _rows(photo: PhotoRead) -> Any:
    return Photo.objects.filter(pk=photo.id)


def _save_usable(run: Run, photo: PhotoRead) -> None:
    row = _rows(photo).only("site_id", "sha256").get()
    earlier, warning = _seen_before(row, photo.columns["perceptual_hash"])
    warnings = [*photo.columns["warnings"], *([warning] if warning else [])]
    _rows(photo).update(
        **photo.columns | {"warnings": warnings},
        status=PhotoStatus.READY,
        message="",
        duplicate_of_id=earlier,
    )


def _seen_before(row: Photo, perceptual_hash: int) -> tuple[UUID | None, str]:
    """An earlier photo of the site with the same bytes, or one that looks nearly the same."""
    same = Photo.objects.filter(site=row.site_id, sha256=row.sha256, pk__lt=row.pk)
    found = same.order_by("pk").values_list("pk", flat=True).first()
    if found is not None:
        return found, "This same file was uploaded before."
    found = _alike(row, perceptual_hash)
    return found, "This photo looks nearly the same as an earlier one." if found else ""


def _alike(row: Photo, perceptual_hash: int) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM (
                SELECT id, perceptual_hash FROM inspection_photo
                WHERE site_id = %s AND id < %s AND perceptual_hash IS NOT NULL
                ORDER BY id DESC LIMIT %s) AS latest
            WHERE bit_count((perceptual_hash # %s)::bit(64)) <= %s
            ORDER BY bit_count((perceptual_hash # %s)::bit(64)), id LIMIT 1
            """,
            [row.site_id, row.pk, LOOK_BACK, perceptual_hash, NEAR_DUPLICATE, perceptual_hash],
        )
        hit = cursor.fetchone()
    return hit[0] if hit else None


def _fill_reference(inspection: Inspection, codes: list[str]) -> None:
    """A code on the unit names it, unless a person did."""
    if codes and not inspection.reference:
        Inspection.objects.filter(pk=inspection.pk, reference="").update(reference=codes[0])
        inspection.reference = codes[0]


def _fail(inspection: Inspection) -> None:
    told = inspection.photos.exclude(message="").values_list("message", flat=True).first()
    message = told if inspection.photos.count() == 1 else f"None of the photos is usable. {told}"
    inspection.status, inspection.message = InspectionStatus.FAILED, message or ""
    Inspection.objects.filter(pk=inspection.pk, decided_by__isnull=True).update(
        status=InspectionStatus.FAILED, message=inspection.message
    )


INTAKE = Step(StepName.INTAKE, "intake", load, compute, save)
