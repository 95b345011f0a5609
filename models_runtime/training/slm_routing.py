"""Fit the two constants of plan routing (scale and "none of these") and measure them.

    python -m models_runtime.training.slm_routing --data ../shared/data

Hints are label words of the shared photo sets (garment categories, kinds of groceries) and phrases
about solar cells and roads; "none of these" are aviation narratives and mining notes. The plans
name only a few of the garments and groceries. Half of the hints fit, the other half measures.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models_runtime.mlm import minilm
from models_runtime.mlm.routing import PlanCandidate, likeness, phrases
from models_runtime.registry import EngineSpec
from models_runtime.training import slm_measure, slm_notes

PLANS = (
    PlanCandidate(
        key="solar",
        name="Solar cells",
        description="Electroluminescence photos of photovoltaic cells.",
        words=("crack", "dark area", "busbar"),
    ),
    PlanCandidate(
        key="garments",
        name="Garments for resale",
        description="Second-hand clothing returned by customers.",
        words=("T-shirt", "trousers", "dress", "stain", "hole"),
    ),
    PlanCandidate(
        key="walls",
        name="Walls and roads",
        description="Concrete, plaster and asphalt of buildings and streets.",
        words=("crack", "pothole", "spalling"),
    ),
    PlanCandidate(
        key="groceries",
        name="Groceries",
        description="Fruit, vegetables and packaged food in a shop.",
        words=("apple", "milk", "bruise", "mould"),
    ),
)
PHRASES = {
    "solar": "photovoltaic cell|el image of module 7|PV panel with inactive area|solar wafer|"
    "cell string, dark finger|monocrystalline silicon cell|luminescence scan|solar panel from roof|"
    "broken PV module|busbar interruption|module electroluminescence|polycrystalline cell",
    "walls": "crack in the facade|asphalt damage|quay wall section|damp plaster in the cellar|"
    "street with holes|bridge abutment|retaining wall|pavement|concrete surface|highway lane|"
    "house wall, north side|road after winter|harbour wall drone photo|kerb and gutter",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit and measure plan routing.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    root: Path = parser.parse_args().data
    hints = labelled_hints(root)
    likenesses, truth = _likenesses([text for text, _ in hints], [key for _, key in hints])
    half = np.array([hashlib.sha256(t.encode()).digest()[0] % 2 == 0 for t, _ in hints])
    scale, none = fit(likenesses[half], truth[half])
    logits = with_none(likenesses[~half], scale, none)
    print(f"TEXT_SCALE = {scale:.1f}, TEXT_NONE = {none:.2f}")
    print("held out:", slm_measure.summary(logits, truth[~half]))


def labelled_hints(root: Path) -> list[tuple[str, str]]:
    """(hint, plan key or "none") pairs without doubles."""
    pairs = {row["category"].lower(): "garments" for row in _rows(root / "clothing/labels.csv")}
    for row in _rows(root / "grocery/labels.csv"):
        pairs[row["item"].lower().replace("-", " ")] = "groceries"
        pairs[row["variety"].lower().replace("-", " ")] = "groceries"
    for key, text in PHRASES.items():
        pairs |= dict.fromkeys(text.split("|"), key)
    notes = [n.text for n in slm_notes.validation(root / "text") if n.source != "maintnet"]
    pairs |= dict.fromkeys(notes[:: len(notes) // 60], "none")
    pairs.pop("", None)
    pairs.pop("not sure", None)
    pairs.pop("other", None)
    pairs.pop("skip", None)
    return list(pairs.items())


def fit(likenesses: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Grid search for the least negative log-likelihood over (scale, none)."""
    grid = [(s, n) for s in np.arange(4.0, 80.0, 2.0) for n in np.arange(0.05, 0.6, 0.01)]
    return min(grid, key=lambda pair: _loss(with_none(likenesses, *pair), truth))


def with_none(likenesses: NDArray[np.float64], scale: float, none: float) -> NDArray[np.float64]:
    """Logits (hints, plans + 1); the last column is "none of these"."""
    return scale * np.concatenate([likenesses, np.full((len(likenesses), 1), none)], axis=1)


def _loss(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    chances = slm_measure.softmax(logits)[np.arange(len(truth)), truth]
    return float(-np.log(chances.clip(1e-12)).mean())


def _likenesses(
    hints: Sequence[str], keys: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    texts, owners = phrases(PLANS)
    encoder = minilm.load(EngineSpec("embedded"))
    plans, rows = encoder.embed(texts), encoder.embed(hints)
    order = [*(plan.key for plan in PLANS), "none"]
    truth = np.array([order.index(key) for key in keys], dtype=np.int64)
    return np.stack([likeness(plans, owners, row) for row in rows]), truth


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


if __name__ == "__main__":
    main()
