"""Calibration: making a confidence of 0.8 be right in 8 of 10 cases, and measuring whether it is.

Temperature scaling and expected calibration error: Guo et al. 2017, "On Calibration of Modern
Neural Networks". Platt scaling with smoothed targets: Platt 1999.
The plug-in error is too large on few cases, because each bin's share of right answers is noisy;
by how much is told by consistency resampling (Bröcker & Smith 2007, "Increasing the reliability of
reliability diagrams") and taken out of the squared error by Bröcker 2012 and Kumar, Liang & Ma
2019, "Verified Uncertainty Calibration". Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models_runtime.binomial import clopper_pearson

Numbers = NDArray[np.float64]
Binning = Literal["equal width", "equal mass"]
"""Bins of the same width of confidence, or of about the same number of cases."""

NOISE_SEED = 0

_GOLDEN = (np.sqrt(5.0) - 1) / 2


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases with a confidence in ``[low, high)``: their mean confidence and share of right ones.

    Bins of equal mass reach from their least to their largest confidence, both included.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float

    @property
    def hits(self) -> int:
        """How many cases were right."""
        return round(self.accuracy * self.count)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper–Pearson interval of the share of right answers in this bin."""
        return clopper_pearson(self.hits, self.count, confidence)


@dataclass(frozen=True, slots=True)
class CalibrationNoise:
    """Plug-in errors that a perfectly calibrated model would show on these cases by chance.

    ``mean`` of the resamples and their 95 % quantile ``limit``: an error below ``limit`` is no
    sign of bad calibration.
    """

    mean: float
    limit: float


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
    confidence: Numbers,
    correct: NDArray[np.bool_],
    bins: int = 10,
    binning: Binning = "equal width",
) -> list[ReliabilityBin]:
    """Sort cases into bins of confidence for a reliability diagram; empty bins are left out.

    ``confidence`` and ``correct``: (cases,). With equal mass, ties stay together, and there are
    fewer bins than asked where that leaves some empty or would leave less than two cases in each.
    """
    sure, right = _checked(confidence, correct)
    place = _places(sure, bins, binning)
    found = [(index, sure[place == index], right[place == index]) for index in np.unique(place)]
    return [
        ReliabilityBin(
            low=index / bins if binning == "equal width" else float(inside.min()),
            high=(index + 1) / bins if binning == "equal width" else float(inside.max()),
            count=len(inside),
            confidence=float(inside.mean()),
            accuracy=float(hits.mean()),
        )
        for index, inside, hits in found
    ]


def expected_calibration_error(
    confidence: Numbers,
    correct: NDArray[np.bool_],
    bins: int = 10,
    binning: Binning = "equal width",
) -> float:
    """Mean distance between confidence and accuracy, weighted by cases; 0 is perfect.

    The plug-in estimate. A perfect model's is above 0 too: see ``calibration_noise``.
    """
    sure, right = _checked(confidence, correct)
    return _plug_in_error(sure, right, _places(sure, bins, binning))


def calibration_noise(
    confidence: Numbers,
    bins: int = 10,
    binning: Binning = "equal width",
    resamples: int = 1000,
    seed: int = NOISE_SEED,
) -> CalibrationNoise:
    """The plug-in error by chance alone: answers drawn right with just the stated confidence.

    Consistency resampling of Bröcker & Smith 2007, with the bins that the data have.
    """
    sure, _ = _checked(confidence, np.zeros(len(confidence), bool))
    place = _places(sure, bins, binning)
    draws = np.random.default_rng(seed)
    errors = [_plug_in_error(sure, draws.random(len(sure)) < sure, place) for _ in range(resamples)]
    return CalibrationNoise(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


def squared_calibration_error(
    confidence: Numbers,
    correct: NDArray[np.bool_],
    bins: int = 10,
    binning: Binning = "equal mass",
) -> float:
    """Mean squared distance of the bins' confidence and accuracy, without the bias of few cases.

    Each bin's squared gap less its own sampling variance a(1 − a)/(n − 1): Bröcker 2012; Kumar et
    al. 2019. Unbiased, so a perfectly calibrated model's is 0 on average and often below it.
    """
    found = reliability(confidence, correct, bins, binning)
    total = sum(b.count for b in found)
    return sum(b.count * (_squared_gap(b) - _noise_of(b)) for b in found) / total


def debiased_calibration_error(
    confidence: Numbers,
    correct: NDArray[np.bool_],
    bins: int = 10,
    binning: Binning = "equal mass",
) -> float:
    """Root of ``squared_calibration_error``, 0 where that is negative: in units of confidence.

    It measures a root mean square, so for the same bins it lies above the mean distance where
    the gaps of the bins differ.
    """
    squared = squared_calibration_error(confidence, correct, bins, binning)
    return float(np.sqrt(max(0.0, squared)))


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
    target = _smoothed(labels, "Platt scaling")
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    weights = _logistic(((values - mean) / spread)[:, None], target, rounds)
    slope = float(weights[0]) / spread
    return Platt(slope=slope, offset=float(weights[1]) - slope * mean)


def _places(sure: Numbers, bins: int, binning: Binning) -> NDArray[np.int64]:
    """The bin of each case, (cases,)."""
    if bins < 1:
        raise ValueError("there must be at least one bin")
    if binning == "equal width":
        return np.minimum((sure * bins).astype(np.int64), bins - 1)
    _, place, sizes = np.unique(sure, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(sizes) - sizes / 2
    wanted = max(1, min(bins, len(sure) // 2))
    return np.asarray((middle_rank * wanted / len(sure)).astype(np.int64)[place])


def _plug_in_error(sure: Numbers, right: NDArray[np.bool_], place: NDArray[np.int64]) -> float:
    return float(np.abs(np.bincount(place, weights=sure - right)).sum()) / len(sure)


def _squared_gap(found: ReliabilityBin) -> float:
    return (found.confidence - found.accuracy) ** 2


def _noise_of(found: ReliabilityBin) -> float:
    """Unbiased estimate of the variance of a bin's accuracy; 0 where one case says nothing."""
    return found.accuracy * (1 - found.accuracy) / max(1, found.count - 1)


def _smoothed(labels: NDArray[np.bool_], what: str) -> Numbers:
    """Platt's targets: not quite 0 and 1, as if one more case of each kind had been seen."""
    if labels.all() or not labels.any():
        raise ValueError(f"{what} needs cases of both kinds")
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    return np.where(labels, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))


def _logistic(columns: Numbers, target: Numbers, rounds: int = 100) -> Numbers:
    """Weights of logistic regression by Newton's method: one per column (cases, columns), then
    the offset."""
    design = np.concatenate([columns, np.ones((len(columns), 1))], axis=1)
    size = design.shape[1]
    weights = np.zeros(size)
    for _ in range(rounds):
        chances = sigmoid(design @ weights)
        gradient = design.T @ (chances - target)
        curvature = design.T @ (design * (chances * (1 - chances))[:, None]) + 1e-6 * np.eye(size)
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-9:
            break
    return weights


def _checked(confidence: Numbers, correct: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError("confidence and correctness must be one-dimensional, equal and not empty")
    if not (sure.min() >= 0 and sure.max() <= 1):  # so that NaN is refused too
        raise ValueError("confidences must be within 0..1")
    return sure, right
