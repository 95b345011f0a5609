"""How well a version does on units whose truth is known, each figure with a 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_runtime.binomial import clopper_pearson
from models_runtime.calibration import calibration_noise, expected_calibration_error
from models_runtime.learning.ridge import Flags, Numbers

RESAMPLES = 500
HELD_BACK = 0.3
"""Share of the units, by a hash of the unit, that no version is fitted on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a version says of a unit, and what people say. ``accepted``: its disposition is accept;
    ``asks``: a person looks all the same. ``chance``: that the unit is defective."""

    chance: float
    accepted: bool
    asks: bool
    is_defective: bool


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Figures by name, each ``{"mean", "low", "high", "n"}``; what can't be told is left out.

    ``accuracy``: accept or not is as people say. ``escapes``: defective among the units that pass
    without a person. ``overkill``: not accepted, among the sound. ``asks``: a person looks.
    ``error``: calibration error of the chance, whose interval is what an honest model would show.
    ``auroc``: does a defective unit get a higher chance than a sound one?
    """
    truth = np.array([one.is_defective for one in outcomes], np.bool_)
    accepted = np.array([one.accepted for one in outcomes], np.bool_)
    asks = np.array([one.asks for one in outcomes], np.bool_)
    passes = accepted & ~asks
    told = {
        "accuracy": _share(accepted != truth),
        "escapes": _share(truth[passes]),
        "overkill": _share(~accepted[~truth]),
        "asks": _share(asks),
    }
    chance = np.array([one.chance for one in outcomes], np.float64)
    if len(outcomes):
        told["error"] = _calibration(chance, truth)
    if truth.any() and not truth.all():
        told["auroc"] = _ranking(chance, truth)
    return {name: figure for name, figure in told.items() if figure}


def _share(hits: Flags) -> dict[str, float] | None:
    if not len(hits):
        return None
    count = int(hits.sum())
    low, high = clopper_pearson(count, len(hits))
    return {"mean": count / len(hits), "low": low, "high": high, "n": len(hits)}


def _calibration(chance: Numbers, truth: Flags) -> dict[str, float]:
    error = expected_calibration_error(chance, truth, binning="equal mass")
    noise = calibration_noise(chance, binning="equal mass", resamples=RESAMPLES)
    return {"mean": error, "low": 0.0, "high": noise.limit, "n": len(truth)}


def _ranking(chance: Numbers, truth: Flags) -> dict[str, float]:
    """AUROC with a bootstrap interval, resampled within the defective and the sound."""
    bad, good = chance[truth], chance[~truth]
    draws = np.random.default_rng(0)
    drawn = [
        auroc(draws.choice(bad, len(bad)), draws.choice(good, len(good))) for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"mean": auroc(bad, good), "low": float(low), "high": float(high), "n": len(truth)}


def auroc(bad: Numbers, good: Numbers) -> float:
    """Chance that one of ``bad`` is higher than one of ``good``; ties count half."""
    order = np.sort(good)
    below = np.searchsorted(order, bad, "left") + np.searchsorted(order, bad, "right")
    return float(below.sum() / (2 * len(bad) * len(good)))
