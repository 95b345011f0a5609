"""Exact binomial tails and the Clopper–Pearson interval, for shares counted on few cases.

Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
binomial". Exact means: no normal approximation, so that the stated confidence also holds for
shares near 0, which is where escape rates are.
"""

from __future__ import annotations

import math

_HALVINGS = 50
"""A share is found to 2**-50; doubles hold little more."""
_NEGLIGIBLE = 1e-18


def lower_tail(hits: int, cases: int, chance: float) -> float:
    """P(X ≤ hits) for X ~ Binomial(cases, chance)."""
    _check(hits, cases)
    if not 0 <= chance <= 1:
        raise ValueError("a chance must be within 0..1")
    if hits == cases or 1 - chance == 1:  # also where doubles can't tell it from 0
        return 1.0
    if chance == 1:
        return 0.0
    if hits <= cases * chance:
        return min(1.0, _falling_sum(hits, cases, chance))
    return max(0.0, 1.0 - _falling_sum(cases - hits - 1, cases, 1 - chance))


def upper_bound(hits: int, cases: int, confidence: float) -> float:
    """The share that the true one stays below with this confidence; 1 without any case.

    It is the largest share under which so few hits would still have a chance of 1 - confidence.
    """
    _check_confidence(confidence)
    _check(hits, cases)
    if hits == cases:
        return 1.0
    low, high = hits / cases, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if lower_tail(hits, cases, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_bound(hits: int, cases: int, confidence: float) -> float:
    """The share that the true one stays above with this confidence; 0 without any case."""
    return 1.0 - upper_bound(cases - hits, cases, confidence)


def clopper_pearson(hits: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval that covers the true share with at least this confidence."""
    _check_confidence(confidence)
    each_side = (1 + confidence) / 2
    return lower_bound(hits, cases, each_side), upper_bound(hits, cases, each_side)


def _falling_sum(hits: int, cases: int, chance: float) -> float:
    """P(X ≤ hits), summed downwards from the largest term: needs hits ≤ cases · chance."""
    log_ways = math.lgamma(cases + 1) - math.lgamma(hits + 1) - math.lgamma(cases - hits + 1)
    log_term = log_ways + hits * math.log(chance) + (cases - hits) * math.log1p(-chance)
    odds = (1 - chance) / chance
    term = total = 1.0
    for count in range(hits, 0, -1):
        term *= count / (cases - count + 1) * odds
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return math.exp(log_term + math.log(total))


def _check(hits: int, cases: int) -> None:
    if not 0 <= hits <= cases:
        raise ValueError("hits must be within 0..cases")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError("a confidence must lie between 0 and 1")
