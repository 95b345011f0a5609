"""From low-resolution mask logits to a mask of the whole photo, as run-length encoding.

The photo itself is never rasterised. Down a column of the photo the interpolated logits are
straight lines from one row of the grid to the next, so a run of pixels above zero begins and ends
where such a line crosses zero. A mask costs columns of the photo times rows of the grid, and only
where it can be at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from models_runtime.contracts import Box, Mask, MaskCandidate

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def candidate(
    logits: FloatArray, extent: tuple[float, float], size: tuple[int, int], predicted_iou: float
) -> MaskCandidate:
    """Upsample logits bilinearly to the photo and keep what is above zero.

    ``logits``: (rows, columns) of the grid. ``extent``: how many rows and columns of it the photo
    fills, from the top left. ``size``: (height, width) of the photo.
    """
    start, end = _runs(logits, extent, size)
    return MaskCandidate(
        mask=_encode(*_merged(start, end), size),
        predicted_iou=min(1.0, max(0.0, predicted_iou)),
        area=int((end - start).sum()),
        box=_bounding_box(start, end, size[0]),
    )


def _runs(
    logits: FloatArray, extent: tuple[float, float], size: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """Half-open runs, none longer than its column, in column-major order over the photo."""
    height, width = size
    used = logits[: _cells(logits.shape[0], extent[0]), : _cells(logits.shape[1], extent[1])]
    rows, columns = _around(used.max(axis=1)), _around(used.max(axis=0))
    if rows is None or columns is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, last = _pixels(columns, used.shape[1], width / extent[1], width)
    lines = _down_columns(used[rows[0] : rows[1]], np.arange(first, last), extent[1] / width)
    edged = np.zeros((lines.shape[0], lines.shape[1] + 2), np.int8)
    edged[:, 1:-1] = lines > 0
    change = np.diff(edged, axis=1)
    per_cell = height / extent[0]
    column, place = _crossings(change == 1, lines, rows[0], per_cell)
    top = np.floor(place).clip(-1, height - 1).astype(np.int64) + 1
    column_too, place = _crossings(change == -1, lines, rows[0], per_cell)
    bottom = np.ceil(place).clip(0, height).astype(np.int64)
    seen = top < bottom
    start, end = (column + first) * height + top, (column_too + first) * height + bottom
    return start[seen], end[seen]


def _cells(count: int, extent: float) -> int:
    return min(count, int(np.ceil(extent)))


def _around(peak: FloatArray) -> tuple[int, int] | None:
    """The cells above zero with one more on each side, half-open; None where there are none."""
    above = np.flatnonzero(peak > 0)
    if not len(above):
        return None
    return max(0, int(above[0]) - 1), min(len(peak), int(above[-1]) + 2)


def _pixels(span: tuple[int, int], cells: int, per_cell: float, length: int) -> tuple[int, int]:
    """The pixels between the centres of the outermost cells of a span, and those beyond the grid's
    last centres where the span reaches them."""
    first = 0 if span[0] == 0 else int(np.floor((span[0] + 0.5) * per_cell - 0.5))
    last = length if span[1] == cells else int(np.ceil((span[1] - 0.5) * per_cell - 0.5)) + 1
    return max(0, first), min(length, last)


def _down_columns(grid: FloatArray, pixels: IntArray, cells_per_pixel: float) -> FloatArray:
    """Logits (pixels, rows) of the grid, interpolated along its rows at the pixels' centres."""
    centres = ((pixels + 0.5) * cells_per_pixel - 0.5).clip(0, grid.shape[1] - 1)
    left = centres.astype(np.int64)
    right = np.minimum(left + 1, grid.shape[1] - 1)
    share = (centres - left).astype(np.float32)[:, None]
    columns = np.ascontiguousarray(grid.T)
    low = columns[left]
    mixed: FloatArray = low + (columns[right] - low) * share
    return mixed


def _crossings(
    at: NDArray[np.bool_], lines: FloatArray, first_row: int, per_cell: float
) -> tuple[IntArray, NDArray[np.float64]]:
    """Column of each crossing and the pixel row, continuous, where the logits are zero.

    ``at`` (pixels, rows + 1): between which two rows of ``lines``; infinite before and after them,
    as beyond the centre of the grid's last cells the photo goes on with their value.
    """
    column, row = np.nonzero(at)
    inner = (row > 0) & (row < lines.shape[1])
    place = np.where(row > 0, np.inf, -np.inf)
    before = lines[column[inner], row[inner] - 1].astype(np.float64)
    after = lines[column[inner], row[inner]]
    cell = first_row + row[inner] - 1 + before / (before - after)
    place[inner] = (cell + 0.5) * per_cell - 0.5
    return column, place


def _merged(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Join runs that touch: within a column, or from the foot of one to the head of the next."""
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
