"""Measure the comparison with golden photos on photos it was not shown.

    python -m models_runtime.compare.evaluate --data ../shared/data [--golden 10] [--seeds 3]

Golden photos are drawn from sound photos of the train split, everything is measured on val. Prints
one JSON object per set: AUROC of the photo score (mean and spread over draws), escape and overkill
at a probability of one half, set-up time and time per photo.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models_runtime.compare.golden import GoldenMemory
from models_runtime.contracts import PhotoPixels
from models_runtime.intake.decode import decode_photo

SETS = ("toys", "cookies", "solar")
_SOLAR_DEFECTS = {"1", "2", "3"}


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled photo."""

    path: Path
    bad: bool
    split: str


def rows_of(data: Path, name: str) -> list[Row]:
    """Read the labels of a set; a solar cell is bad where its mask holds any defect."""
    with (data / name / "labels.csv").open(newline="") as file:
        return [
            Row(
                path=data / name / row["image"],
                bad=row["label"] == "anomaly"
                if "label" in row
                else bool(_SOLAR_DEFECTS & set(row["values"].split())),
                split=row["split"],
            )
            for row in csv.DictReader(file)
        ]


def auroc(scores: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    """Chance that a bad photo scores above a sound one; ties count half."""
    above = scores[bad][:, None] - scores[~bad][None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def measure(data: Path, name: str, golden: int, seed: int, most: int) -> dict[str, float]:
    """One draw of golden photos, scored on up to ``most`` val photos."""
    rows = rows_of(data, name)
    dice = random.Random(seed)  # noqa: S311 a draw of photos, not a secret
    sound = [row for row in rows if row.split == "train" and not row.bad]
    val = [row for row in rows if row.split == "val"]
    shown = [_photo(row) for row in dice.sample(sound, golden)]
    started = time.perf_counter()
    memory = GoldenMemory.learn(shown)
    learnt = time.perf_counter() - started
    asked = dice.sample(val, min(most, len(val)))
    photos = [_photo(row) for row in asked]
    started = time.perf_counter()
    chances = np.asarray([memory.compare(photo).probability for photo in photos])
    spent = (time.perf_counter() - started) / len(photos)
    bad = np.asarray([row.bad for row in asked])
    return {
        "auroc": auroc(chances, bad),
        "escape_rate": float((chances[bad] < 0.5).mean()),
        "overkill_rate": float((chances[~bad] >= 0.5).mean()),
        "setup_s": learnt,
        "photo_ms": spent * 1000,
        "photos": float(len(asked)),
        "aligned": float(memory.reference is not None),
    }


def main() -> None:
    """Print one line per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--golden", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=10_000, help="val photos per draw")
    options = parser.parse_args()
    for name in options.sets:
        draws = [
            measure(options.data, name, options.golden, seed, options.most)
            for seed in range(options.seeds)
        ]
        line: dict[str, object] = {"set": name, "golden": options.golden, "draws": len(draws)}
        line |= {key: round(float(np.mean([d[key] for d in draws])), 4) for key in draws[0]}
        line["auroc_spread"] = round(float(np.std([d["auroc"] for d in draws])), 4)
        print(json.dumps(line), flush=True)


def _photo(row: Row) -> PhotoPixels:
    return decode_photo(row.path).photo


if __name__ == "__main__":
    main()
