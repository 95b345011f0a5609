"""What the shipped extractor said and saw of a photo: all that a learnt correction looks at.

A reading is kept beside the photo, so that any version can be tried on thousands of judged units
without showing a model a single photo again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from models_runtime.contracts import Box, Extraction, Extractor, PhotoPixels
from models_runtime.plans import PlanSpec
from models_runtime.scaling import WorkingCopy

Floats = NDArray[np.float32]


@runtime_checkable
class Seeing(Protocol):
    """An extractor that also tells what it sees: float32 (channels, rows, columns) over the whole
    photo, and float32 (features,) of what speaks for a defect."""

    def features(self, photo: PhotoPixels) -> Floats: ...

    def evidence(self, photo: PhotoPixels) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """``extraction`` in pixels of the photo, without its embedding. ``traits``: float32 (features,)
    of the whole photo. ``places``: float32 (defects, features), one row for each of its defects.
    Both have no column where the extractor only answers."""

    extraction: Extraction
    traits: Floats
    places: Floats

    def packed(self) -> bytes:
        """``traits`` and ``places`` as safetensors, in half precision."""
        tensors = {"traits": self.traits, "places": self.places}
        return bytes(save({name: value.astype(np.float16) for name, value in tensors.items()}))

    @classmethod
    def unpacked(cls, extraction: Extraction, packed: bytes) -> Reading:
        """The reading again, from ``packed`` and the extraction."""
        tensors = load(packed)
        return cls(extraction, *(tensors[n].astype(np.float32) for n in ("traits", "places")))


def read_photos(
    extractor: Extractor, photos: Sequence[PhotoPixels], plan: PlanSpec
) -> list[Reading]:
    """One reading per photo, in order."""
    copies = [WorkingCopy.of(photo) for photo in photos]
    said = extractor.extract([copy.photo for copy in copies], plan)
    return [
        _restored(read_one(extractor, c.photo, e), c) for c, e in zip(copies, said, strict=True)
    ]


def read_one(extractor: Extractor, photo: PhotoPixels, said: Extraction) -> Reading:
    """What lies behind an answer that this extractor has just given about this photo."""
    plain = said.model_copy(update={"embedding": ()})
    if not isinstance(extractor, Seeing):
        nothing = np.zeros(0, np.float32)
        return Reading(plain, nothing, np.zeros((len(said.defects), 0), np.float32))
    grid = extractor.features(photo)
    size = (photo.height, photo.width)
    rows = [of_place(grid, defect.box, size) for defect in said.defects]
    width = 2 * grid.shape[0]
    return Reading(plain, extractor.evidence(photo), np.array(rows, np.float32).reshape(-1, width))


def of_place(grid: Floats, box: Box, size: tuple[int, int]) -> Floats:
    """What is in a box, and how that differs from the whole. ``size``: (height, width)."""
    rows, columns = grid.shape[1:]
    top, bottom = _cells(box.y1, box.y2, size[0], rows)
    left, right = _cells(box.x1, box.x2, size[1], columns)
    inside = grid[:, top:bottom, left:right].mean(axis=(1, 2))
    return np.concatenate([inside, inside - grid.mean(axis=(1, 2))]).astype(np.float32)


def _cells(low: float, high: float, length: int, count: int) -> tuple[int, int]:
    """The cells that an interval of pixels touches; at least one."""
    first = min(count - 1, max(0, int(low / length * count)))
    return first, min(count, max(first + 1, int(np.ceil(high / length * count))))


def _restored(reading: Reading, copy: WorkingCopy) -> Reading:
    if copy.scale == 1.0:
        return reading
    said = reading.extraction
    defects = tuple(d.model_copy(update={"box": copy.box_in_photo(d.box)}) for d in said.defects)
    changed = said.model_copy(update={"defects": defects})
    return Reading(changed, reading.traits, reading.places)
