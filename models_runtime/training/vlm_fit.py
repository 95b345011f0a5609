"""After training: fit what turns Loupe-VLM's logits into probabilities, on held-out train photos.

    python -m models_runtime.training.vlm_fit --data ../shared/data

Writes ``loupe_vlm.safetensors`` (half precision) and ``loupe_vlm.json``. Val is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models_runtime.calibration import fit_platt, fit_temperature
from models_runtime.contracts import Box, PhotoPixels
from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm import SHIPPED
from models_runtime.training.vlm_data import IGNORE, Bytes, Check, Photo
from models_runtime.training.vlm_known import Known, Limits, learn
from models_runtime.training.vlm_views import View, nothing_known, paint_on
from models_runtime.vlm import familiar, weights, words
from models_runtime.vlm.boxes import GRID, Region, overlap, regions
from models_runtime.vlm.checking import Looked, look, overview
from models_runtime.vlm.familiar import Memory
from models_runtime.vlm.looks import as_tensor, outlined, resize, shown
from models_runtime.vlm.model import TEXT_DIM, LoupeVLM, Networks, Shape, load_half
from models_runtime.vlm.outline import OutlineHead, both
from models_runtime.vlm.plan_texts import TextCache
from models_runtime.vlm.weights import Fitted, Line

HIT = 0.3
"""Least overlap of a box with a true one to count as found."""
OUTLINE_SHARES = tuple(round(0.05 * n, 2) for n in range(21))
FEW = 24
"""Domains with fewer held-out photos borrow from train, or take the default."""

BoxWeights = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Case:
    """One photo as the network sees it, beside the truth. Logits are of canonical words.

    ``whole`` (types,), ``places`` (types, rows, columns); None where the domain has no defects.
    """

    photo: Photo
    meaning: NDArray[np.float32]
    outline: NDArray[np.float32]
    pooled: NDArray[np.float32]
    whole: NDArray[np.float32] | None
    places: NDArray[np.float32] | None


Exam = tuple[str, list[Case], list[str], NDArray[np.int64]]
"""Domain, photos with an answer, the possible answers, and which is right."""


class Reader:
    """Runs the network over photos with each domain's canonical words."""

    def __init__(
        self, networks: Networks, cache: TextCache, fitted: Fitted, outline: OutlineHead | None
    ) -> None:
        self.networks, self.cache, self.fitted, self.outline = networks, cache, fitted, outline

    @torch.inference_mode()
    def read(self, photo: Photo) -> Case:
        """One pass over one photo."""
        small = shown(self.networks.shows, [photo.pixels], self.fitted.meaning_side)
        finds = self.networks.finds
        encoded = finds(as_tensor([photo.pixels], self.fitted.side), meaning=False)
        meaning = small[0].numpy()
        pooled = familiar.features([photo.pixels], encoded.pooled)[0].numpy()
        outlines = self._outlines(photo)
        types = list(words.domain(photo.domain).defects) if photo.domain else []
        if not types:
            return Case(photo, meaning, outlines, pooled, None, None)
        rows = torch.from_numpy(self.cache.rows([_canonical(photo.domain, t) for t in types]))
        places = finds.read_places(encoded, rows)
        whole = finds.read_defects(encoded, rows, places)
        return Case(photo, meaning, outlines, pooled, whole[0].numpy(), places[0].numpy())

    def _outlines(self, photo: Photo) -> NDArray[np.float32]:
        if self.outline is None:
            return np.zeros(TEXT_DIM, np.float32)
        return np.asarray(outlined(self.outline, [photo.pixels])[0].numpy(), dtype=np.float32)

    def meanings(self, cases: Sequence[Case]) -> torch.Tensor:
        """What the engine will say the photos mean, (cases, 384)."""
        meaning = torch.from_numpy(np.stack([case.meaning for case in cases]))
        if self.outline is None:
            return meaning
        outlines = torch.from_numpy(np.stack([case.outline for case in cases]))
        return both(meaning, outlines, self.fitted.outline_share)

    def choice(self, cases: Sequence[Case], answers: Sequence[str]) -> NDArray[np.float64]:
        """Logits (cases, answers) of a choice between plain words."""
        rows = torch.from_numpy(self.cache.rows([a.replace("-", " ") for a in answers]))
        scale = self.networks.shows.choice_scale.exp()
        return np.asarray((scale * self.meanings(cases) @ rows.T).double().numpy())


