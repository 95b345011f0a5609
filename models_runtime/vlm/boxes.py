"""From relevance maps to boxes: threshold, close gaps, connected components, the best few."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import Box

GRID = 256
"""Maps are enlarged to this many rows and columns before they are cut."""
CLOSE = 5
"""Gaps up to this many grid pixels belong to one defect."""
LEAST_AREA = 8
"""Grid pixels; smaller spots are noise."""
PER_TYPE = 20


@dataclass(frozen=True, slots=True)
class Region:
    """A place where one text applies. ``peak``: largest logit in it. ``share``: of the photo."""

    box: Box
    peak: float
    share: float


def regions(
    logits: NDArray[np.float32], threshold: float, size: tuple[int, int], at_most: int = PER_TYPE
) -> list[Region]:
    """Cut a map of logits (rows, columns) into regions of a photo of ``size`` (height, width).

    The strongest come first.
    """
    fine = cv2.resize(logits, (GRID, GRID), interpolation=cv2.INTER_LINEAR)
    above = (fine > threshold).astype(np.uint8)
    if not above.any():
        return []
    closed = cv2.morphologyEx(above, cv2.MORPH_CLOSE, np.ones((CLOSE, CLOSE), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    found = []
    for number in range(1, count):
        x, y, wide, high, area = (int(v) for v in stats[number])
        if area < LEAST_AREA:
            continue
        patch = fine[y : y + high, x : x + wide][labels[y : y + high, x : x + wide] == number]
        found.append(Region(_scaled(x, y, wide, high, size), float(patch.max()), area / GRID**2))
    return sorted(found, key=lambda region: -region.peak)[:at_most]


def strongest(logits: NDArray[np.float32], size: tuple[int, int]) -> Region | None:
    """The region around the largest logit, for photos judged defective without a clear place."""
    found = regions(logits, float(logits.max()) - 1.0, size)
    return found[0] if found else None


def _scaled(x: int, y: int, wide: int, high: int, size: tuple[int, int]) -> Box:
    height, width = size
    across, down = width / GRID, height / GRID
    return Box(x1=x * across, y1=y * down, x2=(x + wide) * across, y2=(y + high) * down)


def overlap(left: Box, right: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(left.x2, right.x2) - max(left.x1, right.x1)
    high = min(left.y2, right.y2) - max(left.y1, right.y1)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (left.area + right.area - both)
