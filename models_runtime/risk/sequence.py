"""How far one may go: fixed-sequence testing of ever larger groups of units, the surest first.

Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei 2021) with fixed-sequence testing and
the exact binomial tail (Clopper & Pearson 1934) as p-value. The units are sorted by how likely they
are to be defective. For each number m of surest units the hypothesis "of the units like these m,
more than the stated rate are defective" is tested, from the smallest m that can be rejected upwards
and stopping at the first that can't be; so no correction for the many tests is needed.

Why the p-value is exact although the threshold is a score of the sample: given the score of unit
m + 1, the m units before it are independent draws of units with a smaller one. What is asked of the
future is that units are drawn like the labelled ones, and that the escape rate of the units let
through, once it has crossed the stated rate with a looser threshold, does not come back below it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models_runtime.binomial import lower_tail

Numbers = NDArray[np.float64]
Positions = NDArray[np.int64]

SPREAD_FROM = 1000
"""From so many labelled units on the confidence is shared out over several starts."""
_ONE_START = ((0, 1.0),)
_SEVERAL_STARTS = ((0, 0.7), (3, 0.15), (12, 0.15))
"""(escapes that the start forgives, part of the error allowed). One start is the shortest way with
few labels; with many, a single mislabelled unit among the surest must not decide alone."""


def starts(units: int) -> tuple[tuple[int, float], ...]:
    """Where the tests begin: depends on the number of units only, never on what they show."""
    return _ONE_START if units < SPREAD_FROM else _SEVERAL_STARTS


@lru_cache(maxsize=20_000)
def fewest_units(escapes: int, rate: float, error: float) -> int:
    """The fewest units among which so many escapes show that the escape rate is below ``rate``.

    P(X ≤ escapes) ≤ ``error`` for X ~ Binomial(units, rate): 299 for none at 1 % and 95 %.
    """
    if not 0 < rate < 1 or not 0 < error < 1:
        raise ValueError("rate and error must lie between 0 and 1")
    low, high = escapes, escapes + 1
    while lower_tail(escapes, high, rate) > error:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if lower_tail(escapes, middle, rate) > error:
            low = middle
        else:
            high = middle
    return high


def certified_units(
    defective: NDArray[np.bool_], scores: Numbers, rate: float, error: float
) -> int:
    """The largest number of surest units of which at most ``rate`` are defective in the long run.

    ``defective`` and ``scores`` (units,) in ascending order of score; units of the same score pass
    together or not at all. 0 where the labels don't show it with an error of at most ``error``.
    """
    ends = _ends_of_ties(scores)
    escapes = np.flatnonzero(defective) + 1
    best = 0
    for forgiven, part in starts(len(defective)):
        first, last = _tested(escapes, len(defective), forgiven, rate, part * error)
        within = ends[(ends >= first) & (ends <= last)]
        best = max(best, int(within[-1]) if len(within) else 0)
    return best


def _tested(
    escapes: Positions, units: int, forgiven: int, rate: float, error: float
) -> tuple[int, int]:
    """First and last m of one sequence whose hypothesis is rejected; (1, 0) where none is.

    ``escapes`` are the places of the defective units, from 1. The next m without a new escape is
    rejected whenever the one before was, so only the places of escapes need a test.
    """
    first = fewest_units(forgiven, rate, error)
    seen = int(np.searchsorted(escapes, first, side="right"))
    if first > units or seen > forgiven:
        return 1, 0
    for count in range(seen + 1, len(escapes) + 1):
        place = int(escapes[count - 1])
        if lower_tail(count, place, rate) > error:
            return first, place - 1
    return first, units


def _ends_of_ties(scores: Numbers) -> Positions:
    """Numbers of units after which the score changes."""
    changes = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, bool)
    return np.flatnonzero(changes) + 1