def _canonical(domain: str, defect: str) -> str:
    return words.domain(domain).defects[defect][0]


def painted(photo: Photo, seed: int) -> Photo:
    """The same photo, sound or with drawn defects, both with known places."""
    numbers = np.random.default_rng(seed)
    pixels = resize(photo.pixels, 256)
    view = paint_on(View(pixels, None, {}, None), photo.domain, numbers, share=0.5)
    return Photo(
        view.pixels, photo.domain, photo.name, photo.split, photo.labels, view.places,
        view.present, view.defective,
    )  # fmt: skip


def known_of(cases: Sequence[Case]) -> Known:
    """The features of cases, as the memory of known photos is learned from them."""
    features = torch.from_numpy(np.stack([case.pooled for case in cases]))
    kinds = np.array([case.photo.domain for case in cases])
    return Known(features, kinds, np.array([case.photo.split for case in cases]))


def fit_known(fitted: Fitted, known: Known, drawn: Known) -> Memory:
    """Learn what is known, and set from when on a photo, real or drawn, counts as such."""
    limits = Limits.of(learn(known), known, drawn)
    fitted.least_asked = limits.cuts
    fitted.distance_limit = round(limits.farthest, 4)
    fitted.distance_spread = round(0.12 * limits.farthest, 4)
    return limits.memory


def fit_choices(fitted: Fitted, reader: Reader, held: Sequence[Case]) -> None:
    """The outlines' weight, then one temperature per domain that has questions."""
    exams = list(_exams(held))
    if reader.outline is not None:
        fitted.outline_share = max(OUTLINE_SHARES, key=lambda share: _right(reader, exams, share))
    for domain, asked, names, labels in exams:
        found = fit_temperature(reader.choice(asked, names), labels)
        fitted.choice_temperature[domain] = round(found, 4)
    known = [v for k, v in fitted.choice_temperature.items() if k != "default"]
    fitted.choice_temperature["default"] = round(max([1.0, *known]), 4)


def _exams(held: Sequence[Case]) -> Iterator[Exam]:
    for domain in words.DOMAINS:
        for question, answers in domain.labels.items():
            asked = [
                c for c in held if c.photo.domain == domain.name and question in c.photo.labels
            ]
            if len(asked) >= FEW and question != "age":
                names = list(answers)
                labels = np.array([names.index(c.photo.labels[question]) for c in asked])
                yield domain.name, asked, names, labels


def _right(reader: Reader, exams: Sequence[Exam], share: float) -> float:
    """Mean share of right answers over the questions, were the outlines weighed so."""
    reader.fitted.outline_share = share
    right = [
        float((reader.choice(asked, names).argmax(1) == labels).mean())
        for _, asked, names, labels in exams
    ]
    return float(np.mean(right)) if right else 0.0


def fit_whole(fitted: Fitted, cases: Sequence[Case]) -> None:
    """From logits of the whole photo to the chance of any defect, and of each type."""
    for name in ("default", *words.DOMAIN_NAMES):
        chosen = [c for c in cases if c.whole is not None and name in ("default", c.photo.domain)]
        state = [(float(_lse(c.whole)), c.photo.defective) for c in chosen if c.whole is not None]
        line = _line([(s, bool(d)) for s, d in state if d is not None])
        if line:
            fitted.anything[name] = line
        single = [
            (float(c.whole[number]), c.photo.present[kind])
            for c in chosen
            if c.whole is not None
            for number, kind in enumerate(words.domain(c.photo.domain).defects)
            if kind in c.photo.present
        ]
        line = _line(single)
        if line:
            fitted.one_type[name] = line


def _lse(logits: NDArray[np.float32]) -> float:
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top).sum()))


