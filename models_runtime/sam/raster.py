"""From low-resolution mask logits to a mask of the whole photo, as run-length encoding.

Only the part of the photo where the mask can be is ever rasterised, in bands of columns: a small
defect on a photo of 50 megapixels costs as much as on one of 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from models_runtime.contracts import Box, Mask, MaskCandidate

BAND_PIXELS = 4_000_000

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def candidate(
    logits: FloatArray, extent: tuple[float, float], size: tuple[int, int], predicted_iou: float
) -> MaskCandidate:
    """Upsample logits bilinearly to the photo and keep what is above zero.

    ``logits``: (rows, columns) of the grid. ``extent``: how many rows and columns of it the photo
    fills, from the top left. ``size``: (height, width) of the photo.
    """
    starts, ends, box = _runs(logits, extent, size)
    return MaskCandidate(
        mask=_encode(starts, ends, size),
        predicted_iou=min(1.0, max(0.0, predicted_iou)),
        area=int((ends - starts).sum()),
        box=box,
    )


def _runs(
    logits: FloatArray, extent: tuple[float, float], size: tuple[int, int]
) -> tuple[IntArray, IntArray, Box | None]:
    """Half-open runs in column-major order over the photo, and their bounding box."""
    height, width = size
    rows = _span(logits.max(axis=1), extent[0], height)
    columns = _span(logits.max(axis=0), extent[1], width)
    starts: list[IntArray] = []
    ends: list[IntArray] = []
    if rows and columns:
        for first, inside in _bands(logits, extent, size, rows, columns):
            start, end = _column_runs(inside)
            offset = first * height + rows[0]
            skip = height - inside.shape[1]
            starts.append(start + offset + (start // inside.shape[1]) * skip)
            ends.append(end + offset + ((end - 1) // inside.shape[1]) * skip)
    start = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    end = np.concatenate(ends) if ends else np.zeros(0, np.int64)
    return *_merged(start, end), _bounding_box(start, end, height)


def _span(peak: FloatArray, extent: float, length: int) -> tuple[int, int] | None:
    """The range of photo pixels that cells above zero can reach, None where there are none."""
    above = np.flatnonzero(peak > 0)
    if not len(above):
        return None
    per_cell = length / extent
    first = int(np.floor((above[0] - 0.5) * per_cell)) - 1
    last = int(np.ceil((above[-1] + 1.5) * per_cell)) + 1
    first, last = max(0, first), min(length, last)
    return (first, last) if last > first else None


def _bands(
    logits: FloatArray,
    extent: tuple[float, float],
    size: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield (first column, bool (columns, rows)) from left to right."""
    upper, lower, down = _samples(rows, extent[0], size[0], logits.shape[0])
    tall = (logits[upper] * (1 - down)[:, None] + logits[lower] * down[:, None]).T
    step = max(1, BAND_PIXELS // (rows[1] - rows[0]))
    for first in range(columns[0], columns[1], step):
        last = min(first + step, columns[1])
        left, right, along = _samples((first, last), extent[1], size[1], logits.shape[1])
        yield first, tall[left] * (1 - along)[:, None] + tall[right] * along[:, None] > 0


def _samples(
    span: tuple[int, int], extent: float, length: int, cells: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """For each pixel of a span the two cells around its centre, and the weight of the second."""
    centres = (np.arange(*span) + 0.5) * (extent / length) - 0.5
    last = min(cells, int(np.ceil(extent))) - 1
    centres = np.clip(centres, 0, last)
    lower = np.floor(centres).astype(np.int64)
    return lower, np.minimum(lower + 1, last), (centres - lower).astype(np.float32)


def _column_runs(inside: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Runs within each column, as half-open indices into the flattened (columns, rows) array."""
    edged = np.zeros((inside.shape[0], inside.shape[1] + 2), np.int8)
    edged[:, 1:-1] = inside
    change = np.diff(edged, axis=1)
    wide = inside.shape[1] + 1
    start, end = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return start - start // wide, end - end // wide


def _merged(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Join runs that touch from the foot of one column to the head of the next."""
    if not len(start):
        return start, end
    apart = start[1:] != end[:-1]
    return start[np.r_[True, apart]], end[np.r_[apart, True]]


def _bounding_box(start: IntArray, end: IntArray, height: int) -> Box | None:
    if not len(start):
        return None
    x1, x2 = start[0] // height, (end[-1] - 1) // height + 1
    y1, y2 = (start % height).min(), ((end - 1) % height).max() + 1
    return Box(x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))


def _encode(start: IntArray, end: IntArray, size: tuple[int, int]) -> Mask:
    edges = np.stack([start, end], axis=1).ravel()
    counts = np.diff(np.r_[0, edges, size[0] * size[1]])
    if counts[-1] == 0:
        # The mask ends with the photo; as pycocotools does it, no empty run follows.
        counts = counts[:-1]
    rle = coco.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
    return Mask(size=size, counts=rle["counts"].decode("ascii"))
