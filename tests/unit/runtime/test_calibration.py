"""A confidence of 0.8 is right in 8 of 10 cases, or we can tell by how much it is not."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_runtime.calibration import (
    Binning,
    calibration_noise,
    debiased_calibration_error,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    logit,
    reliability,
    sigmoid,
    softmax,
    squared_calibration_error,
)


def drawn(temperature: float, seed: int = 0, cases: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that is over- or underconfident by a known temperature, with labels."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (cases, 3))
    chances = softmax(honest)
    labels = (rng.random(cases)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return honest * temperature, labels.clip(0, 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_and_makes_the_model_honest(temperature: float) -> None:
    logits, labels = drawn(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.1)
    before, after = softmax(logits), softmax(logits, found)
    right = after.argmax(axis=1) == labels
    assert expected_calibration_error(after.max(axis=1), right) < 0.03
    if temperature == 3.0:
        assert expected_calibration_error(before.max(axis=1), right) > 0.1


def test_platt_scaling_finds_the_sigmoid() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(50, 20, 5000)
    chances = sigmoid((scores - 60) * 0.15)
    found = fit_platt(scores, rng.random(5000) < chances)
    assert np.abs(found(scores) - chances).mean() < 0.02


def test_platt_scaling_survives_separable_scores() -> None:
    found = fit_platt(np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, False, True, True]))
    low, high = found(np.array([0.0, 1.0]))
    assert 0 < low < 0.5 < high < 1
    with pytest.raises(ValueError, match="both kinds"):
        fit_platt(np.array([0.0, 1.0]), np.array([True, True]))


def test_reliability_counts_every_case_once() -> None:
    confidence = np.array([0.0, 0.05, 0.55, 0.95, 1.0])
    correct = np.array([False, False, True, True, True])
    bins = reliability(confidence, correct)
    assert sum(b.count for b in bins) == 5
    assert [(b.low, b.count, b.accuracy) for b in bins] == [
        (0.0, 2, 0.0),
        (0.5, 1, 1.0),
        (0.9, 2, 1.0),
    ]


def test_error_of_an_always_sure_and_half_right_model_is_a_half() -> None:
    assert expected_calibration_error(np.ones(10), np.arange(10) % 2 == 0) == pytest.approx(0.5)


def honest(cases: int, seed: int, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of which each is too high by ``gap``, with answers drawn by them."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.5, 1.0, cases)
    return sure, rng.random(cases) < sure - gap


def test_equal_mass_bins_hold_about_as_many_cases() -> None:
    sure, right = honest(1003, seed=0)
    bins = reliability(sure, right, 10, "equal mass")
    assert len(bins) == 10
    assert all(b.count in (100, 101) for b in bins)
    assert all(a.high <= b.low for a, b in pairwise(bins))


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 50), elements=st.sampled_from([0.0, 0.2, 0.7, 1.0])),
    st.integers(1, 12),
    st.sampled_from(["equal width", "equal mass"]),
    st.randoms(use_true_random=False),
)
def test_ties_stay_together_and_no_case_is_lost(
    sure: np.ndarray, bins: int, binning: Binning, luck: Random
) -> None:
    right = np.array([luck.random() < 0.5 for _ in sure])
    found = reliability(sure, right, bins, binning)
    assert sum(b.count for b in found) == len(sure)
    assert sum(b.hits for b in found) == right.sum()
    if binning == "equal mass":
        assert all(a.high < b.low for a, b in pairwise(found))
    gap = sum(b.count * abs(b.confidence - b.accuracy) for b in found) / len(sure)
    assert expected_calibration_error(sure, right, bins, binning) == pytest.approx(gap)


def test_the_interval_of_a_bin_narrows_with_its_cases() -> None:
    few, many = (
        reliability(np.full(n, 0.8), np.arange(n) % 10 < 8, 10)[0].interval() for n in (10, 1000)
    )
    assert few[0] < many[0] < 0.8 < many[1] < few[1]
    assert many == pytest.approx((0.7738, 0.8244), abs=1e-3)


def test_a_perfect_models_squared_error_is_zero_on_average() -> None:
    """The plug-in error is not: that is the bias that is taken out."""
    draws = [honest(300, seed) for seed in range(400)]
    unbiased = [squared_calibration_error(*draw) for draw in draws]
    standard_error = np.std(unbiased) / len(unbiased) ** 0.5
    assert abs(np.mean(unbiased)) < 4 * standard_error
    assert np.mean([expected_calibration_error(*d, 10, "equal mass") for d in draws]) > 0.05
    assert np.median([debiased_calibration_error(*d) for d in draws]) < 0.03


def test_a_known_gap_is_found_on_few_cases() -> None:
    found = [debiased_calibration_error(*honest(200, seed, gap=0.15)) for seed in range(200)]
    assert np.mean(found) == pytest.approx(0.15, abs=0.01)


def test_noise_is_what_perfect_models_show() -> None:
    """The limit is passed by one perfect model in twenty, and the mean is their mean."""
    sure, _ = honest(400, seed=3)
    noise = calibration_noise(sure, 10, "equal mass")
    rng = np.random.default_rng(4)
    errors = np.array(
        [
            expected_calibration_error(sure, rng.random(400) < sure, 10, "equal mass")
            for _ in range(1000)
        ]
    )
    assert noise.mean == pytest.approx(errors.mean(), rel=0.03)
    assert (errors > noise.limit).mean() == pytest.approx(0.05, abs=0.025)
    assert calibration_noise(sure, 10, "equal mass") == noise


def test_unusable_cases_are_refused() -> None:
    both = np.array([True, False])
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        reliability(np.array([np.nan, 0.5]), both)
    with pytest.raises(ValueError, match="at least one bin"):
        reliability(np.array([0.1, 0.5]), both, bins=0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        reliability(np.ones(3), np.ones(4, bool))
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        reliability(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match="one label per case"):
        fit_temperature(np.ones((3, 2)), np.zeros(2, int))


@given(st.floats(0, 1))
def test_log_odds_and_sigmoid_undo_each_other(probability: float) -> None:
    back = float(sigmoid(np.array(logit(probability))))
    assert back == pytest.approx(min(max(probability, 1e-4), 1 - 1e-4), abs=1e-9)
