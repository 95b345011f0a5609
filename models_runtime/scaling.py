"""Very large photos are inspected on a smaller working copy; places are brought back to pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models_runtime.contracts import Box, Click, PhotoPixels, Prompt
from models_runtime.errors import InputError

WORKING_PIXELS = 16_000_000
"""Engines see at most this many pixels: a mask per prompt of a 100-megapixel photo fills a worker's
memory, and no engine looks at more than a few megapixels anyway."""


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """The photo that engines see. ``scale``: pixels of the original per pixel of the copy."""

    photo: PhotoPixels
    original: PhotoPixels
    scale: float

    @classmethod
    def of(cls, photo: PhotoPixels, most: int = WORKING_PIXELS) -> WorkingCopy:
        """Average blocks of whole pixels where the photo has more than ``most`` of them."""
        factor = math.ceil((photo.width * photo.height / most) ** 0.5)
        if factor <= 1:
            return cls(photo, photo, 1.0)
        small = Image.fromarray(photo.pixels).reduce(factor)
        return cls(replace(photo, pixels=np.asarray(small)), photo, float(factor))

    def box_in_photo(self, box: Box) -> Box:
        """Bring a box of the copy to pixels of the original, kept inside it."""
        return clipped(_scaled(box, self.scale), self.original.width, self.original.height) or box

    def box_in_copy(self, box: Box) -> Box | None:
        """Bring a box of the original to the copy; None where nothing of it is left."""
        return clipped(_scaled(box, 1 / self.scale), self.photo.width, self.photo.height)

    def prompt_in_copy(self, prompt: Prompt) -> Prompt:
        """Bring a prompt to the copy; InputError where its box lies outside the photo."""
        if self.scale == 1.0:
            return prompt
        box = None if prompt.box is None else self.box_in_copy(prompt.box)
        if prompt.box is not None and box is None:
            raise InputError("The box lies outside the photo. Give pixels of the upright photo.")
        clicks = tuple(
            Click(x=c.x / self.scale, y=c.y / self.scale, positive=c.positive)
            for c in prompt.clicks
        )
        return Prompt(box=box, clicks=clicks)

    def mask_in_photo(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bring a mask (height, width) of the copy to the original's size."""
        height, width = self.original.height, self.original.width
        if mask.shape == (height, width):
            return mask
        factor = int(self.scale)
        return mask.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]


def clipped(box: Box, width: int, height: int) -> Box | None:
    """Cut a box to the photo; None where it lies outside."""
    x1, y1 = min(max(box.x1, 0.0), width), min(max(box.y1, 0.0), height)
    x2, y2 = min(max(box.x2, 0.0), width), min(max(box.y2, 0.0), height)
    return Box(x1=x1, y1=y1, x2=x2, y2=y2) if x2 > x1 and y2 > y1 else None


def box_iou(left: Box, right: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(left.x2, right.x2) - max(left.x1, right.x1)
    height = min(left.y2, right.y2) - max(left.y1, right.y1)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (left.area + right.area - both)


def _scaled(box: Box, by: float) -> Box:
    return Box(x1=box.x1 * by, y1=box.y1 * by, x2=box.x2 * by, y2=box.y2 * by)
