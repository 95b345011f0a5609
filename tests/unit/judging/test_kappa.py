"""Cohen's kappa against published values, by hand, and by its laws."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.agreement import FEWEST_FOR_AN_INTERVAL, cohen_kappa, in_words

LABELS = ("accept", "rework", "reject", "hold")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)


def spread(table: Sequence[Sequence[float]], cases: int) -> list[tuple[str, str]]:
    """Pairs of labels from a table of shares."""
    return [
        (str(i), str(j))
        for i, row in enumerate(table)
        for j, part in enumerate(row)
        for _ in range(round(part * cases))
    ]


def test_the_example_of_fleiss_cohen_and_everitt_1969() -> None:
    """Their table 1: 200 cases, kappa .429, estimated variance .002885."""
    table = [[0.53, 0.05, 0.02], [0.11, 0.14, 0.05], [0.01, 0.06, 0.03]]
    kappa = cohen_kappa(spread(table, 200))
    assert kappa is not None
    assert kappa.value == pytest.approx(0.429, abs=0.0005)
    assert kappa.error is not None
    assert kappa.error**2 == pytest.approx(0.002885, abs=0.0000005)


def test_the_example_of_cohen_1960() -> None:
    """.44 .05 .01 / .07 .20 .03 / .09 .05 .06 of 200: kappa .492; its interval as R's package
    psych documents it, .39 to .59."""
    table = [[0.44, 0.05, 0.01], [0.07, 0.20, 0.03], [0.09, 0.05, 0.06]]
    kappa = cohen_kappa(spread(table, 200))
    assert kappa is not None
    assert kappa.value == pytest.approx(0.492, abs=0.0005)
    assert (round(kappa.low or 0, 2), round(kappa.high or 0, 2)) == (0.39, 0.59)


def test_two_labels_worked_out_by_hand() -> None:
    """20 5 / 10 15 of 50: observed .7; margins .5 .5 and .6 .4, so by chance .5; kappa .4."""
    kappa = cohen_kappa(spread([[0.4, 0.1], [0.2, 0.3]], 50))
    assert kappa is not None
    assert (kappa.observed, kappa.expected) == (pytest.approx(0.7), pytest.approx(0.5))
    assert kappa.value == pytest.approx(0.4)
    # A = .4 (1 - 1.1 × .6)² + .3 (1 - .9 × .6)², B = .36 (.1 (.6 + .5)² + .2 (.4 + .5)²), with the
    # column margin of the first label and the row margin of the second, C = (.4 - .5 × .6)².
    a = 0.4 * (1 - 1.1 * 0.6) ** 2 + 0.3 * (1 - 0.9 * 0.6) ** 2
    b = 0.36 * (0.1 * (0.6 + 0.5) ** 2 + 0.2 * (0.4 + 0.5) ** 2)
    c = (0.4 - 0.5 * 0.6) ** 2
    assert kappa.error == pytest.approx(sqrt((a + b - c) / 50) / 0.5)


def test_what_can_not_be_told_is_none() -> None:
    assert cohen_kappa([]) is None
    one_answer = cohen_kappa([("accept", "accept")] * 30)
    assert one_answer is not None
    assert one_answer.value is None
    assert in_words(None) == "can't be told"
    few = cohen_kappa([("a", "a"), ("b", "b"), ("a", "b")])
    assert few is not None
    assert few.value is not None
    assert few.low is None


def test_an_interval_without_width_is_not_told() -> None:
    """One said the same of everything, or both always the same: the variance would be 0."""
    constant = cohen_kappa([("accept", "accept")] * 8 + [("accept", "reject")] * 4)
    assert constant is not None
    assert (constant.value, constant.low) == (pytest.approx(0), None)
    perfect = cohen_kappa([("accept", "accept")] * 8 + [("reject", "reject")] * 4)
    assert perfect is not None
    assert (perfect.value, perfect.high) == (pytest.approx(1), None)


@given(PAIRS)
def test_it_is_the_same_whoever_is_named_first(pairs: list[tuple[str, str]]) -> None:
    one = cohen_kappa(pairs)
    two = cohen_kappa((right, left) for left, right in pairs)
    assert one is not None
    assert two is not None
    if one.value is None:
        assert two.value is None
        return
    assert one.value == pytest.approx(two.value)
    assert one.error == (None if two.error is None else pytest.approx(two.error, abs=1e-6))


@given(PAIRS)
def test_it_lies_within_its_bounds_and_its_interval(pairs: list[tuple[str, str]]) -> None:
    kappa = cohen_kappa(pairs)
    assert kappa is not None
    if kappa.value is None:
        assert len({label for pair in pairs for label in pair}) == 1
        return
    assert -1 - 1e-9 <= kappa.value <= 1 + 1e-9
    if kappa.low is not None:
        assert len(pairs) >= FEWEST_FOR_AN_INTERVAL
        assert kappa.high is not None
        assert kappa.low - 1e-9 <= kappa.value <= kappa.high + 1e-9


@given(PAIRS, st.permutations(LABELS))
def test_names_of_labels_do_not_matter(pairs: list[tuple[str, str]], names: list[str]) -> None:
    renamed = dict(zip(LABELS, names, strict=True))
    one, two = cohen_kappa(pairs), cohen_kappa((renamed[a], renamed[b]) for a, b in pairs)
    assert one is not None
    assert two is not None
    assert one.value == (None if two.value is None else pytest.approx(two.value))


@given(st.lists(st.sampled_from(LABELS), min_size=2).filter(lambda labels: len(set(labels)) > 1))
def test_always_the_same_answer_is_one(labels: list[str]) -> None:
    kappa = cohen_kappa((label, label) for label in labels)
    assert kappa is not None
    assert kappa.value == pytest.approx(1.0)
