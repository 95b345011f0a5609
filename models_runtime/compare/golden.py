"""A memory of golden photos: each place of a new photo against the same place in all of them.

After Roth et al. 2022 (PatchCore: nearest neighbours in a memory bank) and Defard et al. 2020
(PaDiM: places count). The threshold comes from the golden photos alone, each left out once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.calibration import sigmoid
from models_runtime.compare.alignment import STAY, Alignment, align, onto_photo, onto_reference
from models_runtime.compare.descriptors import Grid, describe, resized, working_size
from models_runtime.contracts import (
    Architecture,
    Box,
    Comparison,
    Deviation,
    EngineRef,
    PhotoPixels,
    Pixels,
)
from models_runtime.errors import InputError

FEWEST = 3
MOST = 40
"""Of more golden photos those are kept that differ most from each other (k-centre greedy)."""

ALIGNED = 0.95
"""Photos are aligned where that brings golden photos nearer to each other, to at most this share of
their distance without it. Measured: toy figures 0.85 to 0.90; cookies (no two alike) and solar
cells (aligned already) 0.99 to 1.05."""

_REACH = 1
_FLOOR = 2.0
_BLUR = 0.8
_SURE_AT = 1.8
_STEEPNESS = 1.2
_LEAST_SPREAD, _MOST_SPREAD = 0.1, 0.35
_MOST_DEVIATIONS = 10

Describe = Callable[[Pixels], Grid]


@dataclass(frozen=True, slots=True)
class _Bank:
    """``grids``: float32 (photos, rows, columns, channels), normalised by ``mean`` and ``scale``.

    ``apart``: (photos, rows, columns), distance of each photo to the nearest of the others.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    grids: NDArray[np.float32]
    apart: NDArray[np.float32]

    @classmethod
    def of(cls, described: list[Grid]) -> _Bank:
        raw = np.stack(_most_different(described))
        mean = raw.mean(axis=(0, 1, 2))
        scale = np.maximum(raw.std(axis=(0, 1, 2)), _FLOOR)
        grids = ((raw - mean) / scale).astype(np.float32)
        return cls(mean, scale, grids, _pairwise(grids))

    def normal(self, grid: Grid) -> Grid:
        return ((grid - self.mean) / self.scale).astype(np.float32)

    def distance_of(self, scale: NDArray[np.float32]) -> float:
        """Mean distance between golden photos, in units of another bank's mean scale."""
        return float(self.apart.mean() * self.scale.mean() / scale.mean())


