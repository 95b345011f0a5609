"""The unit's earlier inspection: its photos and findings as values, and the photos to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from inspection.models import Finding as Row
from inspection.models import Inspection, Photo, Run
from inspection.models.choices import FindingStatus, PhotoStatus
from inspection.pipeline.photos import PhotoRef, pixels
from inspection.pipeline.settle import value_of
from inspection.selectors.earlier import earlier_inspection
from inspection.selectors.findings import current_findings, is_standing
from models_runtime.contracts import Finding
from models_runtime.errors import InputError

if TYPE_CHECKING:
    from models_runtime.compare.earlier import EarlierPhoto

MOST_ALIKE = 3
"""Of many earlier photos, so many are tried on each photo: those that look most alike."""


@dataclass(frozen=True, slots=True)
class EarlierShot:
    """A photo of the earlier inspection, what is still said of it, what a person rejected, and its
    perceptual hash."""

    ref: PhotoRef
    findings: tuple[Finding, ...]
    dismissed: tuple[Finding, ...]
    hash: int | None


@dataclass(frozen=True, slots=True)
class EarlierUnit:
    """The earlier inspection as a value."""

    id: UUID
    when: datetime
    shots: tuple[EarlierShot, ...]


def earlier_unit(run: Run) -> EarlierUnit | None:
    """What the run's unit is compared with; None where it has no past that shows anything."""
    before = earlier_inspection(run.inspection)
    if before is None:
        return None
    said = _said_of(before)
    photos = before.photos.filter(status=PhotoStatus.READY).defer("embedding", "exif")
    shots = tuple(_shot(photo, said.get(photo.pk, ())) for photo in photos)
    return EarlierUnit(before.pk, before.created_at, shots) if shots else None


def earlier_photos(unit: EarlierUnit, hash: int | None) -> list[EarlierPhoto]:
    """The pixels of the photos most like the one of this hash. A photo whose file is gone is left
    out: what is new must not wait for what is old."""
    from models_runtime.compare.earlier import EarlierPhoto

    found = []
    for shot in sorted(unit.shots, key=lambda shot: _unlike(shot.hash, hash))[:MOST_ALIKE]:
        try:
            found.append(EarlierPhoto(pixels(shot.ref), shot.findings, shot.dismissed))
        except InputError:
            continue
    return found


def hashes_of(photos: Sequence[UUID]) -> dict[UUID, int | None]:
    """The perceptual hash of each photo."""
    return dict(Photo.objects.filter(pk__in=photos).values_list("pk", "perceptual_hash"))


def _said_of(before: Inspection) -> dict[UUID, list[Row]]:
    """The findings by photo."""
    said: dict[UUID, list[Row]] = {}
    for row in current_findings(before):
        said.setdefault(row.photo_id, []).append(row)
    return said


def _shot(photo: Photo, rows: Sequence[Row]) -> EarlierShot:
    """What was fixed on that day is a defect again only where a person said that it was there."""
    defects = [value_of(row) for row in rows if is_standing(row)]
    rejected = [value_of(row) for row in rows if row.status == FindingStatus.REJECTED]
    return EarlierShot(
        PhotoRef(photo.pk, photo.original_key, photo.name),
        tuple(value.model_copy(update={"history": None}) for value in defects),
        tuple(rejected),
        photo.perceptual_hash,
    )


def _unlike(left: int | None, right: int | None) -> int:
    """Bits that differ between two hashes, as many as half of them where one is unknown."""
    if left is None or right is None:
        return 32
    return ((left ^ right) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
