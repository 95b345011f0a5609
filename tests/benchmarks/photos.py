"""The photos of the benchmarks: drawn, so that anybody gets the same ones."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from models_runtime.samples import draw_sample

PLAN = "solar-cells"
DEFECTS = (None, "crack", "dark", "cross")


def draw_photos(folder: Path, count: int, side: int) -> list[Path]:
    """Draw square photos of solar cells, three of four with a defect, as JPEG files."""
    folder.mkdir(parents=True)
    files = []
    for seed in range(count):
        pixels, _ = draw_sample("solar", DEFECTS[seed % 4], 1000 + seed, (side, side))
        path = folder / f"cell-{seed:04}.jpg"
        Image.fromarray(pixels).save(path, quality=92)
        files.append(path)
    return files
