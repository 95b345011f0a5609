"""Control limits against published examples, and laws that hold for any counts."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.spc.control import individuals_chart, p_chart, u_chart

# Montgomery, Introduction to Statistical Quality Control, table 7.1 (orange juice cans, n = 50);
# the same counts as wafers in the NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.3.2.
CANS = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9,
        12, 7, 13, 9, 6]  # fmt: skip
# Montgomery, table 7.4 (purchase orders): orders with an error, and orders, by week.
ORDERS_BAD = [12, 8, 6, 9, 10, 12, 11, 16, 10, 6, 20, 15, 9, 8, 6, 8, 10, 7, 5, 8, 5, 8, 10, 6, 9]
ORDERS = [100, 80, 80, 100, 110, 110, 100, 100, 90, 90, 110, 120, 120, 120, 110, 80, 80, 80, 90,
          100, 100, 100, 100, 90, 90]  # fmt: skip
# Montgomery, table 7.10 (errors in 50 shipments a week).
SHIPMENTS = [2, 3, 8, 1, 1, 4, 1, 4, 5, 1, 8, 2, 4, 3, 4, 1, 8, 3, 7, 4]
# Montgomery, table 7.11 (dyed cloth): defects, and rolls of 50 square metres.
CLOTH = [14, 12, 20, 11, 7, 10, 21, 16, 19, 23]
ROLLS = [10.0, 8.0, 13.0, 10.0, 9.5, 10.0, 12.0, 10.5, 12.0, 12.5]


def test_p_chart_of_the_orange_juice_cans_as_published() -> None:
    chart = p_chart(CANS, [50] * 30)
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    assert chart.points[0].high == pytest.approx(0.4102, abs=5e-5)
    assert chart.points[0].low == pytest.approx(0.0524, abs=5e-5)
    out = [
        n for n, point in enumerate(chart.points, 1) if not point.low <= point.value <= point.high
    ]
    assert out == [15, 23]


def test_p_chart_of_the_cans_revised_as_published() -> None:
    kept = [count for number, count in enumerate(CANS, 1) if number not in (15, 23)]
    chart = p_chart(kept, [50] * 28)
    assert chart.centre == pytest.approx(0.2150, abs=5e-5)
    assert chart.points[0].high == pytest.approx(0.3893, abs=5e-5)
    assert chart.points[0].low == pytest.approx(0.0407, abs=5e-5)


def test_p_chart_with_varying_n_as_published() -> None:
    chart = p_chart(ORDERS_BAD, ORDERS)
    assert chart.centre == pytest.approx(234 / 2450)
    assert chart.points[0].high == pytest.approx(0.184, abs=1e-3)
    assert chart.points[0].low == pytest.approx(0.007, abs=6e-4)
    assert chart.points[1].low == 0, "80 orders: the limit would be negative"
    assert [n for n, point in enumerate(chart.points, 1) if point.value > point.high] == [11]


def test_u_chart_of_the_shipments_as_published() -> None:
    chart = u_chart(SHIPMENTS, [50] * 20)
    assert chart.centre == pytest.approx(0.0740)
    assert chart.points[0].high == pytest.approx(0.1894, abs=5e-5)
    assert chart.points[0].low == 0


def test_u_chart_with_varying_n_as_published() -> None:
    chart = u_chart(CLOTH, ROLLS)
    assert chart.centre == pytest.approx(1.42, abs=5e-3)
    published = {10.0: (0.29, 2.55), 8.0: (0.16, 2.68), 13.0: (0.43, 2.41), 12.0: (0.39, 2.45)}
    for size, point in zip(ROLLS, chart.points, strict=True):
        if size in published:
            # The book goes on from a centre that it rounded to 1.42.
            assert (point.low, point.high) == pytest.approx(published[size], abs=0.011)


def test_individuals_chart_against_values_by_hand() -> None:
    chart = individuals_chart([10.0, 12.0, None, 11.0])
    assert chart.centre == 11
    sigma = 1.5 / 1.128
    assert chart.points[0].high == pytest.approx(11 + 3 * sigma)
    assert chart.points[1].z == pytest.approx(1 / sigma)
    assert chart.points[2].value is chart.points[2].z is None


def test_a_baseline_sets_the_limits_for_what_comes_after() -> None:
    chart = individuals_chart([1.0, 2.0, 1.0, 9.0], baseline=3)
    assert chart.centre == pytest.approx(4 / 3)
    assert chart.points[3].value > chart.points[3].high


def test_laney_widens_limits_where_days_differ_more_than_chance_allows() -> None:
    hits, sizes = [100, 300, 90, 320, 110, 280], [1000] * 6
    plain, wide = p_chart(hits, sizes), p_chart(hits, sizes, laney=True)
    zs = [point.z for point in plain.points]
    moves = [abs(b - a) for a, b in itertools.pairwise(zs)]
    assert wide.spread == pytest.approx(sum(moves) / 5 / 1.128)
    assert wide.points[0].high > plain.points[0].high
    assert wide.points[0].z == pytest.approx(zs[0] / wide.spread)


@pytest.mark.parametrize(("hits", "sizes"), [([2], [1]), ([], []), ([0], [0]), ([-1], [3])])
def test_what_is_no_count_is_refused(hits: list[int], sizes: list[int]) -> None:
    with pytest.raises(ValueError):
        p_chart(hits, sizes)


def test_days_without_units_have_no_value_and_no_defects_no_spread() -> None:
    chart = p_chart([0, 0], [10, 0])
    assert chart.points[1].value is None
    assert (chart.centre, chart.points[0].z) == (0, 0)


COUNTS = st.lists(
    st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1
).filter(lambda rows: sum(n for _, n in rows) > 0)


@given(COUNTS)
def test_limits_of_a_p_chart_hold_the_centre_and_narrow_with_n(rows: list[tuple[int, int]]) -> None:
    chart = p_chart([hits for hits, _ in rows], [n for _, n in rows])
    assert all(0 <= point.low <= chart.centre + 1e-12 for point in chart.points)
    assert all(chart.centre - 1e-12 <= point.high <= 1 for point in chart.points)
    by_size = sorted((point.size, point.high - point.low) for point in chart.points if point.size)
    assert all(a[1] >= b[1] - 1e-9 for a, b in itertools.pairwise(by_size))


@given(COUNTS)
def test_a_chart_of_good_units_mirrors_that_of_bad_ones(rows: list[tuple[int, int]]) -> None:
    sizes = [n for _, n in rows]
    bad = p_chart([hits for hits, _ in rows], sizes)
    good = p_chart([n - hits for hits, n in rows], sizes)
    assert math.isclose(bad.centre + good.centre, 1)
    for one, other in zip(bad.points, good.points, strict=True):
        if one.value is not None:
            assert one.z == pytest.approx(-other.z, abs=1e-6)
