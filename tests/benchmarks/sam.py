"""What segmentation costs: a further click beside the first one, and segment-anything's ViT-B here
beside the package's own predictor. ``python -m tests.benchmarks.sam --out FILE``

Both ways of a pair take turns in one run, and medians are compared, so that other work on the
machine disturbs them alike. ``cpu`` is processor time of this process, ``wall`` what one waits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models_runtime import masks
from models_runtime.contracts import Box, Click, PhotoPixels, Prompt, Segmenter
from models_runtime.registry import EngineSpec
from models_runtime.sam import compat, embedded, official
from models_runtime.samples import draw_sample
from tests.benchmarks.machine import machine

SIZES = ((1000, 1000), (4000, 3000))
"""Width and height of the photos."""

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


class Timer:
    """Milliseconds of calls by name and clock."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, list[float]]] = {}

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        began = {clock: read() for clock, read in CLOCKS.items()}
        value = do()
        for clock, read in CLOCKS.items():
            own = self.taken.setdefault(name, {}).setdefault(clock, [])
            own.append(1000 * (read() - began[clock]))
        return value

    def median(self, name: str, clock: str) -> float:
        return statistics.median(self.taken[name][clock])

    def compared(self, name: str, other: str) -> dict[str, Any]:
        """Medians of both, and how many times ``other`` is in ``name``."""
        return {
            clock: {
                f"{name}_ms": round(self.median(name, clock), 2),
                f"{other}_ms": round(self.median(other, clock), 2),
                "ratio": round(self.median(name, clock) / self.median(other, clock), 3),
            }
            for clock in CLOCKS
        } | {"runs": len(self.taken[other]["cpu"])}


def drawn_photo(size: tuple[int, int]) -> PhotoPixels:
    """A drawn solar cell with a dark area; ``size`` is (width, height)."""
    return PhotoPixels(np.asarray(draw_sample("solar", "dark", 7, size[::-1])[0]), "")


def clicks(engine: Segmenter, size: tuple[int, int], runs: int) -> dict[str, Any]:
    """Click 1 embeds the photo and decodes; click 2 decodes only."""
    photo, timer = drawn_photo(size), Timer()
    first = Prompt(clicks=(Click(x=photo.width / 2, y=photo.height / 2),))
    second = Prompt(clicks=(*first.clicks, Click(x=photo.width / 3, y=photo.height / 4)))
    embedding = engine.embed(photo)
    engine.decode(embedding, [first])
    for _ in range(runs):
        timer.call("embed", lambda: engine.embed(photo))
        timer.call("click1", lambda: engine.decode(engine.embed(photo), [first]))
        timer.call("click2", lambda: engine.decode(embedding, [second]))
    embed = {clock: round(timer.median("embed", clock), 1) for clock in CLOCKS}
    return timer.compared("click2", "click1") | {"embed_ms": embed}


def against_the_package(runs: int) -> dict[str, Any]:
    """ViT-B with random weights: encoding by the package's predictor and by ours, and how alike the
    masks are that follow, over boxes and clicks."""
    package = compat.load()
    torch.manual_seed(0)
    sam = shaken(package.sam_model_registry["vit_b"](checkpoint=None).eval())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        torch.save(sam.state_dict(), path)
        engine = official.load(EngineSpec("segment-anything", "vit_b", {"checkpoint": str(path)}))
    predictor, photo, timer = package.SamPredictor(sam), drawn_photo((1024, 768)), Timer()
    rate: list[float] = []
    for _ in range(runs):
        timer.call("package", lambda: predictor.set_image(photo.pixels))
        embedding = timer.call("ours", lambda: engine.embed(photo))
        rate.append(product_rate())
    agreement = mask_agreement(predictor, engine, photo, embedding)
    gigaflop = 2 * encoder_products()
    achieved = {n: round(gigaflop / timer.median(n, "cpu") * 1000, 1) for n in ("package", "ours")}
    return timer.compared("package", "ours") | {
        "encoder": engine.ref.version.partition("+")[2] or "float32",
        "mask_iou": agreement,
        "gflops": achieved | {"plain_product": round(statistics.median(rate), 1)},
    }


def shaken(sam: Any) -> Any:
    """Position terms and tokens of fresh weights are zero or tiny; here they count."""
    with torch.no_grad():
        for name, parameter in sam.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                parameter.normal_(std=0.3)
    return sam


def mask_agreement(
    predictor: Any, engine: Segmenter, photo: PhotoPixels, embedding: Any
) -> dict[str, Any]:
    """IoU of each of the three masks of six prompts with those of the package's predictor."""
    corners = ((80, 60, 400, 300), (500, 200, 900, 700), (10, 10, 1000, 750))
    asked = [
        *(Prompt(box=Box(x1=a, y1=b, x2=c, y2=d)) for a, b, c, d in corners),
        *(Prompt(clicks=(Click(x=x, y=y),)) for x, y in ((200, 300), (512, 384), (900, 100))),
    ]
    values: list[float] = []
    for prompt, found in zip(asked, engine.decode(embedding, asked), strict=True):
        theirs, scores, _ = predictor.predict(**in_their_words(prompt), multimask_output=True)
        order = np.argsort(-scores, kind="stable")
        truth = [masks.encode(np.asarray(theirs[i])) for i in order]
        values += [masks.iou(c.mask, t) for c, t in zip(found, truth, strict=True)]
    return {
        "mean": round(float(np.mean(values)), 4),
        "min": round(min(values), 4),
        "n": len(values),
    }


def in_their_words(prompt: Prompt) -> dict[str, Any]:
    """The package counts from pixel centres, we from pixel edges."""
    if prompt.box:
        box = prompt.box
        return {"box": np.array([box.x1, box.y1, box.x2, box.y2]) - 0.5}
    points = np.array([[c.x, c.y] for c in prompt.clicks])
    return {"point_coords": points, "point_labels": np.ones(len(points))}


def product_rate() -> float:
    """GFLOP/s of one plain matrix product of the encoder's largest layer."""
    left, right = torch.randn(4096, 768), torch.randn(768, 3072)
    began = time.process_time()
    left @ right
    return 2 * 4096 * 768 * 3072 / (time.process_time() - began) / 1e9


def encoder_products() -> float:
    """Billions of multiplications that ViT-B at 1024 px cannot do without: its projections, its
    attention (4 blocks over the whole image, 8 over 25 windows of 14 x 14), its neck."""
    cells, width, window = 64 * 64, 768, 25 * 14 * 14
    projections = 12 * cells * 12 * width**2
    whole, windows = 4 * 2 * cells**2 * width, 8 * 2 * window * 14 * 14 * width
    patches_and_neck = cells * (width * width + width * 256 + 9 * 256 * 256)
    return (projections + whole + windows + patches_and_neck) / 1e9


def main() -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sam", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=21, help="of clicks; 0 leaves them out")
    parser.add_argument("--encodes", type=int, default=3, help="of ViT-B; 0 leaves it out")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    engine = embedded.load(EngineSpec("embedded"))
    for threads in given.threads:
        torch.set_num_threads(threads)
        part: dict[str, Any] = {}
        result[f"threads_{threads}"] = part
        for width, height in SIZES if given.runs else ():
            part[f"clicks_{width}x{height}"] = clicks(engine, (width, height), given.runs)
        if given.encodes:
            part["vit_b"] = against_the_package(given.encodes)
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    if given.out:
        given.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
