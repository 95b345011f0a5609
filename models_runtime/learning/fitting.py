"""From labels to heads: how much of a correction they bear out is decided by cross-validation.

For each head the choices are no change, a calibration map, and a map with weights on frozen
features under priors of several widths. A richer one is taken only where it beats the simpler one
on folds that it was not fitted on, by more than one standard error of the difference (Breiman et
al. 1984, the "1 SE rule"). Labels of one unit are always in the same fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models_runtime.calibration import sigmoid, softmax
from models_runtime.learning.heads import (
    DefectHead,
    FindingHead,
    Floats,
    Numbers,
    SeverityHead,
    log_odds,
    nothing,
)
from models_runtime.learning.ridge import (
    Directions,
    Flags,
    directions,
    fit_many,
    fit_two,
    folds_of,
    log_losses,
)

FOLDS = 5
FEWEST = 20
"""Labels from which a calibration map is fitted, ``FEWEST_OF_A_KIND`` or more of each kind."""
FEWEST_OF_A_KIND = 5
FEWEST_FOR_WEIGHTS = 30
MOST_DIRECTIONS = 64
SLOPE, OFFSET, TYPE = 0.25, 2.0, 1.0
"""Variances of the priors, in log odds squared (of the slope: per unit of log odds, squared)."""
WIDTHS = (1.0, 4.0, 16.0, 64.0)
"""Variances tried for what all features together may add to the log odds."""
LARGEST_LOSS = 0.02
"""Largest share of the findings that people confirmed which ``FindingHead.cut`` may drop."""
SEVERITY_WIDTHS = (0.3, 1.0, 4.0)

NO_CHANGE, CALIBRATED = "no change", "calibrated"


@dataclass(frozen=True, slots=True)
class PhotoLabel:
    """``unit`` groups labels that belong together; ``chance``: what the shipped model gave."""

    unit: str
    chance: float
    traits: Floats
    is_defective: bool


@dataclass(frozen=True, slots=True)
class FindingLabel:
    """A finding of the shipped model that a person confirmed or rejected."""

    unit: str
    type: str
    chance: float
    place: Floats
    is_defect: bool


@dataclass(frozen=True, slots=True)
class CaseLabel:
    """``numbers`` and ``chances`` as triage had them; ``severity``: place of the true one among
    none, minor, major, critical."""

    unit: str
    numbers: tuple[float, ...]
    chances: tuple[float, ...]
    severity: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why, as plain JSON. ``losses``: mean log loss on left-out folds by name.
    ``left_out``: the chances (cases,) that the chosen head gave to labels it was not fitted on."""

    name: str
    labels: int
    positive: int
    losses: dict[str, float]
    left_out: Numbers

    def told(self) -> dict[str, Any]:
        return {
            "chosen": self.name,
            "labels": self.labels,
            "positive": self.positive,
            "losses": {name: round(loss, 5) for name, loss in self.losses.items()},
        }


@dataclass(frozen=True, slots=True)
class _Columns:
    """The design of one two-class head: fixed columns with their variances, and free features."""

    offset: Numbers
    fixed: Numbers
    variances: Numbers
    features: Numbers
    truth: Flags
    units: tuple[str, ...]

    def rows(self, some: Flags) -> _Columns:
        units = tuple(u for u, taken in zip(self.units, some, strict=True) if taken)
        return replace(
            self,
            offset=self.offset[some],
            fixed=self.fixed[some],
            features=self.features[some],
            truth=self.truth[some],
            units=units,
        )


@dataclass(frozen=True, slots=True)
class _Solved:
    """Weights of the fixed columns (columns,) and of the features (features,), and what the
    features' means take off the offset."""

    fixed: Numbers
    features: Numbers
    shift: float

    def chances(self, columns: _Columns) -> Numbers:
        moved = columns.offset + columns.fixed @ self.fixed
        return sigmoid(moved + columns.features @ self.features + self.shift)


def fit_defect_head(labels: Sequence[PhotoLabel]) -> tuple[DefectHead, Choice]:
    """The correction of "is there any defect?"."""
    columns = _columns_of([(x.unit, x.chance, x.traits, x.is_defective) for x in labels], [])
    solved, choice = _chosen(columns)
    slope, offset = solved.fixed
    return DefectHead(float(slope), float(offset) + solved.shift, _kept(solved.features)), choice


