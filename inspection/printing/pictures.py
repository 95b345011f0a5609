"""Photos and masks as pictures for a page: scaled down, re-encoded, masks exact to the pixel."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models_runtime import masks
from models_runtime.contracts import Mask

FILL, EDGE = 110, 255
"""Opacity (0..255) of a mask's inside and of its outermost pixels."""
CROP_SIDE = 420
CROP_MARGIN = 0.6
CROP_LEAST = 96

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A JPEG of ``width`` × ``height``, which shows ``box`` (x1, y1, x2, y2) of the photo.
    ``detail``: how many pixels masks on it have for one of the photo's."""

    jpeg: bytes
    width: int
    height: int
    box: Box
    detail: float


@dataclass(frozen=True)
class Overlay:
    """A mask as RGBA; ``box`` (x1, y1, x2, y2) is where it lies on the photo."""

    image: Image.Image
    box: Box


class OpenPhoto:
    """The served copy of a photo of ``size`` (width, height), decoded at most once, and no larger
    than the longest side that is needed."""

    def __init__(self, data: bytes, size: tuple[int, int], longest: int) -> None:
        self.size = size
        self._longest = longest
        self._image = Image.open(io.BytesIO(data)).convert("RGB")

    def whole(self) -> Picture:
        """All of it, its longest side at most ``longest``."""
        shown = self._image.copy()
        shown.thumbnail((self._longest, self._longest), Image.Resampling.LANCZOS)
        box = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        return _picture(shown, box, self._longest / max(self.size))

    def crop(self, box: Sequence[float]) -> Picture:
        """The surroundings of a finding."""
        wanted = around(box, self.size)
        factor = self._image.width / self.size[0]
        x1, y1, x2, y2 = (round(side * factor) for side in wanted)
        x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
        cut = self._image.crop((x1, y1, x2, y2))
        grow = CROP_SIDE / max(cut.size)
        size = (max(1, round(cut.width * grow)), max(1, round(cut.height * grow)))
        kind = Image.Resampling.LANCZOS if grow < 1 else Image.Resampling.BICUBIC
        shown = (x1 / factor, y1 / factor, x2 / factor, y2 / factor)
        return _picture(cut.resize(size, kind), shown, grow * factor)


def around(box: Sequence[float], size: tuple[int, int]) -> Box:
    """A box with a margin, inside the photo of ``size`` (width, height), of whole pixels."""
    x1, y1, x2, y2 = box
    grow = max(CROP_MARGIN * max(x2 - x1, y2 - y1), (CROP_LEAST - max(x2 - x1, y2 - y1)) / 2)
    left, top = max(0, int(x1 - grow)), max(0, int(y1 - grow))
    right = min(size[0], max(left + 1, round(x2 + grow)))
    bottom = min(size[1], max(top + 1, round(y2 + grow)))
    return float(left), float(top), float(right), float(bottom)


def _picture(image: Image.Image, box: Box, detail: float) -> Picture:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return Picture(out.getvalue(), image.width, image.height, box, detail)


def overlay(mark: dict[str, Any], scale: float) -> Overlay | None:
    """The mask of a mark in its colour, with at most ``scale`` pixels for one of the photo's, never
    more than one. Nothing where it has no mask, or an empty one."""
    said = mark["mask"]
    if said is None:
        return None
    pixels = masks.decode(Mask(size=tuple(said["size"]), counts=said["counts"]))
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    part = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
    box = (float(left), float(top), float(left + part.shape[1]), float(top + part.shape[0]))
    return Overlay(painted(thinned(part, scale), mark["colour"]), box)


def thinned(part: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """Nearest pixels at a smaller scale; the same array where the scale is 1 or more."""
    if scale >= 1:
        return part
    height, width = (max(1, round(side * scale)) for side in part.shape)
    rows = ((np.arange(height) + 0.5) * part.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * part.shape[1] / width).astype(int)
    return part[np.ix_(rows, columns)]


def painted(part: NDArray[np.bool_], colour: str) -> Image.Image:
    """RGBA: clear outside the mask, half clear inside, full on its edge."""
    padded = np.pad(part, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rgba = np.zeros((*part.shape, 4), dtype=np.uint8)
    rgba[..., :3] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    rgba[..., 3] = np.where(part, np.where(inner, FILL, EDGE), 0)
    return Image.fromarray(rgba)
