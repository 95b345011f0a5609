"""Prompts as people and models give them: jittered boxes, and clicks where the mask is wrong.

Iterated clicks follow Sofiiuk et al. 2021 and the SAM paper: the next click goes to the middle of
the largest wrong region, positive where the mask misses the object, negative where it spills over.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def jitter_box(
    rng: np.random.Generator, box: tuple[float, float, float, float], side: float
) -> FloatArray:
    """Move each edge: mostly a little, sometimes by up to 30 % of the box (a coarse detector)."""
    x1, y1, x2, y2 = box
    spread = rng.choice((0.01, 0.06, 0.15), p=(0.6, 0.25, 0.15))
    extent = np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    moved = np.array(box) + np.clip(rng.normal(0, spread, 4), -0.3, 0.3) * extent
    if spread == 0.15:
        grow = rng.uniform(0, 0.15) * extent * (-1, -1, 1, 1)
        moved = moved + grow
    moved = np.clip(moved, 0, side)
    if moved[2] - moved[0] < 1 or moved[3] - moved[1] < 1:
        moved = np.array([x1, y1, x2, y2])
    return np.asarray(moved, np.float32)


def first_click(rng: np.random.Generator, target: NDArray[np.bool_]) -> tuple[float, float]:
    """A place on the object, in cells: half the time its middle, half the time anywhere on it."""
    if rng.random() < 0.5:
        return innermost(target)
    rows, columns = np.nonzero(target)
    pick = int(rng.integers(len(rows)))
    return columns[pick] + 0.5, rows[pick] + 0.5


def innermost(region: NDArray[np.bool_]) -> tuple[float, float]:
    """Middle (x, y) of the cell of a region, not empty, that is farthest from the region's edge."""
    framed = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return float(column) + 0.5, float(row) + 0.5


def correcting_click(
    predicted: NDArray[np.bool_], target: NDArray[np.bool_]
) -> tuple[float, float, bool] | None:
    """The next click (x, y, positive) in cells, None where the mask is already right."""
    wrong = predicted != target
    if not wrong.any():
        return None
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y = innermost(labels == largest)
    return x, y, bool(target[int(y), int(x)])
