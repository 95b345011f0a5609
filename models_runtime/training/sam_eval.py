"""Measure a segmenter on the val splits: ``python -m models_runtime.training.sam_eval --data DIR``.

Prompts come from the labels: the exact box of an object, or clicks (the first in its middle, each
further one in the middle of the largest error). The answer is the candidate the engine ranks first.
Writes ``loupe_sam.metrics.json`` beside the weights and the tables of the model card.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime import masks
from models_runtime.contracts import (
    Architecture,
    Box,
    Click,
    ImageEmbedding,
    PhotoPixels,
    Prompt,
    Segmenter,
)
from models_runtime.registry import Registry
from models_runtime.training import sam_data, sam_prompts
from models_runtime.training.provenance import commit, processor
from models_runtime.training.sam_card import with_tables

METRICS = Path(__file__).resolve().parents[1] / "weights" / "loupe_sam.metrics.json"
TOGETHER = ("solar/dark", "cookies/broken", "nuclei/nucleus")
CRACK_TOLERANCE = 2
CLICKS = 5
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Scores:
    """Values of one measure for one kind of object, with the photo each comes from."""

    values: list[float] = field(default_factory=list)
    photos: list[int] = field(default_factory=list)

    def add(self, value: float, photo: int) -> None:
        self.values.append(value)
        self.photos.append(photo)

    def summary(self, seed: int) -> dict[str, float | int | list[float]]:
        """Mean, standard deviation, n, and a 95 % interval from resampling photos."""
        values, photos = np.array(self.values), np.array(self.photos)
        per_photo = [values[photos == p] for p in np.unique(photos)]
        rng = np.random.default_rng(seed)
        picks = rng.integers(len(per_photo), size=(500, len(per_photo)))
        means = [np.concatenate([per_photo[i] for i in row]).mean() for row in picks]
        low, high = np.percentile(means, (2.5, 97.5))
        return {
            "mean": round(float(values.mean()), 4),
            "std": round(float(values.std()), 4),
            "ci95": [round(float(low), 4), round(float(high), 4)],
            "n": len(values),
            "photos": len(per_photo),
        }


Table = dict[str, dict[str, Scores]]


def evaluate(
    engine: Segmenter, scenes: Sequence[sam_data.Scene], per_photo: int, seed: int = 0
) -> Table:
    """Scores by kind of object (``solar/dark``) and measure (``box``, ``click_1``, ``click_5``)."""
    rng = np.random.default_rng(seed)
    table: Table = {}
    for number, scene in enumerate(scenes):
        measured = [o for o in sam_data.objects(scene) if _is_measured(scene, o)]
        found = _sample(rng, measured, per_photo)
        if found:
            _score_scene(engine, scene, found, number, table)
    return table


def _sample(
    rng: np.random.Generator, found: Sequence[sam_data.Object], per_kind: int
) -> list[sam_data.Object]:
    """At most ``per_kind`` objects of each name, in their order."""
    chosen: list[int] = []
    for name in sorted({o.name for o in found}):
        own = [i for i, o in enumerate(found) if o.name == name]
        chosen += own if len(own) <= per_kind else rng.choice(own, per_kind, False).tolist()
    return [found[i] for i in sorted(chosen)]


def _is_measured(scene: sam_data.Scene, item: sam_data.Object) -> bool:
    """Whole classes are measured for cracks only, which labels cut into arbitrary pieces; the
    pieces of road cracks, specks of a dozen pixels, are not."""
    if item.name != "crack":
        return not item.whole_class
    return item.whole_class or scene.source != "roads"


def _score_scene(
    engine: Segmenter,
    scene: sam_data.Scene,
    found: Sequence[sam_data.Object],
    number: int,
    table: Table,
) -> None:
    embedding = engine.embed(PhotoPixels(scene.pixels, ""))
    boxes = _predict(engine, embedding, [Prompt(box=box_of(o.mask)) for o in found])
    clicked = _clicked(engine, embedding, [o.mask for o in found])
    for i, item in enumerate(found):
        kind = f"{scene.source}/{item.name}" + ("/all" if item.whole_class else "")
        row = table.setdefault(kind, {})
        measures = {
            "box": boxes[i],
            "click_1": clicked[0][i],
            f"click_{CLICKS}": clicked[-1][i],
            "filled_box": filled(item.mask),
        }
        for measure, mask in measures.items():
            row.setdefault(measure, Scores()).add(iou(mask, item.mask), number)
        if item.name == "crack":
            f_score = tolerant_f(boxes[i], item.mask, CRACK_TOLERANCE)
            row.setdefault("box_f_2px", Scores()).add(f_score, number)


def box_of(mask: Bools) -> Box:
    """The exact box around a mask."""
    x1, y1, x2, y2 = sam_data.bounds(mask)
    return Box(x1=x1, y1=y1, x2=x2, y2=y2)


def filled(mask: Bools) -> Bools:
    """All of the exact box: what anyone could answer without looking at the photo."""
    x1, y1, x2, y2 = sam_data.bounds(mask)
    out = np.zeros_like(mask)
    out[y1:y2, x1:x2] = True
    return out


def _predict(
    engine: Segmenter, embedding: ImageEmbedding, prompts: Sequence[Prompt]
) -> list[Bools]:
    return [masks.decode(found[0].mask) for found in engine.decode(embedding, prompts)]


def _clicked(
    engine: Segmenter, embedding: ImageEmbedding, targets: Sequence[Bools]
) -> list[list[Bools]]:
    """Masks after 1, 2, … clicks for each target."""
    clicks = [[_click(*sam_prompts.innermost(target), True)] for target in targets]
    rounds: list[list[Bools]] = []
    for _ in range(CLICKS):
        prompts = [Prompt(clicks=tuple(own)) for own in clicks]
        rounds.append(_predict(engine, embedding, prompts))
        for own, predicted, target in zip(clicks, rounds[-1], targets, strict=True):
            following = sam_prompts.correcting_click(predicted, target)
            if following is not None:
                own.append(_click(*following))
    return rounds


def _click(x: float, y: float, positive: bool) -> Click:
    """From the middle of a pixel, as a continuous position, to the pixel itself."""
    return Click(x=x - 0.5, y=y - 0.5, positive=positive)


def iou(left: Bools, right: Bools) -> float:
    """Intersection over union of two masks, not both empty."""
    return float((left & right).sum() / max(1, (left | right).sum()))


def tolerant_f(predicted: Bools, target: Bools, tolerance: int) -> float:
    """F measure where a pixel counts as right if the other mask has one within ``tolerance`` px.

    For hairline cracks, whose labels are a pixel or two off (Shi et al. 2016 use the same idea).
    """
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1,) * 2)
    if not predicted.any():
        return 0.0
    near_target = cv2.dilate(target.astype(np.uint8), reach) > 0
    near_predicted = cv2.dilate(predicted.astype(np.uint8), reach) > 0
    precision = float((predicted & near_target).sum() / predicted.sum())
    recall = float((target & near_predicted).sum() / target.sum())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def together(table: Table, measure: str, seed: int) -> dict[str, Any]:
    """The kinds the bars are set for: mean over all prompts, and mean over the three data sets."""
    kinds = [table[kind][measure] for kind in TOGETHER if kind in table]
    merged = Scores(
        [v for scores in kinds for v in scores.values],
        [p for scores in kinds for p in scores.photos],
    )
    by_set = float(np.mean([np.mean(scores.values) for scores in kinds]))
    return {**merged.summary(seed), "mean_over_data_sets": round(by_set, 4)}


def report(table: Table, engine: Segmenter, seed: int, per_photo: int) -> dict[str, Any]:
    """Everything measured, ready for JSON."""
    return {
        "model": engine.ref.version,
        "split": "val",
        "seed": seed,
        "objects_per_kind_and_photo": per_photo,
        "minimum_object_area_px": sam_data.MIN_AREA,
        "machine": processor(),
        "commit": commit(),
        "together": {
            m: together(table, m, seed) for m in ("box", "click_1", f"click_{CLICKS}", "filled_box")
        },
        "kinds": {
            kind: {measure: scores.summary(seed) for measure, scores in sorted(row.items())}
            for kind, row in sorted(table.items())
        },
        "cpu_milliseconds": timing(engine),
    }


def timing(engine: Segmenter) -> dict[str, float]:
    """Median processor time for a photo of 1000x1000 px: embed, one prompt, 16 prompts at once.

    Not wall-clock time, so that other work on the machine does not count.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    photo = PhotoPixels(pixels, "")
    embedding = engine.embed(photo)
    prompt = Prompt(box=Box(x1=100, y1=100, x2=220, y2=260))
    return {
        "threads": torch.get_num_threads(),
        "embed": _median_ms(lambda: engine.embed(photo)),
        "decode_one_prompt": _median_ms(lambda: engine.decode(embedding, [prompt])),
        "decode_16_prompts": _median_ms(lambda: engine.decode(embedding, [prompt] * 16)),
    }


