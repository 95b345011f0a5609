"""Measure the comparison with golden photos on photos it was not shown.

    python -m models_runtime.compare.evaluate --data ../shared/data [--golden 10] [--seeds 3]

Golden photos are drawn from sound photos of the train split, everything is measured on val. Writes
``loupe_compare.metrics.json`` beside the weights and the table of its card: AUROC of the photo's
score (mean and spread over draws), escape and overkill at a probability of one half, time, memory.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from models_runtime.compare.golden import GoldenMemory
from models_runtime.compare.patches import Features
from models_runtime.compare.sets import SETS, STATIONS, Row, rows_of, station_checks
from models_runtime.contracts import PhotoPixels
from models_runtime.intake.decode import decode_photo
from models_runtime.scaling import WorkingCopy
from models_runtime.training.provenance import commit, processor
from models_runtime.training.vlm_checks import auroc

NAME = "loupe_compare"
FOLDER = Path(__file__).resolve().parents[1] / "weights"
TABLE_HEAD = (
    "| set | AUROC | spread over draws | hand-made alone | escape | overkill | val photos |\n"
    "|---|---|---|---|---|---|---|\n"
)
FEW, MANY = 5, 50
WORKING_PIXELS = 1_000_000

Figures = dict[str, float]
T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Gallery:
    """Photos and what the network sees on them, each read once for all draws."""

    features: Features | None
    network: str = ""
    photos: dict[Path, PhotoPixels] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def photo(self, row: Row) -> PhotoPixels:
        if row.path not in self.photos:
            decoded = decode_photo(row.path).photo
            self.photos[row.path] = WorkingCopy.of(decoded, WORKING_PIXELS).photo
        return self.photos[row.path]

    def look(self, photo: PhotoPixels) -> Any:
        """The network's view of a photo, from memory where it was seen before."""
        if photo.sha256 not in self.seen and self.features is not None:
            self.seen[photo.sha256] = self.features(photo).astype(np.float16)
        return self.seen[photo.sha256].astype(np.float32)

    def learn(self, photos: Sequence[PhotoPixels]) -> GoldenMemory:
        if self.features is None:
            return GoldenMemory.learn(photos)
        return GoldenMemory.learn(photos, self.look, self.network)


def measure(rows: Sequence[Row], gallery: Gallery, golden: int, seed: int, most: int) -> Figures:
    """One draw of golden photos, scored on up to ``most`` val photos."""
    dice = random.Random(seed)  # noqa: S311 a draw of photos, not a secret
    sound = [row for row in rows if row.split == "train" and not row.bad]
    val = [row for row in rows if row.split == "val"]
    shown = [gallery.photo(row) for row in dice.sample(sound, golden)]
    memory = gallery.learn(shown)
    by_hand = GoldenMemory.learn(shown)
    asked = dice.sample(val, min(most, len(val)))
    photos = [gallery.photo(row) for row in asked]
    bad = np.asarray([row.bad for row in asked])
    scores = np.asarray([memory.score(photo) for photo in photos])
    alone = np.asarray([by_hand.score(photo) for photo in photos])
    beyond = scores >= memory.threshold
    return {
        "auroc": auroc(scores.tolist(), bad.tolist()),
        "by_hand": auroc(alone.tolist(), bad.tolist()),
        "escape_rate": float((~beyond[bad]).mean()),
        "overkill_rate": float(beyond[~bad].mean()),
        "photos": float(len(asked)),
        "aligned": float(memory.reference is not None),
    }


def over_draws(draws: Sequence[Figures]) -> Figures:
    """Means, and how far the AUROC of one draw lies from that of another."""
    told = {key: round(float(np.mean([draw[key] for draw in draws])), 4) for key in draws[0]}
    aurocs = [draw["auroc"] for draw in draws]
    return told | {
        "auroc_low": round(min(aurocs), 4),
        "auroc_high": round(max(aurocs), 4),
        "draws": float(len(draws)),
    }


def cost(rows: Sequence[Row], gallery: Gallery) -> Figures:
    """CPU time and memory with few and with many golden photos, the network's pass apart.

    Both banks look at the same photos in turn, so that what slows the machine slows both.
    """
    sound = [gallery.photo(row) for row in rows if row.split == "train" and not row.bad][:MANY]
    asked = [gallery.photo(row) for row in rows if row.split == "val"][:20]
    for photo in (*sound, *asked) if gallery.features else ():
        gallery.look(photo)
    few, many = len(sound[:FEW]), len(sound)
    learnt: dict[int, float] = {}
    banks: dict[int, GoldenMemory] = {}
    for count in (few, many):
        learnt[count], banks[count] = _timed(gallery.learn, sound[:count])
    times: dict[int, list[float]] = {few: [], many: []}
    for photo in asked:
        for count in (few, many):
            times[count].append(_timed(banks[count].compare, photo)[0])
    ms = {count: 1000 * float(np.median(spent)) for count, spent in times.items()}
    return {
        "golden_few": float(few),
        "golden_many": float(many),
        "learn_few_s": round(learnt[few], 3),
        "learn_many_s": round(learnt[many], 3),
        "photo_few_ms": round(ms[few], 2),
        "photo_many_ms": round(ms[many], 2),
        "times_as_long": round(ms[many] / ms[few], 3),
        "network_ms": _network_ms(gallery, asked),
        "memory_many_mb": round(memory_bytes(banks[many]) / 1e6, 2),
    }