def _line(pairs: Sequence[tuple[float, bool]]) -> Line | None:
    truth = np.array([held for _, held in pairs], dtype=bool)
    if len(pairs) < FEW or min(truth.sum(), (~truth).sum()) < 4:
        return None
    platt = fit_platt(np.array([score for score, _ in pairs]), truth)
    return (round(max(platt.slope, 0.05), 4), round(platt.offset, 4))


def true_boxes(places: Bytes, value: int) -> list[Box]:
    """Boxes of the connected parts of one defect type, in pixels of the label map."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats((places == value).astype(np.uint8))
    return [
        Box(x1=float(x), y1=float(y), x2=float(x + w), y2=float(y + h))
        for x, y, w, h, area in (map(int, stats[i]) for i in range(1, count))
        if area >= 6
    ]


def matches(found: Sequence[Box], real: Sequence[Box]) -> list[bool]:
    """For each found box, strongest first: is it the first to hit a true one?"""
    left = list(real)
    hits = []
    for box in found:
        best = max(left, key=lambda other: overlap(box, other), default=None)
        hit = best is not None and overlap(box, best) >= HIT
        if hit and best is not None:
            left.remove(best)
        hits.append(hit)
    return hits


def fit_boxes(fitted: Fitted, cases: Sequence[Case]) -> None:
    """Per domain the cut with the best F1 of boxes, then the chance that a box is right."""
    for name in ("default", *words.DOMAIN_NAMES):
        chosen = [
            c
            for c in cases
            if c.photo.places is not None
            and c.places is not None
            and name in ("default", c.photo.domain)
            and not (c.photo.places == IGNORE).any()
        ]
        if len(chosen) < FEW or not any(c.photo.defective for c in chosen):
            continue
        cuts = np.arange(-2.0, 2.01, 0.25)
        scores = [f1_of(*box_counts(chosen, float(cut))[:3]) for cut in cuts]
        best = float(cuts[int(np.argmax(scores))])
        # A lower cut lets unsure boxes through to their own, calibrated, confidence.
        fitted.cell_threshold[name] = best
        _, _, real, rows, truth = box_counts(chosen, best)
        if truth.sum() >= 5 and (~truth).sum() >= 5:
            peak, photo, area, offset = logistic(rows, truth)
            fitted.box[name] = (peak, photo, area, offset)
            fitted.least_box[name] = least_chance(fitted.box[name], rows, truth, real)


def least_chance(
    box: BoxWeights, rows: NDArray[np.float64], truth: NDArray[np.bool_], real: int
) -> float:
    """The chance from which boxes are worth showing, by F1; never above one quarter."""
    chances = 1 / (1 + np.exp(-(rows @ np.array(box[:3]) + box[3])))
    steps = [0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25]
    scores = [
        f1_of(int((truth & (chances >= s)).sum()), int((chances >= s).sum()), real) for s in steps
    ]
    return steps[int(np.argmax(scores))]


def box_counts(
    cases: Sequence[Case], cut: float
) -> tuple[int, int, int, NDArray[np.float64], NDArray[np.bool_]]:
    """Hits, found and true boxes at a cut, and per found box its features and whether it hit."""
    rows: list[tuple[float, float, float]] = []
    truth: list[bool] = []
    real = 0
    for case in cases:
        if case.photo.places is None or case.places is None or case.whole is None:
            continue
        size = (case.photo.places.shape[0], case.photo.places.shape[1])
        for number in range(len(case.whole)):
            boxes = true_boxes(case.photo.places, number + 1)
            found = regions(case.places[number], cut, size)
            real += len(boxes)
            truth += matches([region.box for region in found], boxes)
            rows += [features_of(region, float(case.whole[number])) for region in found]
    hits = np.array(truth, dtype=bool)
    return int(hits.sum()), len(rows), real, np.array(rows, dtype=np.float64).reshape(-1, 3), hits


def features_of(region: Region, whole: float) -> tuple[float, float, float]:
    """What a box's chance is read from, in the order of embedded.box_chance."""
    return region.peak, whole, float(np.log(region.share))


