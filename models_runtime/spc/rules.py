"""Run rules: patterns of points that chance hardly makes, though none need be beyond the limits.

Western Electric Company 1956, "Statistical Quality Control Handbook"; Nelson 1984, "The Shewhart
control chart: tests for special causes". They look at z, the distance from the centre in standard
deviations, so that they hold for subgroups of different sizes too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Test = Callable[[Sequence[float]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """``test`` is asked about each ``window`` of z in a row; it speaks of the last point."""

    key: str
    name: str
    meaning: str
    window: int
    test: Test


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that holds for the point at ``index``; the pattern began at ``first``."""

    index: int
    first: int
    rule: Rule


def _beyond(sigmas: float, least: int) -> Test:
    """The last point and ``least`` in all lie further out than ``sigmas``, on the same side."""

    def test(zs: Sequence[float]) -> bool:
        above = zs[-1] > sigmas and sum(z > sigmas for z in zs) >= least
        below = zs[-1] < -sigmas and sum(z < -sigmas for z in zs) >= least
        return above or below

    return test


def _one_side(zs: Sequence[float]) -> bool:
    return all(z > 0 for z in zs) or all(z < 0 for z in zs)


def _trend(zs: Sequence[float]) -> bool:
    steps = [after - before for before, after in itertools.pairwise(zs)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def _alternating(zs: Sequence[float]) -> bool:
    steps = [after - before for before, after in itertools.pairwise(zs)]
    return all(one * two < 0 for one, two in itertools.pairwise(steps))


def _within_one(zs: Sequence[float]) -> bool:
    return all(abs(z) < 1 for z in zs)


def _beyond_one_both(zs: Sequence[float]) -> bool:
    return all(abs(z) > 1 for z in zs) and min(zs) < 0 < max(zs)


OUTSIDE = "Something changed on that day: look at its units first."
SHIFTED = "The level has moved: a new batch, tool, setting or person since the first of them."
_LIMITS = Rule("1", "beyond 3σ", OUTSIDE, 1, _beyond(3, 1))
_TWO = Rule("2", "2 of 3 beyond 2σ on one side", SHIFTED, 3, _beyond(2, 2))
_FOUR = Rule("3", "4 of 5 beyond 1σ on one side", SHIFTED, 5, _beyond(1, 4))

WESTERN_ELECTRIC: tuple[Rule, ...] = (
    _LIMITS,
    _TWO,
    _FOUR,
    Rule("4", "8 in a row on one side", SHIFTED, 8, _one_side),
)
NELSON: tuple[Rule, ...] = (
    _LIMITS,
    Rule("2", "9 in a row on one side", SHIFTED, 9, _one_side),
    Rule("3", "6 in a row rising or falling", "A drift: wear, temperature, dirt.", 6, _trend),
    Rule(
        "4",
        "14 in a row up and down",
        "Two sources take turns, such as shifts or cavities.",
        14,
        _alternating,
    ),
    Rule("5", "2 of 3 beyond 2σ on one side", SHIFTED, 3, _beyond(2, 2)),
    Rule("6", "4 of 5 beyond 1σ on one side", SHIFTED, 5, _beyond(1, 4)),
    Rule(
        "7",
        "15 in a row within 1σ",
        "Too even: limits from mixed sources, or figures that were made up.",
        15,
        _within_one,
    ),
    Rule(
        "8",
        "8 in a row beyond 1σ on both sides",
        "Two sources are mixed in one chart: split it by line, shift or supplier.",
        8,
        _beyond_one_both,
    ),
)
RULES = {"we": WESTERN_ELECTRIC, "nelson": NELSON}


def signals(zs: Sequence[float | None], rules: Sequence[Rule]) -> list[Signal]:
    """What the rules say of each point; subgroups without a value are passed over."""
    there = [(place, z) for place, z in enumerate(zs) if z is not None]
    values = [z for _, z in there]
    return [
        Signal(index=place, first=there[end - rule.window][0], rule=rule)
        for end, (place, _) in enumerate(there, start=1)
        for rule in rules
        if end >= rule.window and rule.test(values[end - rule.window : end])
    ]
