"""What deviates from golden photos, learnt without a single defect.

Two witnesses look at a photo: one compares each place with the same place of the golden photos, by
hand-made descriptors (``placed``); the other compares what a trained network sees at each place
with what it saw anywhere on them (``patches``), where there is such a network. The more alarmed one
is believed. All thresholds come from the golden photos alone, each left out once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.calibration import sigmoid
from models_runtime.compare.alignment import STAY, align, onto_photo, onto_reference
from models_runtime.compare.descriptors import describe, resized, working_size
from models_runtime.compare.patches import Features, PatchBank, score_of
from models_runtime.compare.placed import PlacedBank
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

ALIGNED = 0.95
"""Photos are aligned where that brings golden photos nearer to each other, to at most this share of
their distance without it. Measured: toy figures 0.85 to 0.90; cookies (no two alike) and solar
cells (aligned already) 0.99 to 1.05."""

SURE_AT = 1.8
"""Spreads above the golden photos' own median from which a photo more likely deviates than not."""

_STEEPNESS = 1.2
_LEAST_SPREAD, _MOST_SPREAD = 0.1, 0.35
_MOST_DEVIATIONS = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """Of the logarithm of the golden photos' own scores, each left out once.

    A median and a median deviation: one odd golden photo must not blind the memory.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Scale:
        logs = np.log(np.maximum(np.asarray(scores), 1e-6))
        middle = float(np.median(logs))
        spread = 1.4826 * float(np.median(np.abs(logs - middle)))
        return cls(middle, min(max(spread, _LEAST_SPREAD), _MOST_SPREAD))

    def steps(self, score: float) -> float:
        """How many spreads a score lies above the middle."""
        return (float(np.log(max(score, 1e-6))) - self.middle) / self.spread

    def score_at(self, steps: float) -> float:
        return float(np.exp(self.middle + steps * self.spread))


@dataclass(frozen=True)
class GoldenMemory:
    """What is normal. ``reference``: the photo that others are aligned to, None where none are.

    ``patches`` and ``features`` are None where no network looks at photos. ``offset``: the median,
    over golden photos each left out once, of the steps of the more alarmed witness.
    """

    ref: EngineRef
    size: tuple[int, int]
    reference: Pixels | None
    bank: PlacedBank
    scale: Scale
    photos: int
    features: Features | None = None
    patches: PatchBank | None = None
    patch_scale: Scale = Scale(0.0, 1.0)
    offset: float = 0.0

    @classmethod
    def learn(
        cls, photos: Sequence[PhotoPixels], features: Features | None = None, network: str = ""
    ) -> GoldenMemory:
        """Learn from photos of sound units, at least three; a few seconds for ten.

        ``features`` gives the network's view of a photo; ``network`` is its version.
        """
        if len(photos) < FEWEST:
            raise InputError(
                f"There are {len(photos)} golden photos; give at least {FEWEST}, better 10, "
                "of sound units taken the same way."
            )
        size, reference, bank = _placed(photos)
        own = [float(heat.max()) for heat in bank.own_heats()]
        scale = Scale.of(own)
        kept = len(bank.grids)
        placed = cls(_ref(photos, kept, network), size, reference, bank, scale, len(photos))
        return placed if features is None else _with_patches(placed, photos, features)

    @property
    def threshold(self) -> float:
        """The score at which a photo is as likely to deviate as not."""
        return SURE_AT

    def score(self, photo: PhotoPixels) -> float:
        """How far the photo's strangest places are from normal, in spreads of the golden photos'
        own scores; compare with ``threshold``."""
        return self._look(photo).score

    def probability(self, score: float) -> float:
        """Chance that a photo of this score deviates, by the spread of the golden photos' own.

        It stays away from 0 and 1 by what so few photos can't tell (rule of succession).
        """
        doubt = 0.5 / (self.photos + 2)
        likely = float(sigmoid(np.asarray(_STEEPNESS * (score - SURE_AT))))
        return doubt + (1 - 2 * doubt) * likely

    def compare(self, photo: PhotoPixels) -> Comparison:
        """Say how likely the photo deviates and where; heat above 1 is beyond the threshold."""
        look = self._look(photo)
        deviations = self._deviations(look.heat, (photo.height, photo.width))
        return Comparison(self.probability(look.score), look.heat, deviations)

    def _look(self, photo: PhotoPixels) -> _Look:
        """What both witnesses say; heat (height, width) of working size, as the photo lies."""
        score, heat = self._by_place(resized(photo.pixels, self.size))
        if self.patches is None or self.features is None:
            return _Look(score, heat)
        there = self.patches.heat(self.features(photo))
        steps = self.patch_scale.steps(score_of(there))
        limit = self.patch_scale.score_at(SURE_AT + self.offset)
        alarm = cv2.resize(there / limit, self.size, interpolation=cv2.INTER_LINEAR)
        # A single cell is stranger than the strangest ones are on average, also on a sound photo.
        if steps - self.offset < SURE_AT:
            alarm = np.minimum(alarm, 1.0)
        both = np.maximum(heat, np.asarray(alarm, dtype=np.float32))
        return _Look(max(score, steps - self.offset), both)

    def _by_place(self, small: Pixels) -> tuple[float, NDArray[np.float32]]:
        alignment = STAY if self.reference is None else align(small, self.reference)
        if self.reference is not None:
            small = onto_reference(small, alignment)
        heat = self.bank.heat(describe(small))
        relative = heat / self.scale.score_at(SURE_AT + self.offset)
        enlarged = cv2.resize(relative, self.size, interpolation=cv2.INTER_LINEAR)
        places = np.asarray(enlarged, dtype=np.float32)
        if self.reference is not None:
            places = onto_photo(places, alignment, self.size)
        return self.scale.steps(float(heat.max())) - self.offset, places

    def _deviations(
        self, places: NDArray[np.float32], shape: tuple[int, int]
    ) -> tuple[Deviation, ...]:
        """Islands of heat above 1, hottest first, in pixels of the photo (height, width)."""
        count, islands = cv2.connectedComponents((places > 1).astype(np.uint8))
        hottest = sorted(
            ((float(places[islands == i].max()), i) for i in range(1, count)), reverse=True
        )
        found = []
        for peak, island in hottest[:_MOST_DEVIATIONS]:
            mask = enlarged(islands == island, shape)
            box = box_of(mask)
            if box is not None:
                steps = SURE_AT + float(np.log(peak)) / self.scale.spread
                found.append(Deviation(box, mask, self.probability(steps)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is seen on one photo: the more alarmed witness's score, and heat where 1 is a limit."""

    score: float
    heat: NDArray[np.float32]


