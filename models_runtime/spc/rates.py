"""Shares with intervals, what a sample says of the whole, and which few causes make most of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from models_runtime.binomial import clopper_pearson


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``cases`` with the interval that covers the true share."""

    hits: int
    cases: int
    mean: float
    low: float
    high: float


def wilson(hits: int, cases: int, confidence: float = 0.95) -> Rate | None:
    """Wilson 1927: good for comparing shares that were counted on many cases. None without any.

    Raises ValueError where hits are not within 0..cases.
    """
    if not 0 <= hits <= cases:
        raise ValueError("hits must be within 0..cases")
    if not cases:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, over = hits / cases, 1 + z * z / cases
    middle = (share + z * z / (2 * cases)) / over
    half = z / over * math.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == cases else min(1.0, middle + half)
    return Rate(hits, cases, share, low, high)


def exact(hits: int, cases: int, confidence: float = 0.95) -> Rate | None:
    """Clopper and Pearson's interval: never covers less than it says, for rare escapes."""
    if not cases:
        return None
    low, high = clopper_pearson(hits, cases, confidence)
    return Rate(hits, cases, hits / cases, low, high)


@dataclass(frozen=True, slots=True)
class Escapes:
    """``rate`` of escapes among those checked; ``expected`` … how many that makes of the units
    that passed unseen."""

    rate: Rate
    passed: int
    expected: float
    low: float
    high: float


def escapes(escaped: int, checked: int, passed: int) -> Escapes | None:
    """What a random check of passing units says of all that passed. None without a check."""
    rate = exact(escaped, checked)
    if rate is None:
        return None
    return Escapes(rate, passed, rate.mean * passed, rate.low * passed, rate.high * passed)


@dataclass(frozen=True, slots=True)
class Share:
    """A cause with its part of the whole, and the part of it and all larger ones together."""

    key: str
    amount: float
    part: float
    together: float


def pareto(amounts: Iterable[tuple[str, float]]) -> list[Share]:
    """Largest first; causes of nothing are left out. Equal ones by name."""
    there = sorted((pair for pair in amounts if pair[1] > 0), key=lambda p: (-p[1], p[0]))
    whole, so_far, found = sum(amount for _, amount in there), 0.0, []
    for key, amount in there:
        so_far += amount
        found.append(Share(key, amount, amount / whole, min(1.0, so_far / whole)))
    return found


def vital_few(shares: Sequence[Share], most: float = 0.8) -> int:
    """How many of the largest causes make at least ``most`` of the whole."""
    return next((n for n, share in enumerate(shares, 1) if share.together >= most), len(shares))
