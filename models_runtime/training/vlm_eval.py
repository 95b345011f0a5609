"""Measure the shipped extractor on val, through the same public engine that users call.

    python -m models_runtime.training.vlm_eval --data ../shared/data

Writes ``loupe_vlm.metrics.json`` beside the weights, each figure with its 95 % bootstrap interval
and count, and the table of the model card. An attribute the engine abstained from counts as wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.calibration import (
    Binning,
    ReliabilityBin,
    calibration_noise,
    debiased_calibration_error,
    expected_calibration_error,
    reliability,
)
from models_runtime.contracts import Box, Extraction, PhotoPixels
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.pictures import confusion, reliability_diagram
from models_runtime.training.provenance import commit, processor
from models_runtime.training.vlm_checks import auroc
from models_runtime.training.vlm_data import IGNORE, Check, Photo
from models_runtime.training.vlm_fit import HIT, f1_of, matches, true_boxes, unknown_pictures
from models_runtime.training.vlm_known import Known, leave_one_out
from models_runtime.training.vlm_stations import phrasings
from models_runtime.vlm import weights, words
from models_runtime.vlm.boxes import overlap
from models_runtime.vlm.embedded import EmbeddedVLM, load

SEED = 1
BINNING: Binning = "equal mass"
RESAMPLES = 500

NEW_WORDS = {
    "T-Shirt": "crew-neck tee", "Longsleeve": "long-sleeved jersey", "Pants": "denim or chinos",
    "Shoes": "trainers", "Shirt": "oxford button-down", "Dress": "summer dress",
    "Outwear": "warm coat for winter", "Shorts": "knee-length shorts", "Hat": "sun hat",
    "Skirt": "pleated skirt", "Polo": "polo neck sports shirt", "Undershirt": "sleeveless vest",
    "Blazer": "tailored blazer", "Hoodie": "hooded jumper", "Body": "infant bodysuit",
    "Top": "cropped top", "Blouse": "silk blouse",
}  # fmt: skip
"""Words for garments that training never saw."""

SOLAR_WORDS: dict[str, dict[str, str]] = {
    "plain": {"crack": "Crack", "cross": "Cross", "dark": "Dark area"},
    "new words": {"crack": "fracture line", "cross": "x mark", "dark": "dead zone"},
}


def plan_of(
    name: str,
    defects: Mapping[str, str] | None = None,
    options: Mapping[str, Sequence[str]] | None = None,
) -> PlanSpec:
    """A plan as a stranger would write it: a name, plain options and plain defect names."""
    return PlanSpec.model_validate(
        {
            "name": name,
            "characteristics": [
                {"key": key, "kind": "choice", "options": list(values)}
                for key, values in (options or {}).items()
            ],
            "defects": [{"key": k, "name": v} for k, v in (defects or {}).items()],
        }
    )


PLANS: dict[str, PlanSpec] = {
    "garment": plan_of("Garments", options={"category": list(words.GARMENTS)}),
    "grocery": plan_of("Groceries", options={"group": list(words.GROCERY_GROUPS)}),
    "solar": plan_of("Solar cells", SOLAR_WORDS["plain"]),
    "road": plan_of("Road survey", {"crack": "Crack", "pothole": "Pothole"}),
    "wall": plan_of("Concrete quay wall", {"crack": "Crack"}),
    "cookie": plan_of("Cookies", {"broken": "Broken"}),
    "toy": plan_of("Toys", {"missing-part": "Missing part"}),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A val photo and what the engine said of it under its domain's plan."""

    photo: Photo
    said: Extraction


