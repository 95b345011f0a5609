"""Binomial tails and Clopper–Pearson bounds are exact."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.binomial import (
    clopper_pearson,
    lower_bound,
    lower_tail,
    upper_bound,
)


def by_fractions(hits: int, cases: int, chance: float) -> float:
    exact = Fraction(chance)
    return float(
        sum(comb(cases, i) * exact**i * (1 - exact) ** (cases - i) for i in range(hits + 1))
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 80), st.data())
def test_the_tail_is_that_of_exact_fractions(cases: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, cases))
    chance = data.draw(st.floats(0, 1))
    told = lower_tail(hits, cases, chance)
    assert told == pytest.approx(by_fractions(hits, cases, chance), rel=1e-9, abs=1e-12)
    rest = lower_tail(hits - 1, cases, chance) if hits else 0.0
    other_end = lower_tail(cases - hits, cases, 1 - chance)
    assert other_end == pytest.approx(1 - rest, abs=1e-9)


def test_the_tail_holds_for_many_cases() -> None:
    """Against a simulation-free value: the median of a fair coin."""
    assert lower_tail(500_000, 1_000_000, 0.5) == pytest.approx(0.5 + 0.000399, abs=1e-5)


def test_bounds_known_from_tables() -> None:
    """Rule of three: no hit in 299 cases bounds the share by 1 %, in 298 not quite."""
    assert upper_bound(0, 299, 0.95) < 0.01 < upper_bound(0, 298, 0.95)
    low, high = clopper_pearson(5, 10)
    assert (round(low, 4), round(high, 4)) == (0.1871, 0.8129)
    assert clopper_pearson(0, 20)[1] == pytest.approx(0.1684, abs=1e-4)


def test_bounds_of_nothing_and_of_everything() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert lower_bound(7, 7, 0.95) == pytest.approx(0.05 ** (1 / 7))
    assert upper_bound(7, 7, 0.95) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_at_the_bound_so_few_hits_are_just_as_unlikely_as_stated(
    cases: int, data: st.DataObject, confidence: float
) -> None:
    hits = data.draw(st.integers(0, cases - 1))
    bound = upper_bound(hits, cases, confidence)
    assert hits / cases <= bound <= 1
    assert lower_tail(hits, cases, bound) == pytest.approx(1 - confidence, abs=1e-6)


@pytest.mark.parametrize("chance", [0.01, 0.3])
def test_the_interval_covers_at_least_as_often_as_it_says(chance: float) -> None:
    """Summed over every possible count, so no draw is needed."""
    cases, covered = 60, 0.0
    for hits in range(cases + 1):
        low, high = clopper_pearson(hits, cases, 0.9)
        weight = by_fractions(hits, cases, chance) - (
            by_fractions(hits - 1, cases, chance) if hits else 0.0
        )
        covered += weight * (low <= chance <= high)
    assert covered >= 0.9


@pytest.mark.parametrize(("hits", "cases"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(hits: int, cases: int) -> None:
    with pytest.raises(ValueError, match=r"within 0\.\.cases"):
        upper_bound(hits, cases, 0.95)
    with pytest.raises(ValueError, match=r"within 0\.\.cases"):
        lower_tail(hits, cases, 0.5)


@pytest.mark.parametrize("wrong", [0.0, 1.0, 1.5, np.nan])
def test_impossible_confidences_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson(1, 3, wrong)
    with pytest.raises(ValueError, match="chance"):
        lower_tail(1, 3, -0.1)
