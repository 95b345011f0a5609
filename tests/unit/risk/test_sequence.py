"""How many of the surest units may pass, by exact tests in a fixed order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.binomial import lower_tail
from models_runtime.risk.sequence import certified_units, fewest_units, starts

ERROR = 0.05


@pytest.mark.parametrize(
    ("escapes", "rate", "units"), [(0, 0.01, 299), (0, 0.05, 59), (1, 0.01, 473), (0, 0.2, 14)]
)
def test_fewest_units_as_in_tables_of_attribute_sampling(
    escapes: int, rate: float, units: int
) -> None:
    assert fewest_units(escapes, rate, ERROR) == units


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 60), st.floats(0.002, 0.9), st.floats(0.001, 0.5))
def test_fewest_units_is_the_turning_point(escapes: int, rate: float, error: float) -> None:
    units = fewest_units(escapes, rate, error)
    assert lower_tail(escapes, units, rate) <= error
    assert units == escapes + 1 or lower_tail(escapes, units - 1, rate) > error


def by_hand(wrong: np.ndarray, scores: np.ndarray, rate: float) -> int:
    """The definition, one test for every m, without any short cut."""
    best = 0
    for forgiven, part in starts(len(wrong)):
        m = fewest_units(forgiven, rate, part * ERROR)
        while m <= len(wrong) and lower_tail(int(wrong[:m].sum()), m, rate) <= part * ERROR:
            if m == len(wrong) or scores[m] != scores[m - 1]:
                best = max(best, m)
            m += 1
    return best


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 1500), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_short_cut_finds_what_the_definition_says(seed: int, units: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.integers(0, rng.integers(2, 400), units) / 400)
    wrong = rng.random(units) < scores * rng.uniform(0, 0.3)
    assert certified_units(wrong, scores, rate, ERROR) == by_hand(wrong, scores, rate)


def test_units_of_one_score_pass_together_or_not_at_all() -> None:
    wrong = np.zeros(400, bool)
    scores = np.repeat([0.1, 0.2], [250, 150])
    assert certified_units(wrong, scores, 0.01, ERROR) == 400
    wrong[260] = True
    assert certified_units(wrong, scores, 0.01, ERROR) == 0, "250 alone are too few for 1 %"
    assert certified_units(wrong, scores, 0.012, ERROR) == 250


def test_many_labels_forgive_one_escape_among_the_surest() -> None:
    """With few labels the first start is all there is; with many there are others."""
    scores = np.linspace(0, 1, 2000)
    wrong = np.zeros(2000, bool)
    wrong[3] = True
    assert certified_units(wrong[:900], scores[:900], 0.01, ERROR) == 0
    assert certified_units(wrong, scores, 0.01, ERROR) == 2000


def test_nothing_to_test() -> None:
    assert certified_units(np.zeros(0, bool), np.zeros(0), 0.01, ERROR) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        fewest_units(0, 0.0, 0.05)