def f1_of(hits: int, found: int, real: int) -> float:
    """Harmonic mean of precision and recall; 0 where there is nothing."""
    return 2 * hits / (found + real) if found + real else 0.0


def logistic(
    rows: NDArray[np.float64], truth: NDArray[np.bool_], ridge: float = 1.0
) -> tuple[float, ...]:
    """Ridge logistic regression by Newton's method: a weight per column of rows, and an offset."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    design = np.hstack([(rows - mean) / spread, np.ones((len(rows), 1))])
    found = np.zeros(rows.shape[1] + 1)
    penalty = np.diag([ridge] * rows.shape[1] + [1e-3])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (chance - truth) + penalty @ found
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        found -= np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    slopes = found[:-1] / spread
    offset = float(found[-1] - slopes @ mean)
    return (*(round(float(v), 4) for v in slopes), round(offset, 4))


def looks_at_checks(
    checks: LoupeVLM, fitted: Fitted, cache: TextCache, photos: Sequence[Photo]
) -> list[tuple[Looked, Check]]:
    """Both looks at every check of photos of stations, asked in the data set's own words."""
    made = []
    for photo in photos:
        pixels = PhotoPixels(photo.pixels, "")
        encoded = overview(checks, pixels, fitted.check_whole)
        for check in photo.checks:
            row = torch.from_numpy(cache.mean([check.text]))
            made.append((look(checks, pixels, encoded, row, fitted.check_side), check))
    return made


def fit_checks(fitted: Fitted, looked: Sequence[tuple[Looked, Check]]) -> None:
    """How much the whole and the near look count, as a calibrated chance that a state is met.

    As if met and unmet states were equally common: how common they are in the data set, where most
    photos were staged to show a deviation, says nothing of a line that runs.
    """
    truth = np.array([check.met for _, check in looked], dtype=bool)
    if len(looked) < FEW or truth.all() or not truth.any():
        return
    rows = np.array([[seen.whole, seen.near] for seen, _ in looked], dtype=np.float64)
    first, near, offset = logistic(rows, truth)
    share = float(truth.mean())
    fitted.check = (first, near, round(offset - float(np.log(share / (1 - share))), 4))


def fit_all(
    networks: Networks,
    photos: Sequence[Photo],
    shape: Shape,
    side: int,
    meaning_side: int,
    outline: OutlineHead | None = None,
) -> tuple[Memory, Fitted]:
    """Fit everything for trained networks."""
    cache = TextCache(load_minilm(EngineSpec("embedded")))
    sizes: dict[str, list[int] | int] = {
        "widths": list(shape.widths), "depths": list(shape.depths), "pyramid": shape.pyramid,
        "checks": int(shape.checks),
    }  # fmt: skip
    fitted = Fitted(shape=sizes, side=side, meaning_side=meaning_side)
    reader = Reader(networks, cache, fitted, outline)
    remembered = [reader.read(p) for p in _sample(photos, "train", 240)]
    held = [reader.read(p) for p in _sample(photos, "holdout", 200)]
    strange = [
        Photo(pixels, "", "unknown", "train")
        for seed in (5, 6)
        for pixels in unknown_pictures(200, 256, photos, seed)
    ]
    real = [case for case in held if not case.photo.drawn]
    drawn = [case for case in held if case.photo.drawn]
    known = known_of([*remembered, *real, *map(reader.read, strange)])
    memory = fit_known(fitted, known, known_of(drawn))
    fit_choices(fitted, reader, real)
    extra = [reader.read(p) for p in _small_domains(photos)]
    made = [
        reader.read(painted(c.photo, number))
        for number, c in enumerate(held)
        if c.photo.domain in ("garment", "grocery") and not c.photo.drawn
    ]
    judged = [c for c in held if c.photo.defective is not None] + extra + made
    fit_whole(fitted, judged)
    fit_boxes(fitted, judged)
    if networks.checks is not None:
        fit_stations(networks.checks, fitted, cache, photos)
    return memory, fitted