class Evaluation:
    """Collects figures; each is computed on resampled photos for its interval."""

    def __init__(self, engine: EmbeddedVLM, photos: Sequence[Photo]) -> None:
        self.engine = engine
        self.photos = photos
        self.figures: dict[str, dict[str, Any]] = {}
        self.confusions: dict[str, dict[str, Any]] = {}
        self.reliability: dict[str, list[dict[str, float]]] = {}
        self.numbers = np.random.default_rng(SEED)

    def val(self, domain: str, at_most: int = 10**9) -> list[Photo]:
        """Val photos of a domain, evenly thinned to at most so many."""
        pool = [p for p in self.photos if p.split == "val" and p.domain == domain]
        return pool[:: max(1, -(-len(pool) // at_most))]

    def ask(self, photos: Sequence[Photo], plan: PlanSpec) -> list[Seen]:
        """What the engine says of photos under a plan."""
        pixels = [as_pixels(photo) for photo in photos]
        return [
            Seen(photo, said)
            for photo, said in zip(photos, self.engine.extract(pixels, plan), strict=True)
        ]

    def note(self, name: str, rows: Sequence[Any], measure: Callable[[list[Any]], float]) -> None:
        """Add a figure with its bootstrap interval over ``rows``."""
        if not rows:
            return
        spread = []
        for _ in range(RESAMPLES):
            picks = self.numbers.integers(0, len(rows), len(rows))
            spread.append(measure([rows[int(i)] for i in picks]))
        finite = [v for v in spread if np.isfinite(v)] or [float("nan")]
        low, high = (round(float(np.quantile(finite, q)), 4) for q in (0.025, 0.975))
        value = round(measure(list(rows)), 4)
        if not np.isfinite(value):
            return
        self.figures[name] = {"mean": value, "low": low, "high": high, "n": len(rows)}
        print(f"{name}: {value} [{low}, {high}] n={len(rows)}", flush=True)

    def note_calibration(self, name: str, rows: Sequence[tuple[float, bool]]) -> None:
        """Add the calibration error of (confidence, correct) pairs, and its diagram.

        Beside the plug-in error stands the one without the bias of few cases, and what a perfectly
        calibrated model would show on as many.
        """
        if not rows:
            return
        self.note(f"{name} calibration error", rows, calibration_gap)
        sure, right = _columns(rows)
        noise = calibration_noise(sure, binning=BINNING)
        self.figures[f"{name} calibration error"] |= {
            "by_chance": round(noise.mean, 4),
            "debiased": round(debiased_calibration_error(sure, right), 4),
        }
        self.reliability[name] = [
            asdict(one) for one in reliability(sure, right, bins=8, binning=BINNING)
        ]


def as_pixels(photo: Photo) -> PhotoPixels:
    """The photo as the engine takes it."""
    return PhotoPixels(photo.pixels, hashlib.sha256(photo.pixels.tobytes()).hexdigest())


def mean(rows: list[Any]) -> float:
    """Share or average of numbers."""
    return float(np.mean(rows))


def area_under(rows: list[Any]) -> float:
    """AUROC of (score, truth) pairs."""
    return auroc([score for score, _ in rows], [truth for _, truth in rows])


def calibration_gap(rows: list[Any]) -> float:
    """Expected calibration error of (confidence, correct) pairs, ten bins of equal mass."""
    return expected_calibration_error(*_columns(rows), binning=BINNING)


def _columns(
    rows: Sequence[tuple[float, bool]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    sure, right = zip(*rows, strict=True)
    return np.array(sure, dtype=np.float64), np.array(right, dtype=bool)


def choices(run: Evaluation, domain: str, question: str, at_most: int = 540) -> None:
    """Top-1 with the data set's own words, how calibrated it is, and with words never seen."""
    photos = run.val(domain, at_most)
    answers = list(words.domain(domain).labels[question])
    seen = run.ask(photos, plan_of(PLANS[domain].name, options={question: answers}))
    right = [s.said.attributes[0].value == s.photo.labels[question] for s in seen]
    run.note(f"{domain} {question} top-1", right, mean)
    sure = [
        (s.said.attributes[0].confidence, hit)
        for s, hit in zip(seen, right, strict=True)
        if not s.said.abstained
    ]
    run.note_calibration(f"{domain} {question}", sure)
    pairs = [
        (s.photo.labels[question], str(s.said.attributes[0].value))
        for s in seen
        if not s.said.abstained
    ]
    run.confusions[f"{domain} {question}"] = {"names": answers, "counts": counted(pairs, answers)}
    if domain == "garment":
        plan = plan_of("Clothes", options={question: list(NEW_WORDS.values())})
        again = run.ask(photos[::2], plan)
        hits = [s.said.attributes[0].value == NEW_WORDS[s.photo.labels[question]] for s in again]
        run.note(f"{domain} {question} top-1, new words", hits, mean)


def counted(pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> list[list[int]]:
    """Confusion matrix of (truth, said): rows are the truth."""
    place = {name: number for number, name in enumerate(names)}
    counts = [[0] * len(names) for _ in names]
    for truth, said in pairs:
        counts[place[truth]][place[said]] += 1
    return counts


def kids(run: Evaluation) -> None:
    """A yes-or-no characteristic: is it for children?"""
    plan = PlanSpec.model_validate(
        {
            "name": "Garments",
            "characteristics": [{"key": "kids", "kind": "boolean", "title": "For children"}],
        }
    )
    rows = [
        (s.said.attributes[0].alternatives.get("true", 0.0), s.photo.labels["age"] == "kids")
        for s in run.ask(run.val("garment", 300), plan)
    ]
    run.note("garment kids AUROC", rows, area_under)


def states(run: Evaluation, domain: str, plan: PlanSpec, label: str = "") -> list[Seen]:
    """Defective against sound, by ``defect_probability``; abstained photos count one half."""
    seen = [s for s in run.ask(run.val(domain), plan) if s.photo.defective is not None]
    rows = [(s.said.defect_probability, bool(s.photo.defective)) for s in seen]
    if len({truth for _, truth in rows}) == 2:
        run.note(f"{domain} defective AUROC{label}", rows, area_under)
        sure = [
            (max(p, 1 - p), (p >= 0.5) == truth)
            for (p, truth), s in zip(rows, seen, strict=True)
            if not s.said.abstained
        ]
        run.note_calibration(f"{domain} defective{label}", sure)
    return seen


def types(run: Evaluation, domain: str) -> None:
    """One AUROC per defect type, by the photo's logit for it."""
    plan = PLANS[domain]
    photos = [p for p in run.val(domain) if p.present]
    read = run.engine.readings([as_pixels(p) for p in photos], plan)
    for number, kind in enumerate(words.domain(domain).defects):
        if kind not in [d.key for d in plan.defects]:
            continue
        rows = [
            (float(r.whole[number]), p.present[kind])
            for p, r in zip(photos, read, strict=True)
            if kind in p.present
        ]
        if len({truth for _, truth in rows}) == 2:
            run.note(f"{domain} {kind} AUROC", rows, area_under)


def findings(run: Evaluation, domain: str, seen: Sequence[Seen], label: str = "") -> None:
    """Boxes against the boxes of the masks' connected parts: F1 at IoU 0.3 over all types."""
    rows = []
    for one in seen:
        if one.photo.places is None or (one.photo.places == IGNORE).any():
            continue
        hits = found = real = 0
        for number, kind in enumerate(words.domain(domain).defects):
            boxes = true_boxes(one.photo.places, number + 1)
            mine: list[Box] = [d.box for d in one.said.defects if d.type == kind]
            hits += sum(matches(mine, boxes))
            found += len(mine)
            real += len(boxes)
        rows.append((hits, found, real))
    run.note(f"{domain} finding F1 at IoU 0.3{label}", rows, _pooled_f1)
    run.note(f"{domain} finding precision{label}", rows, lambda r: _ratio(r, 1))
    run.note(f"{domain} finding recall{label}", rows, lambda r: _ratio(r, 2))


def _pooled_f1(rows: list[Any]) -> float:
    sums: NDArray[np.int64] = np.sum(np.array(rows), axis=0)
    return f1_of(int(sums[0]), int(sums[1]), int(sums[2]))


def _ratio(rows: list[Any], column: int) -> float:
    hits, total = sum(r[0] for r in rows), sum(r[column] for r in rows)
    return hits / total if total else float("nan")


def stations(run: Evaluation) -> None:
    """Is the instructed state met? In the data set's own words, and said another way.

    Balanced accuracy over the records of val; where the engine abstains it is wrong. The place is
    right where it overlaps the marked region by at least ``HIT``.
    """
    for label, phrase in (("", 0), (", said another way", -1)):
        rows, places = [], []
        for photo in run.val("station"):
            for check in photo.checks:
                said = run.ask([photo], check_plan(phrasings(check.text)[phrase]))[0].said
                chance = said.attributes[0].alternatives.get("true")
                rows.append((chance, check.met))
                if check.region and said.defects and not check.met:
                    places.append(overlap(said.defects[0].box, _in_photo(check, photo)) >= HIT)
        run.note(f"station checks balanced accuracy{label}", rows, balanced_accuracy)
        answered = [(chance, met) for chance, met in rows if chance is not None]
        run.note(f"station checks AUROC{label}", answered, area_under)
        run.note(f"station checks answered{label}", [c is not None for c, _ in rows], mean)
        run.note(f"station unmet checks, right place{label}", places, mean)


def check_plan(text: str) -> PlanSpec:
    """A plan that asks for one state of a station."""
    return PlanSpec.model_validate(
        {
            "name": "Lab stations",
            "characteristics": [{"key": "met", "kind": "boolean", "title": text[:200]}],
            "defects": [{"key": "deviation", "name": "not as instructed"}],
        }
    )


def _in_photo(check: Check, photo: Photo) -> Box:
    height, width = photo.pixels.shape[:2]
    x1, y1, x2, y2 = check.region or (0.0, 0.0, 1.0, 1.0)
    return Box(x1=x1 * width, y1=y1 * height, x2=x2 * width, y2=y2 * height)


def balanced_accuracy(rows: list[Any]) -> float:
    """Mean of the shares of right answers among met and unmet states."""
    shares = []
    for wanted in (True, False):
        right = [c is not None and (c >= 0.5) == met for c, met in rows if met is wanted]
        shares.append(float(np.mean(right)) if right else float("nan"))
    return float(np.mean(shares))


def not_sure(run: Evaluation) -> None:
    """Photos under their own plan are answered; under another's, or of nothing known, are not."""
    for domain, plan in PLANS.items():
        seen = run.ask(run.val(domain, 60), plan)
        run.note(f"{domain} answered", [not s.said.abstained for s in seen], mean)
    for domain in ("nuclei", "station", "solar", "grocery", "road"):
        seen = run.ask(run.val(domain, 50), PLANS["garment"])
        run.note(f"{domain} abstained under garments", [s.said.abstained for s in seen], mean)
    for domain in ("garment", "grocery", "nuclei"):
        seen = run.ask(run.val(domain, 50), PLANS["solar"])
        run.note(f"{domain} abstained under solar cells", [s.said.abstained for s in seen], mean)
    seen = run.ask(run.val("garment", 50), plan_of("Bottle caps", {"dent": "Dent"}))
    run.note("garment abstained under bottle caps", [s.said.abstained for s in seen], mean)
    strange = [
        Photo(pixels, "", f"unknown {number}", "val")
        for number, pixels in enumerate(unknown_pictures(60, 320, run.photos))
    ]
    for domain in ("garment", "solar"):
        abstained = [s.said.abstained for s in run.ask(strange, PLANS[domain])]
        run.note(f"unknown pictures abstained under {domain}", abstained, mean)


def left_out(run: Evaluation) -> None:
    """Each data set is forgotten in turn: are its photos refused under the plans of the others?

    The memory of known kinds is learned anew without it. The networks are not: those features of
    theirs that go into the memory come from the finding network, which was taught defects on all
    sets that have any; the other features are by rule.
    """
    chosen = [
        photo
        for split, most in LEFT_OUT_PHOTOS.items()
        for domain in words.DOMAIN_NAMES
        for photo in _thinned(run.photos, domain, split, most)
    ]
    strange = unknown_pictures(200, 256, run.photos, 5)
    pixels = [*(photo.pixels for photo in chosen), *strange]
    looks = run.engine.looks([PhotoPixels(p, "") for p in pixels])
    kinds = np.array([*(photo.domain for photo in chosen), *[""] * len(strange)])
    splits = np.array([*(photo.split for photo in chosen), *["train"] * len(strange)])
    rows = leave_one_out(Known(looks, kinds, splits))
    run.note("left-out set refused", [float(v) for r in rows for v in r.refused], mean)
    run.note("left-out set, others answered", [float(v) for r in rows for v in r.answered], mean)
    for kind in dict.fromkeys(row.kind for row in rows):
        refused = [float(v) for row in rows if row.kind == kind for v in row.refused]
        run.note(f"{kind} refused when left out", refused, mean)


LEFT_OUT_PHOTOS = {"train": 160, "holdout": 60, "val": 60}


def _thinned(photos: Sequence[Photo], domain: str, split: str, most: int) -> list[Photo]:
    pool = [p for p in photos if p.split == split and p.domain == domain and not p.drawn]
    return pool[:: max(1, -(-len(pool) // most))]


def drawn(run: Evaluation) -> None:
    """Drawn samples that training did not see (other seeds): answered, and told apart."""
    fresh = vlm_data.draw(60, first=50_000)
    for photo_domain, plan in (
        ("solar", PLANS["solar"]),
        ("wall", plan_of("Walls and roads", {"crack": "Crack", "stain": "Stain", "hole": "Hole"})),
        ("garment", plan_of("Garments", {"stain": "Stain", "hole": "Hole", "tear": "Tear"})),
    ):
        seen = run.ask([p for p in fresh if p.domain == photo_domain], plan)
        run.note(f"drawn {photo_domain} answered", [not s.said.abstained for s in seen], mean)
        rows = [(s.said.defect_probability, bool(s.photo.defective)) for s in seen]
        run.note(f"drawn {photo_domain} defective AUROC", rows, area_under)


def speed(run: Evaluation) -> dict[str, float]:
    """Milliseconds per photo, one by one, on as many threads as given."""
    photos = [as_pixels(p) for p in run.val("solar")[:20]]
    run.engine.extract(photos[:2], PLANS["solar"])
    times = []
    for photo in photos:
        began = time.perf_counter()
        run.engine.extract([photo], PLANS["solar"])
        times.append(1000 * (time.perf_counter() - began))
    return {"p50": round(float(np.median(times)), 1), "threads": float(torch.get_num_threads())}


def evaluate(run: Evaluation) -> None:
    """All figures of the model card."""
    choices(run, "garment", "category")
    kids(run)
    choices(run, "grocery", "group")
    findings(run, "solar", states(run, "solar", PLANS["solar"]))
    renamed = states(run, "solar", plan_of("PV cells", SOLAR_WORDS["new words"]), ", new words")
    findings(run, "solar", renamed, ", new words")
    types(run, "solar")
    types(run, "road")
    findings(run, "road", states(run, "road", PLANS["road"]))
    findings(run, "cookie", states(run, "cookie", PLANS["cookie"]))
    states(run, "toy", PLANS["toy"])
    stations(run)
    not_sure(run)
    left_out(run)
    drawn(run)


PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"


def draw_pictures(told: Mapping[str, Any], folder: Path) -> None:
    """Write the confusion matrices and reliability diagrams of a metrics file as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in told["confusions"].items():
        svg = confusion(f"{name}, val", table["names"], table["counts"])
        (folder / f"vlm-confusion-{_slug(name)}.svg").write_text(svg)
    for name, rows in told["reliability"].items():
        bins = [ReliabilityBin(**row) for row in rows]
        error = told["figures"][f"{name} calibration error"]
        note = f"error {error['mean']:.3f}; {error['by_chance']:.3f} by chance alone"
        svg = reliability_diagram(f"{name}, val", bins, note)
        (folder / f"vlm-reliability-{_slug(name)}.svg").write_text(svg)


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


TABLE_HEAD = "| figure | mean | interval | n |\n|---|---|---|---|\n"


def with_table(card: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The model card with these figures in the place of its table. ValueError without one."""
    before, found, after = card.partition(TABLE_HEAD)
    if not found:
        raise ValueError("the model card has no table of figures")
    rest = after[after.index("\n\n") :] if "\n\n" in after else "\n"
    lines = [
        f"| {name} | {row['mean']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['n']} |"
        for name, row in figures.items()
    ]
    return before + TABLE_HEAD + "\n".join(lines) + rest


def main() -> None:
    """Command line of the evaluation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="", help="another .safetensors than the shipped one")
    parser.add_argument("--to", type=Path, default=weights.FOLDER / f"{weights.NAME}.metrics.json")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    engine = load(EngineSpec("embedded", args.weights))
    run = Evaluation(engine, vlm_data.load(args.data))
    evaluate(run)
    told = {
        "model": engine.ref.version,
        "command": "python -m models_runtime.training.vlm_eval --data ../shared/data",
        "split": "val",
        "seed": SEED,
        "interval": f"95 % bootstrap, {RESAMPLES} resamples of photos",
        "machine": f"{processor()}, {args.threads} thread(s), torch {torch.__version__}",
        "commit": commit(),
        "milliseconds_per_photo": speed(run),
        "figures": run.figures,
        "confusions": run.confusions,
        "reliability": run.reliability,
    }
    args.to.write_text(json.dumps(told, indent=1) + "\n")
    card = weights.FOLDER / f"{weights.NAME}.md"
    if args.to.parent == card.parent:
        card.write_text(with_table(card.read_text(), run.figures))
        draw_pictures(told, PICTURES)


if __name__ == "__main__":
    main()
