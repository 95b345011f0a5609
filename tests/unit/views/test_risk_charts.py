"""The drawings of the risk page are in proportion."""

from __future__ import annotations

import pytest

from inspection.views.risk_charts import HEIGHT, LEFT, WIDTH, pass_curve, reliability_diagram


def test_the_curve_goes_in_steps_from_left_to_right() -> None:
    chart = pass_curve([[0.001, 0.0, 0.0], [0.01, 0.5, 0.0], [0.1, 1.0, 0.02]], 0.01)
    first, middle, last = chart.dots
    assert (first.x, last.x) == (LEFT, WIDTH - 10)
    assert middle.x == pytest.approx((first.x + last.x) / 2, abs=0.1), "one decade each"
    assert first.y > middle.y > last.y
    assert chart.path == f"M{first.x} {first.y}H{middle.x}V{middle.y}H{last.x}V{last.y}"
    assert chart.chosen == middle
    assert [tick.share for tick in chart.columns] == [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]


def test_a_rate_off_the_curve_has_no_dot() -> None:
    assert pass_curve([[0.001, 0.0, 0.0], [0.1, 1.0, 0.0]], 0.05).chosen is None


def test_honest_chances_lie_on_the_diagonal() -> None:
    chart = reliability_diagram([[0.0, 0.0, 0.0, 0.1, 100], [1.0, 1.0, 0.9, 1.0, 25]])
    low, high = chart.dots
    assert chart.path == f"M{low.x} {low.y}L{high.x} {high.y}"
    assert high.low > high.high == high.y, "whiskers from bottom to top in pixels that count down"
    assert low.radius > high.radius
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in chart.dots)
