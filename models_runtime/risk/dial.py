"""The risk dial: from a stated escape rate and labelled units to a threshold per class.

The **escape rate** is the share of defective units among the units passed without a person. With
the stated confidence it stays at or below the stated rate, for units drawn like the labelled ones;
drift breaks this. See ``sequence`` for the method (Learn then Test) and its sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_runtime.binomial import clopper_pearson
from models_runtime.risk.scales import NO_LIMIT, PLAIN, Scale, common_scale, of_sound_units
from models_runtime.risk.sequence import certified_units, fewest_units, starts

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHAPING_SHARE = 0.25
SHAPING_FROM = 600
"""From so many labelled units on a part of them shapes the thresholds and takes no part in the
test. It depends on their number only: what they show must not decide which of them are tested."""


@dataclass(frozen=True, slots=True)
class RiskPlan:
    """Thresholds and what the labels say of them.

    A unit passes when the chance of every class is *below* the class's threshold; thresholds are 0
    where nothing passes. ``tested``: labelled units the escape rate was tested on, ``passed`` of
    them below the thresholds, ``escaped`` of those defective. ``shaping``: labelled units that only
    shaped the thresholds. ``fewest``: units that must pass without a single escape before anything
    can be let through at all.
    """

    largest_escape: float
    confidence: float
    thresholds: tuple[float, ...]
    tested: int
    shaping: int
    passed: int
    escaped: int
    fewest: int

    @property
    def passes_any(self) -> bool:
        return self.passed > 0

    @property
    def missing(self) -> int:
        """Further labelled units that are needed at the least; 0 where their number is enough."""
        return max(0, self.fewest - self.tested)

    @property
    def pass_share(self) -> float:
        """Share of the tested units that pass."""
        return self.passed / self.tested if self.tested else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What thresholds do to units whose truth is known."""

    units: int
    passed: int
    escaped: int
    defective: int

    @property
    def escape_rate(self) -> float | None:
        """Defective among passed; None where nothing passed."""
        return self.escaped / self.passed if self.passed else None

    def escape_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper–Pearson interval of the escape rate."""
        return clopper_pearson(self.escaped, self.passed, confidence)

    def pass_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper–Pearson interval of the share that passes."""
        return clopper_pearson(self.passed, self.units, confidence)


def choose_thresholds(
    scores: Numbers,
    defective: Flags,
    largest_escape: float,
    confidence: float = 0.95,
    shaping: Flags | None = None,
    seed: int = 0,
) -> RiskPlan:
    """Thresholds that let through as many units as the labels allow.

    ``scores``: chances (units, classes) in 0..1 of units the extractor did not abstain on;
    ``defective``: (units,), the truth. ``shaping``: (units,), units that only shape the thresholds
    (see ``shaping_part``); without it all classes share one threshold. A larger ``largest_escape``
    never lets fewer through. ``seed`` orders units of equal score. ValueError for scores that are
    no chances, shapes that don't fit, and rates or confidences outside 0..1.
    """
    chances, wrong = _checked(scores, defective)
    _check_dial(largest_escape, confidence)
    apart = np.zeros(len(wrong), bool) if shaping is None else np.asarray(shaping, bool)
    scales = shaped(chances[apart], wrong[apart])
    tested, truth = chances[~apart], wrong[~apart]
    order, places = _surest_first(common_scale(scales, tested), seed)
    error = 1 - confidence
    count = certified_units(truth[order], places, largest_escape, error)
    level = starts(len(truth))[0][1] * error
    thresholds = _thresholds(scales, places, count)
    through = passes(thresholds, tested)
    return RiskPlan(
        largest_escape=largest_escape,
        confidence=confidence,
        thresholds=thresholds,
        tested=len(truth),
        shaping=int(apart.sum()),
        passed=int(through.sum()),
        escaped=int((through & truth).sum()),
        fewest=fewest_units(0, largest_escape, level),
    )


def passes(thresholds: Sequence[float], scores: Numbers) -> Flags:
    """Which units (units,) pass, from their chances (units, classes)."""
    return np.asarray((np.asarray(scores) < np.asarray(thresholds)).all(axis=1))


def realise(thresholds: Sequence[float], scores: Numbers, defective: Flags) -> Outcome:
    """Apply thresholds to units with known truth that took no part in choosing them."""
    chances, wrong = _checked(scores, defective)
    through = passes(thresholds, chances)
    return Outcome(len(wrong), int(through.sum()), int((through & wrong).sum()), int(wrong.sum()))


def shaped(chances: Numbers, defective: Flags) -> list[Scale]:
    """One scale per class from the units set apart; the plain one where there are none."""
    sound = chances[~defective]
    return [of_sound_units(column) if len(sound) else PLAIN for column in sound.T]


def shaping_part(keys: Sequence[str]) -> Flags:
    """Which of the units (by a hash of their key) shape the thresholds; none where they are few."""
    if len(keys) < SHAPING_FROM:
        return np.zeros(len(keys), bool)
    return np.array([part_of(key, "shaping") < SHAPING_SHARE for key in keys])


def part_of(key: str, purpose: str) -> float:
    """A number in 0..1 that is always the same for a key and purpose, and spread evenly."""
    digest = hashlib.sha256(f"{purpose}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _surest_first(places: Numbers, seed: int) -> tuple[NDArray[np.int64], Numbers]:
    """Order by place, equal ones by lot: the order the labels came in must not matter."""
    lot = np.random.default_rng(seed).permutation(len(places))
    order = np.lexsort((lot, places))
    return order, places[order]


def _thresholds(scales: Sequence[Scale], places: Numbers, count: int) -> tuple[float, ...]:
    """The first unit that may not pass draws the line."""
    if count == 0:
        return (0.0,) * len(scales)
    if count == len(places):
        return (NO_LIMIT,) * len(scales)
    return tuple(scale.threshold(float(places[count])) for scale in scales)


def _checked(scores: Numbers, defective: Flags) -> tuple[Numbers, Flags]:
    chances, wrong = np.asarray(scores, dtype=np.float64), np.asarray(defective, dtype=bool)
    if chances.ndim != 2 or not chances.shape[1] or wrong.shape != chances.shape[:1]:
        raise ValueError("scores must be (units, classes) with one truth per unit")
    if len(chances) and not (chances.min() >= 0 and chances.max() <= 1):  # NaN is refused too
        raise ValueError("scores must be chances within 0..1")
    return chances, wrong


def _check_dial(largest_escape: float, confidence: float) -> None:
    if not 0 < largest_escape < 1:
        raise ValueError("the largest escape rate must lie between 0 and 1")
    if not 0 < confidence < 1:
        raise ValueError("the confidence must lie between 0 and 1")
