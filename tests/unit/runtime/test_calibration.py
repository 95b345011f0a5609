"""A confidence of 0.8 is right in 8 of 10 cases, or we can tell by how much it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_runtime.calibration import (
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    logit,
    reliability,
    sigmoid,
    softmax,
    threshold_at_risk,
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


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        reliability(np.ones(3), np.ones(4, bool))
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        reliability(np.array([1.5]), np.array([True]))
    with pytest.raises(ValueError, match="one label per case"):
        fit_temperature(np.ones((3, 2)), np.zeros(2, int))


@settings(max_examples=60)
@given(
    hnp.arrays(np.float64, 40, elements=st.floats(0, 1)),
    hnp.arrays(np.bool_, 40),
    st.floats(0, 0.5),
)
def test_threshold_keeps_the_promised_risk(
    confidence: np.ndarray, correct: np.ndarray, risk: float
) -> None:
    threshold = threshold_at_risk(confidence, correct, risk)
    passed = confidence >= threshold
    assert not passed.any() or (~correct[passed]).mean() <= risk + 1e-12


@given(st.floats(0, 1))
def test_log_odds_and_sigmoid_undo_each_other(probability: float) -> None:
    back = float(sigmoid(np.array(logit(probability))))
    assert back == pytest.approx(min(max(probability, 1e-4), 1 - 1e-4), abs=1e-9)
