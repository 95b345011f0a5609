"""Calibration: making a confidence of 0.8 be right in 8 of 10 cases, and measuring whether it is.

Temperature scaling and expected calibration error: Guo et al. 2017, "On Calibration of Modern
Neural Networks". Platt scaling with smoothed targets: Platt 1999. Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_GOLDEN = (np.sqrt(5.0) - 1) / 2


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases with a confidence in ``[low, high)``: their mean confidence and share of right ones."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Platt:
    """Probability = sigmoid(slope · score + offset)."""

    slope: float
    offset: float

    def __call__(self, scores: Numbers) -> Numbers:
        return sigmoid(self.slope * np.asarray(scores, dtype=np.float64) + self.offset)


def sigmoid(values: Numbers) -> Numbers:
    """Logistic function, without overflow."""
    clipped = np.clip(np.asarray(values, dtype=np.float64), -500, 500)
    return np.asarray(1.0 / (1.0 + np.exp(-clipped)))


def logit(probability: float, margin: float = 1e-4) -> float:
    """Log odds of a probability, kept ``margin`` away from 0 and 1."""
    inside = min(max(probability, margin), 1 - margin)
    return float(np.log(inside / (1 - inside)))


def softmax(logits: Numbers, temperature: float = 1.0) -> Numbers:
    """Probabilities (cases, classes) from logits of that shape at a temperature."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def reliability(
    confidence: Numbers, correct: NDArray[np.bool_], bins: int = 10
) -> list[ReliabilityBin]:
    """Sort cases into equal-width bins of confidence; empty bins are left out."""
    sure, right = _checked(confidence, correct)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            low=index / bins,
            high=(index + 1) / bins,
            count=int(inside.sum()),
            confidence=float(sure[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for index in range(bins)
        if (inside := place == index).any()
    ]


def expected_calibration_error(
    confidence: Numbers, correct: NDArray[np.bool_], bins: int = 10
) -> float:
    """Mean distance between confidence and accuracy, weighted by cases; 0 is perfect."""
    found = reliability(confidence, correct, bins)
    total = sum(b.count for b in found)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in found) / total


def fit_temperature(logits: Numbers, labels: NDArray[np.int64]) -> float:
    """The temperature in 0.05..20 with the least negative log likelihood of the labels.

    ``logits``: (cases, classes), ``labels``: (cases,). The loss is unimodal in log T.
    """
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != len(labels) or not len(labels):
        raise ValueError("logits must be (cases, classes) with one label per case")

    def loss(log_temperature: float) -> float:
        chances = softmax(scores, float(np.exp(log_temperature)))
        return -float(np.log(chances[np.arange(len(labels)), labels] + 1e-12).mean())

    low, high = float(np.log(0.05)), float(np.log(20.0))
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def fit_platt(scores: Numbers, positive: NDArray[np.bool_], rounds: int = 100) -> Platt:
    """Fit a sigmoid to scores by Newton's method, with Platt's smoothed targets."""
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if labels.all() or not labels.any():
        raise ValueError("Platt scaling needs cases of both kinds")
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    design = np.stack([(values - mean) / spread, np.ones_like(values)], axis=1)
    weights = np.zeros(2)
    for _ in range(rounds):
        chances = sigmoid(design @ weights)
        gradient = design.T @ (chances - target)
        curvature = design.T @ (design * (chances * (1 - chances))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-9:
            break
    slope = float(weights[0]) / spread
    return Platt(slope=slope, offset=float(weights[1]) - slope * mean)


def threshold_at_risk(
    confidence: Numbers, correct: NDArray[np.bool_], largest_error_rate: float
) -> float:
    """The lowest threshold above which at most this share of the answers is wrong.

    1.01, above every confidence, where even the surest answers are wrong too often.
    """
    sure, right = _checked(confidence, correct)
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(~right[order])
    rates = wrong / np.arange(1, len(sure) + 1)
    last_of_its_value = np.append(sure[:-1] != sure[1:], True)
    allowed = np.flatnonzero((rates <= largest_error_rate) & last_of_its_value)
    return float(sure[allowed[-1]]) if len(allowed) else 1.01


def _checked(confidence: Numbers, correct: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError("confidence and correctness must be one-dimensional, equal and not empty")
    if sure.min() < 0 or sure.max() > 1:
        raise ValueError("confidences must be within 0..1")
    return sure, right
