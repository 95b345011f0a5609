"""Photos as a step sees them: a reference that is a value, and the pixels it stands for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from inspection.models import Run
from inspection.models.choices import PhotoStatus
from inspection.services.intake import fetch
from models_runtime.contracts import PhotoPixels
from models_runtime.errors import InputError
from models_runtime.intake.decode import DecodedPhoto, DecodeLimits, decode_photo

KEPT_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class PhotoRef:
    """A photo row as a value; ``key`` is where its original bytes are stored."""

    id: UUID
    key: str
    name: str = ""
    warnings: tuple[str, ...] = ()


def usable_photos(run: Run) -> tuple[PhotoRef, ...]:
    """The decoded photos of the run's unit, in their order."""
    rows = run.inspection.photos.filter(status=PhotoStatus.READY)
    told = rows.values_list("pk", "original_key", "name", "warnings")
    return tuple(PhotoRef(pk, key, name, tuple(warnings)) for pk, key, name, warnings in told)


def limits() -> DecodeLimits:
    """The settings' limits for decoding."""
    return DecodeLimits(max_bytes=settings.MAX_PHOTO_BYTES, max_pixels=settings.MAX_PHOTO_PIXELS)


def decode(key: str) -> DecodedPhoto:
    """Decode a stored original. Raises InputError with words for the operator."""
    try:
        return decode_photo(fetch(key), limits())
    except FileNotFoundError:
        raise InputError("The stored photo is gone. Upload it again.") from None


class _Kept:
    """The photos that were decoded last, so that the next step of a unit need not decode again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._photos: OrderedDict[str, PhotoPixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> PhotoPixels | None:
        with self._lock:
            if key in self._photos:
                self._photos.move_to_end(key)
            return self._photos.get(key)

    def add(self, key: str, photo: PhotoPixels) -> None:
        with self._lock:
            self._photos[key] = photo
            while len(self._photos) > 1 and self._bytes() > self._most:
                self._photos.popitem(last=False)

    def _bytes(self) -> int:
        return sum(photo.pixels.nbytes for photo in self._photos.values())


_kept = _Kept(KEPT_BYTES)


def pixels(photo: PhotoRef) -> PhotoPixels:
    """Upright pixels of a photo that intake found usable."""
    found = _kept.get(photo.key)
    if found is None:
        found = decode(photo.key).photo
        _kept.add(photo.key, found)
    return found


def keep(key: str, photo: PhotoPixels) -> None:
    """Keep pixels that were just decoded for the steps that follow in this process."""
    _kept.add(key, photo)
