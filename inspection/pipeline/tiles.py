"""Cutting a large photo into tiles, so that a browser loads only what it shows."""

from __future__ import annotations

import io
import logging
from uuid import UUID

import numpy as np

from inspection.models import Photo
from inspection.models.choices import PhotoStatus
from inspection.pipeline.photos import decode
from inspection.selectors.tiles import SIDE, is_large, level_sizes, tile_name
from inspection.services.intake import put
from models_runtime.contracts import Pixels
from models_runtime.errors import InputError

logger = logging.getLogger(__name__)
QUALITY = 85


def make_tiles(photo: UUID, pixels: Pixels) -> str:
    """Write all tiles of a photo, and return the key that they lie below. A repeated call writes
    the same files. A level is made from the one before, in bands, so that beside the photo there
    is never more than a quarter of it in memory."""
    start = f"tiles/{photo}"
    height, width = pixels.shape[:2]
    for level, _ in enumerate(level_sizes(width, height)):
        if level:
            pixels = halved(pixels)
        _write(start, level, pixels)
    return start


def _write(start: str, level: int, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for y in range(0, height, SIDE):
        for x in range(0, width, SIDE):
            tile = pixels[y : y + SIDE, x : x + SIDE]
            put(tile_name(start, level, x // SIDE, y // SIDE), _jpeg(tile))


def _jpeg(pixels: Pixels) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def halved(pixels: Pixels) -> Pixels:
    """Half as large, rounded up, each pixel the mean of up to four."""
    from PIL import Image

    height, width = pixels.shape[:2]
    half = np.empty(((height + 1) // 2, (width + 1) // 2, 3), np.uint8)
    for top in range(0, height, 2 * SIDE):
        band = Image.fromarray(np.ascontiguousarray(pixels[top : top + 2 * SIDE]))
        made = np.asarray(band.reduce(2))
        half[top // 2 : top // 2 + len(made)] = made
    return half


def make_missing(photo_id: UUID) -> None:
    """Make the tiles of a photo that came before there were any."""
    rows = Photo.objects.filter(pk=photo_id, status=PhotoStatus.READY, tiles_key="")
    photo = rows.only("original_key", "width", "height").first()
    if photo is None or not is_large(photo.width or 0, photo.height or 0):
        return
    try:
        pixels = decode(photo.original_key).pixels
    except InputError as error:
        logger.warning("no tiles of photo %s: %s", photo_id, error)
        return
    rows.update(tiles_key=make_tiles(photo.pk, pixels))
