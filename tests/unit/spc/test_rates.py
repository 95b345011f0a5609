"""Intervals, Pareto and quantiles against values by hand and by the literature."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.spc.histogram import RATIO, bucket_of, quantile
from models_runtime.spc.rates import escapes, exact, pareto, vital_few, wilson


def test_wilson_against_newcombe_1998() -> None:
    """Newcombe 1998, table I, "score" without continuity correction."""
    for (hits, cases), published in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        rate = wilson(hits, cases)
        assert (rate.low, rate.high) == pytest.approx(published, abs=5e-5)


def test_exact_against_newcombe_1998() -> None:
    rate = exact(81, 263)
    assert (rate.low, rate.high) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert exact(0, 0) is None
    assert wilson(0, 0) is None


def test_more_hits_than_cases_are_refused() -> None:
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_escapes_of_a_sample_by_hand() -> None:
    """2 of 100 checked, 5,000 passed: about 100 escaped, and no check tells nothing."""
    found = escapes(2, 100, 5000)
    assert found.expected == pytest.approx(100)
    assert found.low < 100 < found.high
    assert found.high == pytest.approx(5000 * found.rate.high)
    assert escapes(0, 0, 5000) is None


def test_pareto_by_hand() -> None:
    shares = pareto([("scratch", 30), ("dent", 50), ("none", 0), ("chip", 20)])
    assert [share.key for share in shares] == ["dent", "scratch", "chip"]
    assert [share.together for share in shares] == pytest.approx([0.5, 0.8, 1.0])
    assert vital_few(shares) == 2
    assert pareto([]) == []


@given(st.lists(st.tuples(st.text(max_size=4), st.floats(0, 1e6)), max_size=20))
def test_pareto_adds_up(amounts: list[tuple[str, float]]) -> None:
    shares = pareto(amounts)
    assert sum(share.part for share in shares) == pytest.approx(1 if shares else 0)
    assert all(a.amount >= b.amount for a, b in itertools.pairwise(shares))


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_hold_the_share_and_the_exact_one_is_wider(pair: tuple[int, int]) -> None:
    rough, sure = wilson(*pair), exact(*pair)
    for rate in (rough, sure):
        assert rate.low - 1e-9 <= rate.mean <= rate.high + 1e-9
    assert sure.high >= rough.mean


@given(st.lists(st.floats(0.02, 1e6), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_off_by_no_more_than_the_ratio(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    rank = max(1, -(-int(share * len(values) * 1e9) // int(1e9)))
    true = sorted(values)[rank - 1]
    assert true / RATIO / 1.0001 <= quantile(counts, share) <= true * RATIO * 1.0001


def test_quantiles_by_hand() -> None:
    counts = {bucket_of(value): 1 for value in (1.0, 10.0, 100.0, 1000.0)}
    assert quantile(counts, 0.5) == pytest.approx(10, rel=0.21)
    assert quantile({}, 0.5) is None
    with pytest.raises(ValueError):
        quantile(counts, 1.5)


def test_a_bucket_holds_its_lower_edge() -> None:
    for _ in range(50):
        value = random.Random(_).uniform(0.02, 1e5)
        bucket = bucket_of(value)
        assert RATIO**bucket <= value * 1.000001
        assert value < RATIO ** (bucket + 1) * 1.000001