def fit_stations(
    checks: LoupeVLM, fitted: Fitted, cache: TextCache, photos: Sequence[Photo]
) -> None:
    """Fit what turns both looks at an instructed state into a chance."""
    stations = [p for p in photos if p.split == "holdout" and p.checks]
    fit_checks(fitted, looks_at_checks(checks, fitted, cache, stations))


def _sample(photos: Sequence[Photo], split: str, at_most: int) -> list[Photo]:
    """Up to so many photos of each domain, real and drawn apart, evenly spread."""
    made: list[Photo] = []
    for name in words.DOMAIN_NAMES:
        for drawn in (False, True):
            pool = [p for p in photos if (p.domain, p.split, p.drawn) == (name, split, drawn)]
            room = at_most // 3 if drawn else at_most
            made += pool[:: max(1, -(-len(pool) // room))]
    return made


def _small_domains(photos: Sequence[Photo]) -> list[Photo]:
    """Where held-out photos are too few to fit on, photos of train help out."""
    made: list[Photo] = []
    for name in ("cookie", "toy", "road"):
        held = sum(p.domain == name and p.split == "holdout" for p in photos)
        if held < 2 * FEW:
            made += [p for p in photos if p.domain == name and p.split == "train"][: 2 * FEW]
    return made


def unknown_pictures(count: int, side: int, photos: Sequence[Photo], seed: int = 99) -> list[Bytes]:
    """Pictures of nothing known, the same ones for the same seed."""
    numbers = np.random.default_rng(seed)
    return [
        nothing_known(side, numbers, [photos[int(numbers.integers(len(photos)))].pixels])
        for _ in range(count)
    ]


def _outline(path: Path) -> OutlineHead | None:
    if not path.is_file():
        return None
    state = load_file(path)
    head = OutlineHead(width=state["enter.weight"].shape[0]).eval().requires_grad_(False)
    head.load_state_dict(state)
    return head


def main() -> None:
    """Command line of the fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    runs = Path("var/training")
    parser.add_argument("--finds", type=Path, default=runs / "vlm_finds/average.safetensors")
    parser.add_argument("--checks", type=Path, default=runs / "vlm_checks/average.safetensors")
    parser.add_argument("--shows", type=Path, default=runs / "vlm_shows/average.safetensors")
    parser.add_argument("--outline", type=Path, default=Path("var/training/outline.safetensors"))
    parser.add_argument("--to", type=Path, default=weights.FOLDER / f"{weights.NAME}.safetensors")
    parser.add_argument("--side", type=int, default=GRID)
    parser.add_argument("--meaning-side", type=int, default=112, help="chosen on holdout")
    parser.add_argument(
        "--only-checks", action="store_true", help="replace the network for stations, and no more"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    photos = vlm_data.load(args.data)
    checks = load_half(load_file(args.checks), replace(SHIPPED, shows=False, finds=False))
    if args.only_checks:
        _replace_checks(args.to, checks, photos)
        return
    outline = _outline(args.outline)
    networks = Networks(
        shows=load_half(load_file(args.shows), replace(SHIPPED, finds=False, checks=False)),
        finds=load_half(load_file(args.finds), replace(SHIPPED, shows=False, checks=False)),
        checks=checks,
    )
    photos += vlm_data.draw(200)
    memory, fitted = fit_all(networks, photos, SHIPPED, args.side, args.meaning_side, outline)
    weights.save(networks, memory, fitted, args.to, outline)
    print(fitted.model_dump_json(indent=1))


def _replace_checks(path: Path, checks: LoupeVLM, photos: Sequence[Photo]) -> None:
    """Put another network for stations into shipped weights; the rest stays as it is."""
    old = weights.load(path)
    shape = {**old.fitted.shape, "checks": 1}
    fitted = old.fitted.model_copy(update={"shape": shape})
    fit_stations(checks, fitted, TextCache(load_minilm(EngineSpec("embedded"))), photos)
    networks = replace(old.networks, checks=checks)
    weights.save(networks, old.memory, fitted, path, old.outline)
    print(f"check: {fitted.check}")


if __name__ == "__main__":
    main()
