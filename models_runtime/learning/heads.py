"""The three things that a site's verdicts correct, each as a value that is applied to numbers.

- Is there any defect on the photo? (``DefectHead``, of the extractor)
- Is this finding one? (``FindingHead``, of the extractor)
- How bad is the unit? (``SeverityHead``, of triage)

Each adds to the log odds that the shipped model gave. A head of zeros changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models_runtime.calibration import logit, sigmoid, softmax

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

MARGIN = 1e-3
"""Chances are kept so far from 0 and 1 before they are corrected: a model that was sure and wrong
must be able to learn."""


def log_odds(chance: float) -> float:
    """Log odds of a chance, within those of ``MARGIN``."""
    return logit(chance, MARGIN)


def nothing(width: int = 0) -> Floats:
    return np.zeros(width, np.float32)


@dataclass(frozen=True, slots=True)
class DefectHead:
    """Log odds' = log odds · (1 + slope) + offset + traits · weights.

    ``slope`` and ``offset`` alone are a calibration map. ``weights``: float32 (features,), empty
    where none were learnt.
    """

    slope: float = 0.0
    offset: float = 0.0
    weights: Floats = field(default_factory=nothing)

    def __call__(self, chance: float, traits: Floats) -> float:
        """The corrected chance; the very same one where nothing was learnt."""
        odds = log_odds(chance)
        move = self.slope * odds + self.offset + _dot(self.weights, traits)
        return chance if move == 0 else float(sigmoid(np.array(odds + move)))


@dataclass(frozen=True, slots=True)
class FindingHead:
    """As ``DefectHead``, with an offset of its own for each type of the catalogue.

    ``cut``: findings with a lower corrected chance are not reported; 0 keeps all.
    """

    slope: float = 0.0
    offset: float = 0.0
    types: Mapping[str, float] = field(default_factory=dict)
    weights: Floats = field(default_factory=nothing)
    cut: float = 0.0

    def __call__(self, kind: str, chance: float, place: Floats) -> float:
        odds = log_odds(chance)
        moved = self.slope * odds + self.offset + self.types.get(kind, 0.0)
        move = moved + _dot(self.weights, place)
        return chance if move == 0 else float(sigmoid(np.array(odds + move)))


@dataclass(frozen=True, slots=True)
class SeverityHead:
    """Adds ``numbers · weights + offsets`` to the logarithms of the chances of none, minor, major,
    critical. ``weights``: float32 (numbers, 4), ``offsets``: float32 (4,); empty: none learnt."""

    weights: Floats = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    offsets: Floats = field(default_factory=nothing)

    def __call__(self, numbers: Sequence[float], chances: Sequence[float]) -> tuple[float, ...]:
        if not len(self.offsets):
            return tuple(chances)
        logs = np.log(np.clip(np.asarray(chances, np.float64), 1e-4, 1.0))
        moved = logs + np.asarray(numbers, np.float64) @ self.weights + self.offsets
        return tuple(min(1.0, round(float(chance), 5)) for chance in softmax(moved))


def _dot(weights: Floats, features: Floats) -> float:
    """0 where nothing was learnt; ValueError for features of another kind."""
    if not len(weights):
        return 0.0
    if weights.shape != features.shape:
        raise ValueError(f"the correction is for {len(weights)} features, not {len(features)}")
    return float(np.dot(weights.astype(np.float64), features.astype(np.float64)))