def fit_finding_head(labels: Sequence[FindingLabel]) -> tuple[FindingHead, Choice]:
    """The correction of single findings, and the chance below which they are not reported."""
    kinds = sorted({label.type for label in labels})
    told = [[float(label.type == kind) for kind in kinds] for label in labels]
    rows = [(x.unit, x.chance, x.place, x.is_defect) for x in labels]
    columns = _columns_of(rows, told)
    solved, choice = _chosen(columns)
    slope, offset, *types = (float(v) for v in solved.fixed)
    by_type = {kind: v for kind, v in zip(kinds, types, strict=True) if v}
    cut = 0.0 if choice.name == NO_CHANGE else _cut(choice.left_out, columns.truth)
    head = FindingHead(slope, offset + solved.shift, by_type, _kept(solved.features), cut)
    return head, choice


def fit_severity_head(labels: Sequence[CaseLabel]) -> tuple[SeverityHead, Choice]:
    """The correction of "how bad is the unit?"."""
    truth = np.array([label.severity for label in labels], np.int64)
    if not _enough_cases(truth):
        return SeverityHead(), _no_choice(len(labels), int((truth > 0).sum()))
    logs = np.log(np.clip(np.array([x.chances for x in labels]), 1e-4, 1.0))
    numbers = np.array([label.numbers for label in labels])
    design = np.concatenate([numbers, np.ones((len(labels), 1))], axis=1)
    folds = folds_of([label.unit for label in labels], FOLDS)
    left_out = {NO_CHANGE: softmax(logs)}
    for width in (0.0, *SEVERITY_WIDTHS):
        spread = _severity_variances(design.shape[1], width)

        def fit(some: Flags, spread: Numbers = spread) -> Callable[[Flags], Numbers]:
            found = fit_many(logs[some], design[some], truth[some], spread)
            return lambda others: softmax(logs[others] + design[others] @ found)

        left_out[_name(width)] = _cross_fitted(fit, folds, 4)
    losses = {n: -np.log(c[np.arange(len(truth)), truth].clip(1e-6)) for n, c in left_out.items()}
    name = _simplest(losses)
    told = {n: float(each.mean()) for n, each in losses.items()}
    choice = Choice(name, len(truth), int((truth > 0).sum()), told, left_out[name].max(axis=1))
    if name == NO_CHANGE:
        return SeverityHead(), choice
    width = next(w for w in (0.0, *SEVERITY_WIDTHS) if _name(w) == name)
    found = fit_many(logs, design, truth, _severity_variances(design.shape[1], width))
    return SeverityHead(found[:-1].astype(np.float32), found[-1].astype(np.float32)), choice


def enough(truth: Flags, fewest: int = FEWEST) -> bool:
    """Whether there are labels enough of both kinds to learn from."""
    positive = int(truth.sum())
    return bool(len(truth) >= fewest and min(positive, len(truth) - positive) >= FEWEST_OF_A_KIND)


def _enough_cases(truth: Any) -> bool:
    counts = Counter(truth.tolist())
    kinds = sum(n >= FEWEST_OF_A_KIND for n in counts.values())
    return len(truth) >= FEWEST and kinds >= 2


def _severity_variances(size: int, width: float) -> Numbers:
    return np.append(np.full(size - 1, width), OFFSET)


def _no_choice(labels: int, positive: int) -> Choice:
    return Choice(NO_CHANGE, labels, positive, {}, np.zeros(0))


def _columns_of(
    rows: Sequence[tuple[str, float, Floats, bool]], told: Sequence[Sequence[float]]
) -> _Columns:
    odds = np.array([log_odds(chance) for _, chance, _, _ in rows], np.float64)
    more = np.array(told, np.float64).reshape(len(rows), len(told[0]) if told else 0)
    fixed = np.column_stack([odds, np.ones(len(rows)), more])
    traits = np.array([traits for _, _, traits, _ in rows], np.float64)
    return _Columns(
        offset=odds,
        fixed=fixed,
        variances=np.array([SLOPE, OFFSET, *[TYPE] * (fixed.shape[1] - 2)]),
        features=traits.reshape(len(rows), len(rows[0][2]) if rows else 0),
        truth=np.array([truth for *_, truth in rows], np.bool_),
        units=tuple(unit for unit, *_ in rows),
    )


