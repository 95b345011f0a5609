"""Run rules on series that were made to break exactly one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.spc.rules import NELSON, WESTERN_ELECTRIC, Rule, signals

CALM = [0.3, -0.4, 0.2, -0.1, 0.5, -0.6]


def found(zs: list[float | None], rules: tuple[Rule, ...]) -> list[tuple[str, int, int]]:
    return [(signal.rule.key, signal.first, signal.index) for signal in signals(zs, rules)]


@pytest.mark.parametrize(
    ("zs", "expected"),
    [
        (CALM, []),
        ([0.0, 3.1, 0.0], [("1", 1, 1)]),
        ([0.0, -3.1], [("1", 1, 1)]),
        ([0.0, 3.0], []),
        ([2.1, 0.5, 2.2], [("2", 0, 2)]),
        ([2.1, 0.5, -2.2], []),
        ([2.1, 2.2, 0.0], []),
        ([1.1, 1.2, -0.3, 1.3, 1.4], [("3", 0, 4)]),
        ([1.1, 1.2, -0.3, -1.3, 1.4], []),
        ([0.1] * 8, [("4", 0, 7)]),
        ([0.1] * 7, []),
        ([-0.1] * 9, [("4", 0, 7), ("4", 1, 8)]),
        ([0.1] * 4 + [0.0] + [0.1] * 4, []),
    ],
)
def test_western_electric(zs: list[float], expected: list[tuple[str, int, int]]) -> None:
    assert found(zs, WESTERN_ELECTRIC) == expected


@pytest.mark.parametrize(
    ("zs", "expected"),
    [
        (CALM, []),
        ([3.2], [("1", 0, 0)]),
        ([0.2, 0.1] * 4 + [0.2], [("2", 0, 8)]),
        ([-0.9, -0.5, -0.1, 0.2, 0.4, 0.8], [("3", 0, 5)]),
        ([0.8, 0.4, 0.2, -0.1, -0.5, -0.9], [("3", 0, 5)]),
        ([-0.9, -0.5, -0.1, -0.1, 0.4, 0.8], []),
        ([0.5, -1.5] * 7, [("4", 0, 13)]),
        ([2.5, -0.1, 2.5], [("5", 0, 2)]),
        ([1.5, 1.5, -0.1, 1.5, 1.5], [("6", 0, 4)]),
        ([0.5, -0.4, -0.3] * 5, [("7", 0, 14)]),
        ([1.5, -1.5, -1.4, 1.2, 1.4, -1.3, -1.2, 1.1], [("8", 0, 7)]),
    ],
)
def test_nelson(zs: list[float], expected: list[tuple[str, int, int]]) -> None:
    assert found(zs, NELSON) == expected


def test_days_without_units_are_passed_over() -> None:
    assert found([0.1] * 4 + [None] + [0.1] * 4, WESTERN_ELECTRIC) == [("4", 0, 8)]


@given(st.lists(st.floats(-5, 5), max_size=40))
def test_rules_know_no_up_or_down(zs: list[float]) -> None:
    for rules in (WESTERN_ELECTRIC, NELSON):
        assert found(zs, rules) == found([-z for z in zs], rules)


@given(st.lists(st.floats(-5, 5), max_size=30), st.lists(st.floats(-5, 5), max_size=5))
def test_what_comes_later_takes_no_signal_back(zs: list[float], more: list[float]) -> None:
    assert found(zs + more, NELSON)[: len(found(zs, NELSON))] == found(zs, NELSON)