def _placed(
    photos: Sequence[PhotoPixels],
) -> tuple[tuple[int, int], Pixels | None, PlacedBank]:
    """Working size, the photo to align others to (None where that does not help), and the bank."""
    size = working_size(photos[0].pixels)
    small = [resized(photo.pixels, size) for photo in photos]
    moved = [small[0], *(onto_reference(one, align(one, small[0])) for one in small[1:])]
    plain, aligned = (PlacedBank.of([describe(p) for p in views]) for views in (small, moved))
    aligning = aligned.distance_of(plain.scale) < ALIGNED * plain.distance_of(plain.scale)
    return (size, small[0], aligned) if aligning else (size, None, plain)


def _with_patches(
    placed: GoldenMemory, photos: Sequence[PhotoPixels], features: Features
) -> GoldenMemory:
    """The same memory with the network's view as a second witness."""
    patches = PatchBank.of([features(photo) for photo in photos])
    own = [score_of(heat) for heat in patches.apart]
    scale = Scale.of(own)
    steps = [scale.steps(score) for score in own]
    if len(placed.bank.grids) == len(photos):
        by_place = [placed.scale.steps(float(heat.max())) for heat in placed.bank.own_heats()]
        steps = [max(pair) for pair in zip(steps, by_place, strict=True)]
    return replace(
        placed,
        features=features,
        patches=patches,
        patch_scale=scale,
        offset=max(0.0, float(np.median(steps))),
    )


def _ref(photos: Sequence[PhotoPixels], kept: int, network: str) -> EngineRef:
    told = "".join(sorted(p.sha256 for p in photos)) + network
    digest = hashlib.sha256(told.encode()).hexdigest()
    version = f"2-{kept}-photos-{digest[:8]}"
    return EngineRef(architecture=Architecture.COMPARE, engine="golden-memory", version=version)


def enlarged(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask drawn to ``shape`` (height, width)."""
    size = (shape[1], shape[0])
    return np.asarray(
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), dtype=bool
    )


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """The tightest box around a mask, None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return Box(
        x1=float(columns[0]), y1=float(rows[0]), x2=float(columns[-1] + 1), y2=float(rows[-1] + 1)
    )
