"""Logistic regression around a model that is there: labels move it, a prior holds it where it is.

The margin is ``offset + columns · weights``, the weights start at 0 and have independent normal
priors around 0 (MAP estimate; ridge regression, Hoerl & Kennard 1970, for logistic models le Cessie
& van Houwelingen 1992). So without labels the answer is the offset's, and the fewer labels there
are the nearer it stays. Newton's method; the loss is convex, so there is one solution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_runtime.calibration import sigmoid, softmax

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

ROUNDS = 60
_ENOUGH = 1e-9
_SMALLEST_PART = 1e-6


def fit_two(offset: Numbers, columns: Numbers, truth: Flags, variances: Numbers) -> Numbers:
    """Weights (columns,) for offsets (cases,), columns (cases, columns) and truth (cases,).

    ``variances``: the prior's, (columns,); 0 keeps a weight at 0.
    """
    free = np.flatnonzero(variances > 0)
    weights = np.zeros(columns.shape[1])
    if not len(free) or not len(truth):
        return weights
    design, target, hold = columns[:, free], truth.astype(np.float64), 1.0 / variances[free]

    def loss(found: Numbers) -> float:
        margin = offset + design @ found
        fit = np.logaddexp(0.0, margin).sum() - target @ margin
        return float(fit + (hold * found**2).sum() / 2)

    def step(found: Numbers) -> Numbers:
        chance = sigmoid(offset + design @ found)
        slope = design.T @ (chance - target) + hold * found
        bend = design.T @ (design * (chance * (1 - chance))[:, None]) + np.diag(hold)
        return np.asarray(np.linalg.solve(bend, slope))

    weights[free] = _descend(np.zeros(len(free)), loss, step)
    return weights


def fit_many(offset: Numbers, columns: Numbers, truth: Places, variances: Numbers) -> Numbers:
    """Weights (columns, classes) for offsets (cases, classes) and truth (cases,) of class places.

    ``variances`` as in ``fit_two``.
    """
    classes, free = offset.shape[1], np.flatnonzero(variances > 0)
    weights = np.zeros((columns.shape[1], classes))
    if not len(free) or not len(truth):
        return weights
    design, target = columns[:, free], np.eye(classes)[truth]
    hold, shape = np.repeat(1.0 / variances[free], classes), (len(free), classes)

    def loss(found: Numbers) -> float:
        margins = offset + design @ found.reshape(shape)
        fit = np.logaddexp.reduce(margins, axis=1).sum() - (target * margins).sum()
        return float(fit + (hold * found**2).sum() / 2)

    def step(found: Numbers) -> Numbers:
        chances = softmax(offset + design @ found.reshape(shape))
        slope = (design.T @ (chances - target)).ravel() + hold * found
        return np.asarray(np.linalg.solve(_bend(design, chances) + np.diag(hold), slope))

    weights[free] = _descend(np.zeros(hold.size), loss, step).reshape(shape)
    return weights


def _descend(
    found: Numbers, loss: Callable[[Numbers], float], step: Callable[[Numbers], Numbers]
) -> Numbers:
    """Newton's method; a step that would make it worse is halved until it does not."""
    now = loss(found)
    for _ in range(ROUNDS):
        move, part = step(found), 1.0
        while (then := loss(found - part * move)) > now and part > _SMALLEST_PART:
            part /= 2
        if then > now - _ENOUGH:
            break
        found, now = found - part * move, then
    return found


def _bend(design: Numbers, chances: Numbers) -> Numbers:
    """Second derivatives of the softmax loss: (columns · classes, columns · classes)."""
    classes = chances.shape[1]
    size = design.shape[1] * classes
    joint = np.eye(classes)[None] * chances[:, :, None] - chances[:, :, None] * chances[:, None, :]
    bend = np.einsum("ni,nj,nkl->ikjl", design, design, joint, optimize=True)
    return np.asarray(bend.reshape(size, size))


@dataclass(frozen=True, slots=True)
class Directions:
    """The directions in which rows differ most: ``mean`` (features,), ``axes`` (features, found).

    Places along them have mean square 1 together, so that a prior's variance means the same for
    every kind of feature.
    """

    mean: Numbers
    axes: Numbers

    def places(self, rows: Numbers) -> Numbers:
        """Rows (cases, features) to (cases, found)."""
        return np.asarray((rows - self.mean) @ self.axes)


def directions(rows: Numbers, most: int) -> Directions:
    """Principal directions of rows (cases, features), at most ``most``; none if all are alike."""
    mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
    moved = rows - mean
    spread = float((moved**2).sum() / max(1, len(rows)))
    if spread < 1e-12:
        return Directions(mean, np.zeros((rows.shape[1], 0)))
    _, sizes, axes = np.linalg.svd(moved, full_matrices=False)
    kept = min(most, int((sizes > 1e-6 * sizes[0]).sum()))
    return Directions(mean, axes[:kept].T / np.sqrt(spread))


def folds_of(groups: Sequence[str], count: int) -> Places:
    """A fold (cases,) for each case; those of one group share theirs. The same for the same groups,
    in whatever order they come. By a hash: what is made in turn may repeat every few units."""
    order = {group: n % count for n, group in enumerate(sorted(set(groups), key=_hash))}
    return np.array([order[group] for group in groups], np.int64)


def _hash(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()


def log_losses(chances: Numbers, truth: Flags) -> Numbers:
    """Loss of each case (cases,)."""
    right = np.where(truth, chances, 1 - chances)
    return np.asarray(-np.log(np.clip(right, 1e-6, 1.0)))
