"""How many corrections bring what: a learning curve on real photos under another camera.

    python -m models_runtime.learning.curve --data ../shared/data

Val photos of solar cells, which the shipped extractor was not trained on, as a blurred, dark camera
with a vignette would take them. So many of them, drawn by a seed, are corrected by their true
labels; figures are on the rest. Mean and standard deviation over the draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models_runtime.calibration import expected_calibration_error
from models_runtime.contracts import Extractor, PhotoPixels, Pixels
from models_runtime.learning.fitting import PhotoLabel, fit_defect_head
from models_runtime.learning.heads import DefectHead
from models_runtime.learning.measuring import auroc
from models_runtime.learning.reading import read_photos
from models_runtime.plans import PlanSpec

PLAN = PlanSpec.model_validate(
    {
        "name": "Solar cells",
        "defects": [
            {"key": "crack", "name": "Crack"},
            {"key": "cross", "name": "Cross"},
            {"key": "dark", "name": "Dark area"},
        ],
    }
)
COUNTS = (0, 20, 40, 80, 120)


@dataclass(frozen=True, slots=True)
class Point:
    """Figures on photos that took no part: shares, and the calibration error."""

    labels: int
    right: float
    ranked: float
    error: float


def other_camera(pixels: Pixels, strength: float = 1.0) -> Pixels:
    """RGB uint8 (h, w, 3) as a worse camera would have it; 0 leaves it as it is."""
    height, width = pixels.shape[:2]
    light = cv2.GaussianBlur(pixels.astype(np.float32) / 255, (0, 0), 0.01 + 1.2 * strength)
    rows, columns = np.mgrid[0:height, 0:width]
    away = (rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2
    dark = light ** (1 + 0.35 * strength) * (1 - 0.6 * strength * away[..., None])
    return np.asarray(np.clip(dark * 255, 0, 255), np.uint8)


def site_labels(
    root: Path, extractor: Extractor, strength: float, most: int | None = None
) -> list[PhotoLabel]:
    """Labels of the site's photos that the extractor answers; those it abstains on are left out."""
    from models_runtime.training.vlm_data import load

    photos = [
        p for p in load(root, only=("solar",)) if p.split == "val" and p.defective is not None
    ]
    labels = []
    for photo in photos[:most]:
        pixels = np.ascontiguousarray(other_camera(photo.pixels, strength))
        (reading,) = read_photos(extractor, [PhotoPixels(pixels, "0" * 64)], PLAN)
        if not reading.extraction.abstained:
            chance = reading.extraction.defect_probability
            labels.append(PhotoLabel(photo.name, chance, reading.traits, bool(photo.defective)))
    return labels


def curve(labels: Sequence[PhotoLabel], counts: Sequence[int], draws: int) -> list[list[Point]]:
    """Points for each count, one for each draw; the same photos are tested for every count."""
    made: list[list[Point]] = [[] for _ in counts]
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(labels))
        test = [labels[place] for place in order[max(counts) :]]
        for place, count in enumerate(counts):
            head, _ = fit_defect_head([labels[n] for n in order[:count]])
            made[place].append(point(head, test, count))
    return made


def point(head: DefectHead, test: Sequence[PhotoLabel], count: int) -> Point:
    """How well a head does on photos."""
    chance = np.array([head(label.chance, label.traits) for label in test])
    truth = np.array([label.is_defective for label in test])
    error = expected_calibration_error(chance, truth, binning="equal mass")
    right = float(((chance >= 0.5) == truth).mean())
    return Point(count, right, auroc(chance[truth], chance[~truth]), error)


def table(points: Sequence[Sequence[Point]]) -> str:
    """As Markdown."""
    rows = ["| corrections | right | AUROC | calibration error |", "|---|---|---|---|"]
    for some in points:
        cells = [
            f"{np.mean(values):.3f} ± {np.std(values):.3f}"
            for values in zip(*((p.right, p.ranked, p.error) for p in some), strict=True)
        ]
        rows.append(f"| {some[0].labels} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="How many corrections bring what")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--strength", type=float, default=1.0, help="of the other camera; 0: none")
    parser.add_argument("--draws", type=int, default=10)
    given = parser.parse_args()
    from models_runtime.registry import EngineSpec
    from models_runtime.vlm.embedded import load

    labels = site_labels(given.data, load(EngineSpec("embedded")), given.strength)
    bad = sum(label.is_defective for label in labels)
    print(f"{len(labels)} photos answered, {bad} of them defective, {given.draws} draws\n")
    print(table(curve(labels, COUNTS, given.draws)))


if __name__ == "__main__":
    main()