@dataclass(frozen=True)
class GoldenMemory:
    """What is normal. ``reference``: the photo that others are aligned to, None where none are.

    ``usual``: (rows, columns), how much golden photos differ among themselves at each place.
    ``middle``, ``spread``: of the logarithm of the golden photos' own scores, each left out once.
    """

    ref: EngineRef
    size: tuple[int, int]
    reference: Pixels | None
    bank: _Bank
    usual: NDArray[np.float32]
    middle: float
    spread: float
    describe: Describe = describe

    @classmethod
    def learn(cls, photos: Sequence[PhotoPixels], describer: Describe = describe) -> GoldenMemory:
        """Learn from photos of sound units, at least three; a few seconds for ten."""
        if len(photos) < FEWEST:
            raise InputError(
                f"There are {len(photos)} golden photos; give at least {FEWEST}, better 10, "
                "of sound units taken the same way."
            )
        size = working_size(photos[0].pixels)
        small = [resized(photo.pixels, size) for photo in photos]
        moved = [small[0], *(onto_reference(one, align(one, small[0])) for one in small[1:])]
        plain, aligned = (_Bank.of([describer(p) for p in views]) for views in (small, moved))
        aligning = aligned.distance_of(plain.scale) < ALIGNED * plain.distance_of(plain.scale)
        bank = aligned if aligning else plain
        usual = _usual(bank.apart)
        scores = [_score(_blurred(heat) / usual) for heat in bank.apart]
        middle, spread = _log_spread(np.asarray(scores))
        return cls(
            ref=_ref(photos, len(bank.grids)),
            size=size,
            reference=small[0] if aligning else None,
            bank=bank,
            usual=usual,
            middle=middle,
            spread=spread,
            describe=describer,
        )

    @property
    def threshold(self) -> float:
        """The score at which a photo is as likely to deviate as not."""
        return float(np.exp(self.middle + _SURE_AT * self.spread))

    def score(self, photo: PhotoPixels) -> float:
        """How far the photo's strangest place is from normal; compare with ``threshold``."""
        return _score(self._heat(resized(photo.pixels, self.size))[0])

    def probability(self, score: float) -> float:
        """Chance that a photo of this score deviates, by the spread of the golden photos' own.

        It stays away from 0 and 1 by what so few photos can't tell (rule of succession).
        """
        steps = (np.log(max(score, 1e-6)) - self.middle) / self.spread - _SURE_AT
        doubt = 0.5 / (len(self.bank.grids) + 2)
        return doubt + (1 - 2 * doubt) * float(sigmoid(np.asarray(_STEEPNESS * steps)))

    def compare(self, photo: PhotoPixels) -> Comparison:
        """Say how likely the photo deviates and where; heat above 1 is beyond the threshold."""
        heat, alignment = self._heat(resized(photo.pixels, self.size))
        relative = (heat / self.threshold).astype(np.float32)
        places = cv2.resize(relative, self.size, interpolation=cv2.INTER_LINEAR)
        places = np.asarray(places, dtype=np.float32)
        if self.reference is not None:
            places = onto_photo(places, alignment, self.size)
        deviations = self._deviations(places, (photo.height, photo.width))
        return Comparison(self.probability(_score(heat)), relative, deviations)

    def _heat(self, small: Pixels) -> tuple[NDArray[np.float32], Alignment]:
        alignment = STAY if self.reference is None else align(small, self.reference)
        if self.reference is not None:
            small = onto_reference(small, alignment)
        nearest = _distances(self.bank.normal(self.describe(small)), self.bank.grids).min(axis=0)
        return _blurred(nearest) / self.usual, alignment

    def _deviations(
        self, places: NDArray[np.float32], shape: tuple[int, int]
    ) -> tuple[Deviation, ...]:
        """Islands of heat above 1, hottest first, in pixels of the photo (height, width)."""
        _, islands = cv2.connectedComponents((places > 1).astype(np.uint8))
        hottest = sorted(
            ((float(places[islands == i].max()), i) for i in range(1, int(islands.max()) + 1)),
            reverse=True,
        )
        found = []
        for peak, island in hottest[:_MOST_DEVIATIONS]:
            mask = enlarged(islands == island, shape)
            box = box_of(mask)
            if box is not None:
                score = self.probability(peak * self.threshold)
                found.append(Deviation(box, mask, score))
        return tuple(found)


def _ref(photos: Sequence[PhotoPixels], kept: int) -> EngineRef:
    digest = hashlib.sha256("".join(sorted(p.sha256 for p in photos)).encode()).hexdigest()
    version = f"1-{kept}-photos-{digest[:8]}"
    return EngineRef(architecture=Architecture.COMPARE, engine="golden-memory", version=version)


def _distances(grid: Grid, bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """(photos, rows, columns): distance to the nearest cell of each photo within one cell."""
    _, rows, columns, _ = bank.shape
    best = np.full(bank.shape[:3], np.inf, dtype=np.float32)
    padded = np.pad(grid, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)), mode="edge")
    for down in range(2 * _REACH + 1):
        for across in range(2 * _REACH + 1):
            shifted = padded[down : down + rows, across : across + columns]
            difference = bank - shifted
            np.minimum(best, np.einsum("nrcd,nrcd->nrc", difference, difference), out=best)
    return np.asarray(np.sqrt(best / bank.shape[3]))


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
    local = cv2.GaussianBlur(apart.mean(axis=0), (0, 0), 2 * _BLUR)
    return np.asarray(0.5 * local + 0.5 * float(apart.mean()) + 1e-3, dtype=np.float32)


def _blurred(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(heat, (0, 0), _BLUR), dtype=np.float32)


def _score(heat: NDArray[np.float32]) -> float:
    return float(heat.max())


def _log_spread(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Median and median deviation of the logarithms: one odd golden photo must not blind it."""
    logs = np.log(np.maximum(scores, 1e-6))
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    return middle, min(max(spread, _LEAST_SPREAD), _MOST_SPREAD)


def _most_different(grids: list[Grid]) -> list[Grid]:
    """At most MOST grids, each the farthest from those kept before it."""
    if len(grids) <= MOST:
        return grids
    flat = np.stack([grid.mean(axis=(0, 1)) for grid in grids])
    kept, nearest = [0], np.linalg.norm(flat - flat[0], axis=1)
    while len(kept) < MOST:
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(flat - flat[kept[-1]], axis=1))
    return [grids[index] for index in sorted(kept)]


def enlarged(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    size = (shape[1], shape[0])
    return np.asarray(
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), dtype=bool
    )


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return Box(
        x1=float(columns[0]), y1=float(rows[0]), x2=float(columns[-1] + 1), y2=float(rows[-1] + 1)
    )
