"""Contact sheets: where the shipped models do well on drawn samples, and where they don't.

    python -m models_runtime.training.sheets --out docs/images

Real photos are never shipped, so the sheets show samples drawn by ``samples.py`` with seeds that no
training used. Per kind two sheets of twenty: the best and the worst of all that were tried. What
was drawn is outlined in green, what was found is filled with orange.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models_runtime import masks
from models_runtime.contracts import PhotoPixels, Pixels
from models_runtime.runtime import Runtime
from models_runtime.samples import DEFECTS, DrawnDefect, Kind, draw_sample
from models_runtime.training.vlm_eval import plan_of
from models_runtime.whole import Inspected, Job, inspect_photos

KINDS: tuple[Kind, ...] = ("solar", "garment", "wall")
FIRST_SEED = 90_000
TRIED = 120
"""Samples of each kind, half of them sound."""
SHOWN = 20
COLUMNS, TILE, LINE = 5, 200, 34
GREEN, ORANGE = (0, 170, 90), (240, 120, 0)
BATCH = 20

PLANS: dict[Kind, tuple[str, dict[str, str]]] = {
    "solar": ("Solar cells", {"crack": "Crack", "dark": "Dark area", "cross": "Cross"}),
    "garment": ("Garments", {"stain": "Stain", "hole": "Hole", "tear": "Tear"}),
    "wall": ("Walls", {"crack": "Crack", "stain": "Stain", "hole": "Hole"}),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """A drawn sample and what the models said of it. ``score``: 1 all right, 0 all wrong."""

    pixels: Pixels
    drawn: list[DrawnDefect]
    said: Inspected
    score: float


def score(drawn: Sequence[DrawnDefect], said: Inspected) -> float:
    """On sound samples the chance that they are; else the IoU of all that is drawn and found.

    Pixels count only where their type is right.
    """
    if not drawn:
        return (1 - said.defect_probability) * (0.5 if said.findings else 1.0)
    both = either = 0
    for kind in {d.type for d in drawn} | {f.type for f in said.findings}:
        shape = drawn[0].mask.shape
        real = _union([d.mask for d in drawn if d.type == kind], shape)
        found = _union([masks.decode(f.mask) for f in said.findings if f.type == kind and f.mask],
                       shape)  # fmt: skip
        both += int((real & found).sum())
        either += int((real | found).sum())
    return both / max(1, either)


def _union(parts: Sequence[NDArray[np.bool_]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    joined = np.zeros(shape, np.bool_)
    for part in parts:
        joined |= part
    return joined


def tried(runtime: Runtime, kind: Kind, count: int = TRIED, first: int = FIRST_SEED) -> list[Tried]:
    """Draw so many samples, every other one sound, and inspect them."""
    plan, made = plan_of(*PLANS[kind]), []
    for start in range(0, count, BATCH):
        drawn = [_drawn(kind, first + n) for n in range(start, min(count, start + BATCH))]
        jobs = [Job(PhotoPixels(p, f"{kind}-{start + n}")) for n, (p, _) in enumerate(drawn)]
        for (pixels, defects), said in zip(drawn, inspect_photos(runtime, jobs, plan), strict=True):
            made.append(Tried(pixels, defects, said, score(defects, said)))
    return made


def _drawn(kind: Kind, seed: int) -> tuple[Pixels, list[DrawnDefect]]:
    types = DEFECTS[kind]
    defect = None if seed % 2 else types[(seed // 2) % len(types)]
    return draw_sample(kind, defect, seed, (400, 400))


def best_and_worst(all_tried: Sequence[Tried]) -> tuple[list[Tried], list[Tried]]:
    """``SHOWN`` of each: the best among them as often sound as not, the worst whatever they are."""
    ranked = sorted(all_tried, key=lambda one: -one.score)
    half = SHOWN // 2
    best = [t for t in ranked if t.drawn][:half] + [t for t in ranked if not t.drawn][:half]
    return best, ranked[::-1][:SHOWN]


def sheet(chosen: Sequence[Tried], title: str) -> Image.Image:
    """The samples in rows of five, each with what was drawn and what was said below it."""
    rows = -(-len(chosen) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (TILE + 8) + 8, 40 + rows * (TILE + LINE + 8)), "white")
    draw = ImageDraw.Draw(page)
    draw.text((8, 10), title, fill=(20, 20, 20), font=ImageFont.load_default(16))
    font = ImageFont.load_default(11)
    for number, one in enumerate(chosen):
        x = 8 + (number % COLUMNS) * (TILE + 8)
        y = 40 + (number // COLUMNS) * (TILE + LINE + 8)
        page.paste(Image.fromarray(_marked(one)), (x, y))
        for line, text in enumerate(_caption(one)):
            draw.text((x, y + TILE + 2 + 14 * line), text, fill=(20, 20, 20), font=font)
    return page


def _marked(one: Tried) -> Pixels:
    picture = one.pixels.copy()
    for finding in one.said.findings:
        if finding.mask is not None:
            inside = masks.decode(finding.mask)
            picture[inside] = (0.5 * picture[inside] + 0.5 * np.array(ORANGE)).astype(np.uint8)
    for defect in one.drawn:
        found, _ = cv2.findContours(
            defect.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, found, -1, GREEN, 2)
    return np.asarray(cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


def _caption(one: Tried) -> tuple[str, str]:
    drawn = ", ".join(sorted({d.type for d in one.drawn})) or "sound"
    kinds = ", ".join(sorted({f.type for f in one.said.findings})) or "nothing"
    if one.said.abstained:
        kinds = "not sure"
    return f"drawn: {drawn}", f"found: {kinds} ({one.said.defect_probability:.0%} defective)"


def main() -> None:
    """Command line: write the sheets of all kinds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--tried", type=int, default=TRIED)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runtime = Runtime()
    for kind in KINDS:
        all_tried = tried(runtime, kind, args.tried)
        mean = np.mean([one.score for one in all_tried])
        for name, chosen in zip(("best", "worst"), best_and_worst(all_tried), strict=True):
            title = f"Drawn {kind} samples: the {name} {len(chosen)} of {len(all_tried)}"
            sheet(chosen, title).save(args.out / f"sheet-{kind}-{name}.jpg", quality=80)
        print(f"{kind}: mean score {mean:.2f} of {len(all_tried)}", flush=True)


if __name__ == "__main__":
    main()
