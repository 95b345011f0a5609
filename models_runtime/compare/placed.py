"""A memory bank by place: each place of a photo against the same place of all golden photos.

After Defard et al. 2020 (PaDiM: places count), with nearest neighbours in the place of Gaussians:
where the units lie still, or are registered, this is the difference against the nearest golden
photo, place by place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.compare.descriptors import Grid

MOST = 40
"""Of more golden photos those are kept that differ most from each other (k-centre greedy)."""

BLUR = 0.8
"""Cells; a place is as strange as it is together with those around it."""

_REACH = 1
_FLOOR = 2.0


@dataclass(frozen=True, slots=True)
class PlacedBank:
    """``grids``: float32 (photos, rows, columns, channels), normalised by ``mean`` and ``scale``.

    ``apart``: (photos, rows, columns), distance of each photo to the nearest of the others.
    ``usual``: (rows, columns), how much golden photos differ among themselves at each place.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    grids: NDArray[np.float32]
    apart: NDArray[np.float32]
    usual: NDArray[np.float32]

    @classmethod
    def of(cls, described: list[Grid]) -> PlacedBank:
        """Learn from descriptions of one size."""
        raw = np.stack(_most_different(described))
        mean = raw.mean(axis=(0, 1, 2))
        scale = np.maximum(raw.std(axis=(0, 1, 2)), _FLOOR)
        grids = ((raw - mean) / scale).astype(np.float32)
        apart = _pairwise(grids)
        return cls(mean, scale, grids, apart, _usual(apart))

    def distance_of(self, scale: NDArray[np.float32]) -> float:
        """Mean distance between golden photos, in units of another bank's mean scale."""
        return float(self.apart.mean() * self.scale.mean() / scale.mean())

    def heat(self, grid: Grid) -> NDArray[np.float32]:
        """(rows, columns): distance of each place to the nearest golden one, over what is usual."""
        normal = ((grid - self.mean) / self.scale).astype(np.float32)
        return blurred(_distances(normal, self.grids).min(axis=0)) / self.usual

    def own_heats(self) -> list[NDArray[np.float32]]:
        """The heat of each golden photo, left out once."""
        return [blurred(heat) / self.usual for heat in self.apart]


def blurred(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(heat, (0, 0), BLUR), dtype=np.float32)


def _distances(grid: Grid, bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """(photos, rows, columns): distance to the nearest cell of the photo within one cell.

    |a - b|² = |a|² + |b|² - 2ab, with all products of a place in one matrix product: a bank ten
    times as large costs little more than one that is small.
    """
    _, rows, columns, channels = bank.shape
    padded = np.pad(grid, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)), mode="edge")
    reach = range(2 * _REACH + 1)
    around = np.stack(
        [padded[d : d + rows, a : a + columns] for d in reach for a in reach], axis=2
    )  # (rows, columns, 9, channels)
    stored = bank.transpose(1, 2, 3, 0)  # (rows, columns, channels, photos)
    products = around @ stored
    squares = np.square(around).sum(axis=-1)[..., None] + np.square(stored).sum(axis=2)[:, :, None]
    nearest = np.maximum((squares - 2 * products).min(axis=2), 0)
    return np.asarray(np.sqrt(nearest / channels).transpose(2, 0, 1), dtype=np.float32)


def _pairwise(bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """(photos, rows, columns): each photo's distance to the nearest of the others."""
    apart = []
    for index, grid in enumerate(bank):
        distances = _distances(grid, bank)
        distances[index] = np.inf
        apart.append(distances.min(axis=0))
    return np.stack(apart)


def _usual(apart: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half of what is usual at a place, half of what is usual anywhere: few photos know little."""
    local = cv2.GaussianBlur(apart.mean(axis=0), (0, 0), 2 * BLUR)
    return np.asarray(0.5 * local + 0.5 * float(apart.mean()) + 1e-3, dtype=np.float32)


def _most_different(grids: Sequence[Grid]) -> list[Grid]:
    """At most MOST grids, each the farthest from those kept before it."""
    if len(grids) <= MOST:
        return list(grids)
    flat = np.stack([grid.mean(axis=(0, 1)) for grid in grids])
    kept, nearest = [0], np.linalg.norm(flat - flat[0], axis=1)
    while len(kept) < MOST:
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(flat - flat[kept[-1]], axis=1))
    return [grids[index] for index in sorted(kept)]