def _chosen(columns: _Columns) -> tuple[_Solved, Choice]:
    """The simplest head that the labels bear out, fitted on all of them."""
    size, positive = len(columns.truth), int(columns.truth.sum())
    still = _Solved(np.zeros(columns.fixed.shape[1]), np.zeros(columns.features.shape[1]), 0.0)
    if not enough(columns.truth):
        return still, _no_choice(size, positive)
    widths = (0.0, *WIDTHS) if _bears_weights(columns) else (0.0,)
    folds = folds_of(columns.units, FOLDS)
    left_out = {NO_CHANGE: sigmoid(columns.offset)}
    for width in widths:

        def fit(some: Flags, width: float = width) -> Callable[[Flags], Numbers]:
            found = _solve(columns.rows(some), width)
            return lambda others: found.chances(columns.rows(others))

        left_out[_name(width)] = _cross_fitted(fit, folds, 0)
    losses = {name: log_losses(chances, columns.truth) for name, chances in left_out.items()}
    name = _simplest(losses)
    told = {key: float(each.mean()) for key, each in losses.items()}
    choice = Choice(name, size, positive, told, left_out[name])
    if name == NO_CHANGE:
        return still, choice
    return _solve(columns, next(w for w in widths if _name(w) == name)), choice


def _bears_weights(columns: _Columns) -> bool:
    return bool(columns.features.shape[1]) and enough(columns.truth, FEWEST_FOR_WEIGHTS)


def _solve(columns: _Columns, width: float) -> _Solved:
    """Fit with the prior of the features ``width`` wide; 0 leaves them out."""
    features = columns.features.shape[1]
    if width == 0:
        found = fit_two(columns.offset, columns.fixed, columns.truth, columns.variances)
        return _Solved(found, np.zeros(features), 0.0)
    axes = directions(columns.features, MOST_DIRECTIONS)
    places = axes.places(columns.features)
    design = np.concatenate([columns.fixed, places], axis=1)
    spread = np.concatenate([columns.variances, np.full(places.shape[1], width)])
    found = fit_two(columns.offset, design, columns.truth, spread)
    own = columns.fixed.shape[1]
    return _in_features(axes, found[:own], found[own:])


def _in_features(axes: Directions, fixed: Numbers, along: Numbers) -> _Solved:
    weights = axes.axes @ along
    return _Solved(fixed, weights, -float(axes.mean @ weights))


def _cross_fitted(
    fit: Callable[[Flags], Callable[[Flags], Numbers]], folds: Any, classes: int
) -> Numbers:
    """Chances of each case from a fit without its fold."""
    shape = (len(folds), classes) if classes else (len(folds),)
    chances = np.zeros(shape)
    for fold in np.unique(folds):
        left = folds == fold
        chances[left] = fit(~left)(left)
    return chances


def _name(width: float) -> str:
    return CALIBRATED if width == 0 else f"weights, variance {width:g}"


def _simplest(losses: dict[str, Numbers]) -> str:
    """The first, unless a later one is better by more than one standard error; of the later ones
    with weights the best, if that again is better than calibration by as much."""
    best = NO_CHANGE
    if CALIBRATED in losses and _is_better(losses[CALIBRATED], losses[best]):
        best = CALIBRATED
    weighted = [name for name in losses if name not in (NO_CHANGE, CALIBRATED)]
    if weighted:
        richest = min(weighted, key=lambda name: float(losses[name].mean()))
        if _is_better(losses[richest], losses[best]):
            best = richest
    return best


def _is_better(one: Numbers, than: Numbers) -> bool:
    gain = than - one
    error = float(gain.std(ddof=1)) / len(gain) ** 0.5
    return bool(float(gain.mean()) > max(error, 1e-9))


def _kept(weights: Numbers) -> Floats:
    return weights.astype(np.float32) if np.any(weights) else nothing()


def _cut(chances: Numbers, truth: Flags) -> float:
    """The highest chance below which at most ``LARGEST_LOSS`` of the confirmed findings lie."""
    confirmed = np.sort(chances[truth])
    lost = int(LARGEST_LOSS * len(confirmed))
    return float(np.floor(confirmed[lost] * 1000) / 1000)