def memory_bytes(memory: GoldenMemory) -> int:
    """What a memory holds."""
    patches = memory.patches
    own = 0 if patches is None else patches.cells.nbytes + patches.apart.nbytes
    bank = memory.bank
    return own + bank.grids.nbytes + bank.apart.nbytes + bank.usual.nbytes


def _network_ms(gallery: Gallery, photos: Sequence[PhotoPixels]) -> float:
    """A pass of its own, where the extractor's can't be shared: copies are photos never seen."""
    if gallery.features is None:
        return 0.0
    look = gallery.features
    fresh = [PhotoPixels(photo.pixels.copy(), photo.sha256) for photo in photos]
    spent = [_timed(look, photo)[0] for photo in fresh]
    return round(1000 * float(np.median(spent)), 2)


def _timed(work: Callable[[T], U], given: T) -> tuple[float, U]:
    """CPU seconds of this process, which other processes don't lengthen, and what came of it."""
    began = time.process_time()
    done = work(given)
    return time.process_time() - began, done


def stations_mean(figures: Mapping[str, Figures]) -> Figures:
    """The mean over the checks of a station."""
    rows = [row for name, row in figures.items() if name.startswith(STATIONS)]
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}


def with_table(card: str, figures: Mapping[str, Mapping[str, float]]) -> str:
    """The model card with these figures in the place of its table. ValueError without one."""
    before, found, after = card.partition(TABLE_HEAD)
    if not found:
        raise ValueError("the model card has no table of figures")
    rest = after[after.index("\n\n") :] if "\n\n" in after else "\n"
    return before + TABLE_HEAD + "\n".join(_line(*told) for told in figures.items()) + rest


def _line(name: str, row: Mapping[str, float]) -> str:
    return (
        f"| {name} | {row['auroc']:.3f} | {row['auroc_low']:.3f} to {row['auroc_high']:.3f} "
        f"| {row['by_hand']:.3f} | {row['escape_rate']:.2f} | {row['overkill_rate']:.2f} "
        f"| {row['photos']:.0f} |"
    )


def gallery_of(setting: str) -> Gallery:
    """With the embedded extractor's features; without a network where the setting is "none"."""
    if setting == "none":
        return Gallery(None)
    import torch

    from models_runtime.registry import EngineSpec
    from models_runtime.vlm.embedded import load

    torch.set_num_threads(1)
    engine = load(EngineSpec("embedded", setting))
    return Gallery(engine.features, engine.ref.version)


def main() -> None:
    """Measure all sets, and write the figures and the card's table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--golden", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=10_000, help="val photos per draw")
    parser.add_argument("--weights", default="", help='another .safetensors, or "none"')
    parser.add_argument("--to", type=Path, default=FOLDER / f"{NAME}.metrics.json")
    args = parser.parse_args()
    gallery = gallery_of(args.weights)
    sets = {name: rows_of(args.data, name) for name in SETS}
    checks = station_checks(args.data)
    for number, rows in enumerate(checks.values(), start=1):
        sets[f"{STATIONS}, check {number}"] = rows
    figures: dict[str, Figures] = {}
    for name, rows in sets.items():
        draws = [measure(rows, gallery, args.golden, s, args.most) for s in range(args.seeds)]
        figures[name] = over_draws(draws)
        print(json.dumps({"set": name} | figures[name]), flush=True)
    figures[f"{STATIONS}, mean"] = stations_mean(figures)
    told = {
        "network": gallery.network,
        "command": "python -m models_runtime.compare.evaluate --data ../shared/data",
        "split": "golden photos from train, figures on val",
        "golden": args.golden,
        "seeds": list(range(args.seeds)),
        "machine": f"{processor()}, 1 thread, CPU time",
        "commit": commit(),
        "checks": list(checks),
        "cost": cost(sets["solar"], gallery),
        "figures": figures,
    }
    write(args.to, told)


def write(to: Path, told: dict[str, Any]) -> None:
    """Write the figures, and the table of the card beside them."""
    to.write_text(json.dumps(told, indent=1) + "\n")
    card = to.with_name(f"{NAME}.md")
    if card.is_file():
        card.write_text(with_table(card.read_text(), told["figures"]))


if __name__ == "__main__":
    main()