def _median_ms(call: Any, repeats: int = 9) -> float:
    times: list[float] = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(1000 * (time.process_time() - begin))
    return round(float(np.median(times)), 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the measurement."""
    parser = argparse.ArgumentParser(description="Measure a segmenter on the val splits")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--engine", default="embedded:")
    parser.add_argument("--per-photo", type=int, default=20)
    parser.add_argument("--limit", type=int, help="first photos of each data set only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=METRICS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    engine = Registry().get(Architecture.SAM, options.engine)
    scenes = sam_data.load_scenes(options.data, "val", options.limit)
    table = evaluate(engine, scenes, options.per_photo, options.seed)  # type: ignore[arg-type]
    result = report(table, engine, options.seed, options.per_photo)  # type: ignore[arg-type]
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.out == METRICS:
        card = METRICS.with_name("loupe_sam.md")
        card.write_text(with_tables(card.read_text(), result), encoding="utf-8")
    for measure, summary in result["together"].items():
        print(
            f"{measure}: {summary['mean']} over {summary['n']} prompts, "
            f"{summary['mean_over_data_sets']} over data sets"
        )
    for kind, row in result["kinds"].items():
        print(kind, {m: (s["mean"], s["n"]) for m, s in row.items()})
    print(result["cpu_milliseconds"])


if __name__ == "__main__":
    main()
