"""A memory bank of patches: what a trained network sees at each place of sound units, wherever.

After Roth et al. 2022 (PatchCore): features of a middle layer, averaged over neighbours, kept as a
coreset by greedy k-centre selection (distances there in a random projection), and the distance of a
new photo's patches to the nearest of them. A patch may come from any place of any golden photo, so
that the unit need not lie where it lay. The features are those of the extractor's own pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import Extractor, PhotoPixels

Features = Callable[[PhotoPixels], NDArray[np.float32]]
"""A photo to float32 (channels, rows, columns)."""

Cells = NDArray[np.float32]
"""float32 (cells, channels)."""

MOST_CELLS = 2048
"""Cells in the bank; more golden photos make it no larger, only better spread."""

ROWS = 16
"""Cells along each side of the map, whatever the network's own grid."""

TOP_SHARE = 0.02
"""The strangest cells, whose mean is the score of a photo."""

_NEIGHBOURS = (3, 3)
_PROJECTED = 32
_SEED = 1


@runtime_checkable
class SeesPatches(Protocol):
    """An extractor that lets what it sees be used: ``features`` costs nothing for a photo that it
    has just been asked about."""

    def features(self, photo: PhotoPixels) -> NDArray[np.float32]:
        """Float32 (channels, rows, columns); the grid lies over the whole photo."""
        ...


def seen_by(extractor: Extractor | None) -> tuple[Features | None, str]:
    """An extractor's features and its version; None and "" where it has none to show."""
    if extractor is None or not isinstance(extractor, SeesPatches):
        return None, ""
    return extractor.features, extractor.ref.version


@dataclass(frozen=True, slots=True)
class PatchBank:
    """``cells``: (kept, channels), divided by ``scale``. ``owners``: (kept,), which golden photo
    each came from. ``apart``: (photos, rows, columns), distance of each golden photo's places to
    the nearest cell of the others."""

    scale: float
    cells: Cells
    owners: NDArray[np.intp]
    apart: NDArray[np.float32]

    @classmethod
    def of(cls, maps: Sequence[NDArray[np.float32]]) -> PatchBank:
        """Learn from maps (channels, rows, columns) of at least two photos; they are drawn to one
        size. Deterministic."""
        grids = np.stack([_patches(one) for one in maps])
        scale = max(float(grids.std(axis=(0, 1, 2)).mean()), 1e-6)
        photos, rows, columns, channels = grids.shape
        every = (grids / scale).reshape(-1, channels).astype(np.float32)
        owners = np.repeat(np.arange(photos), rows * columns)
        kept = coreset(every, MOST_CELLS)
        bank, owners = every[kept], owners[kept]
        apart = [
            _nearest(one, bank[owners != number]).reshape(rows, columns)
            for number, one in enumerate(every.reshape(photos, -1, channels))
        ]
        return cls(scale, bank, owners, np.stack(apart))

    def heat(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, columns): distance of each place of a photo to the nearest cell of the bank."""
        grid = _patches(features) / self.scale
        rows, columns, channels = grid.shape
        return _nearest(grid.reshape(-1, channels), self.cells).reshape(rows, columns)


def score_of(heat: NDArray[np.float32]) -> float:
    """Mean of the strangest cells: steadier than the strangest one alone."""
    count = max(1, round(TOP_SHARE * heat.size))
    return float(np.sort(heat, axis=None)[-count:].mean())


def coreset(cells: Cells, most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` cells such that none of the others is far from all of them.

    Greedy k-centre (Gonzalez 1985): each next one is the farthest from those kept before it.
    """
    if len(cells) <= most:
        return np.arange(len(cells))
    rng = np.random.default_rng(_SEED)
    width = min(_PROJECTED, cells.shape[1])
    seen = cells @ rng.standard_normal((cells.shape[1], width), dtype=np.float32)
    kept = np.zeros(most, dtype=np.intp)
    nearest = np.square(seen - seen[0]).sum(axis=1)
    for number in range(1, most):
        kept[number] = int(nearest.argmax())
        away = np.square(seen - seen[kept[number]]).sum(axis=1)
        np.minimum(nearest, away, out=nearest)
    return kept


def _patches(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows, columns, channels): each place averaged with its neighbours, on the common grid."""
    grid = np.ascontiguousarray(features.transpose(1, 2, 0))
    soft = [cv2.blur(grid[..., c], _NEIGHBOURS) for c in range(grid.shape[2])]
    sized = [cv2.resize(one, (ROWS, ROWS), interpolation=cv2.INTER_AREA) for one in soft]
    return np.stack(sized, axis=-1).astype(np.float32)


def _nearest(cells: Cells, bank: Cells) -> NDArray[np.float32]:
    """Distance of each cell to the nearest of the bank, in units of a channel's spread."""
    squares = np.square(cells).sum(axis=1)[:, None] + np.square(bank).sum(axis=1)[None]
    away = (squares - 2 * cells @ bank.T).min(axis=1)
    return np.asarray(np.sqrt(np.maximum(away, 0) / cells.shape[1]), dtype=np.float32)
