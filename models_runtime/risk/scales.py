"""One scale for all classes, so that a single number says how far the thresholds are opened.

A class whose chances are often high on sound units would, under a threshold common to all classes,
hold up good units without catching more bad ones. So where there are labels to spare, a chance is
replaced by the share of sound units with a smaller one: then each class may hold up about the same
share of sound units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SLOPE = 1e-3
"""Added so that chances that no sound unit lies between still differ."""
MARGIN = 1e-9
"""Thresholds are lowered by this, so that rounding lets nobody through at the very edge."""
NO_LIMIT = 1.01
"""A threshold above every chance."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A rising line through knots: chance of a class → place on the common scale."""

    chances: tuple[float, ...]
    places: tuple[float, ...]

    def __call__(self, chances: Numbers) -> Numbers:
        return np.asarray(np.interp(chances, self.chances, self.places))

    def threshold(self, place: float) -> float:
        """The chance below which a class is on this side of ``place``."""
        found = float(np.interp(place, self.places, self.chances)) - MARGIN
        return max(0.0, found)


PLAIN = Scale((0.0, 1.0), (0.0, 1.0))
"""The chance itself: one threshold for all classes."""


def of_sound_units(chances: Numbers) -> Scale:
    """The scale of a class from its chances (units,) on sound units."""
    if not len(chances):
        return PLAIN
    knots = np.unique(np.concatenate([chances, [0.0, 1.0]]))
    below = np.searchsorted(np.sort(chances), knots, side="left") / len(chances)
    below[-1] = 1.0
    places = below + SLOPE * knots
    return Scale(tuple(map(float, knots)), tuple(map(float, places)))


def common_scale(scales: Sequence[Scale], chances: Numbers) -> Numbers:
    """The worst place of each unit (units,), from its chances (units, classes)."""
    placed = [scale(chances[:, number]) for number, scale in enumerate(scales)]
    return np.asarray(np.max(placed, axis=0))
