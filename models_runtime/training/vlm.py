"""Train Loupe-VLM from scratch on real photos and drawn ones; resumable, sized by time.

    python -m models_runtime.training.vlm --data ../shared/data --minutes 55 --threads 1

A batch holds photos of one domain, so that they share the questions asked of them. Checkpoints
and averaged weights (EMA) go to ``--out``, a log line per minute to the screen; run again to go
on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from models_runtime.contracts import TextEmbedder
from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm_data import Photo
from models_runtime.training.vlm_stations import (
    THINGS,
    StationView,
    check_loss,
    look_at,
    phrasings,
    thing_loss,
)
from models_runtime.training.vlm_texts import TextBank, foreign_defects, questions, warm_up
from models_runtime.training.vlm_views import View, cell_targets, look, nothing_known, paint_on
from models_runtime.vlm import words
from models_runtime.vlm.model import Encoded, LoupeVLM, Shape

Numbers = np.random.Generator


@dataclass(frozen=True, slots=True)
class Lesson:
    """A kind of step: photos of one domain, whether places are taught, how often it comes."""

    domain: str
    places: bool
    batch: int
    weight: float


LESSONS: dict[str, tuple[Lesson, ...]] = {
    "meaning": (
        Lesson("garment", False, 32, 0.84),
        Lesson("grocery", False, 32, 0.16),
    ),
    "places": (
        Lesson("solar", True, 8, 0.50),
        Lesson("garment", True, 8, 0.14),
        Lesson("wall", True, 8, 0.12),
        Lesson("road", True, 8, 0.07),
        Lesson("cookie", True, 8, 0.09),
        Lesson("toy", True, 8, 0.05),
        Lesson("grocery", True, 8, 0.03),
    ),
    "checks": (Lesson("station", True, 12, 1.0),),
    "world": (Lesson("world", False, 16, 1.0),),
}
"""A step adds up the gradients of a lesson of each group (those below one now and then): a step
of one domain alone would pull the heads towards it, and the next step back."""

STATION_SIZES = (160, 192, 256)
GROUP_SHARE = {"meaning": 1.0, "places": 0.5, "checks": 0.25, "world": 0.2}
TEACH: dict[str, tuple[dict[str, float], float]] = {
    "both": (GROUP_SHARE, 0.0),
    "shows": ({"meaning": 1.0, "world": 0.25}, 0.4),
    "finds": ({"places": 1.0, "checks": 0.7}, 0.0),
    "checks": ({"checks": 1.0}, 0.0),
}
"""What a run teaches, as ``Recipe.groups`` and ``Recipe.mix``. The shipped networks began as one
that learned both, and then each went on with its own."""
GROUP_WEIGHT = {"meaning": 1.0, "places": 0.25, "checks": 0.5, "world": 0.5}
SHIPPED = Shape(checks=True)
TINY = Shape((16, 24, 32, 48), (1, 1, 1, 1), 16, checks=True)
"""For tests: trains in seconds, knows next to nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one run is made of; ``minutes`` of processor time per thread, whatever else runs."""

    minutes: float = 55.0
    rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    ema: float = 0.996
    seed: int = 7
    sizes: tuple[int, ...] = (96, 96, 96, 112, 128, 128)
    """Sizes of views without places as training goes on."""
    place_sizes: tuple[int, ...] = (192, 224, 224, 256)
    """Sizes of views in which places are taught."""
    batch_share: float = 1.0
    groups: Mapping[str, float] = field(default_factory=lambda: dict(GROUP_SHARE))
    """Groups of lessons, and in which share of the steps each has its turn."""
    mix: float = 0.0
    """Views without places are mixed in pairs (mixup, Zhang et al. 2018) by Beta(mix, mix)."""


class Trainer:
    """The state of a run and one step of it."""

    def __init__(
        self, photos: Sequence[Photo], embedder: TextEmbedder, recipe: Recipe, shape: Shape
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.numbers = np.random.default_rng(recipe.seed)
        self.bank = TextBank(embedder, self.numbers)
        self.questions = questions(photos)
        warm_up(self.bank, self.questions)
        checks = {check.text for photo in photos for check in photo.checks}
        self.bank.add(phrase for text in sorted(checks) for phrase in phrasings(text))
        self.pools = _pools(photos)
        self.lessons = {
            group: [le for le in lessons if le.domain in self.pools or le.domain == "world"]
            for group, lessons in LESSONS.items()
        }
        self.model = LoupeVLM(shape).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = LoupeVLM(shape).eval().requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.optimizer = _optimizer(self.model, recipe)
        self.spent = 0.0
        self.steps = 0
        self.seen = 0

    @property
    def progress(self) -> float:
        return min(1.0, self.spent / (60.0 * self.recipe.minutes))

    def step(self) -> dict[str, float]:
        """Train on one batch of each group; return the losses by lesson."""
        began = _clock()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * _schedule(self.progress, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        losses = {}
        for name, lessons in self.lessons.items():
            if not lessons or self.numbers.random() >= self.recipe.groups.get(name, 0.0):
                continue
            weights = np.array([lesson.weight for lesson in lessons])
            pick = int(self.numbers.choice(len(weights), p=weights / weights.sum()))
            lesson = lessons[pick]
            loss = self._taught(lesson)
            (GROUP_WEIGHT[name] * loss).backward()  # type: ignore[no-untyped-call]
            losses[f"{lesson.domain}{'+' if lesson.places else ''}"] = float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self._follow()
        self.steps += 1
        self.spent += _clock() - began
        return losses

    def _taught(self, lesson: Lesson) -> Tensor:
        if lesson.domain == "world":
            return self._world(lesson)
        return self._checks(lesson) if lesson.domain == "station" else self._lesson(lesson)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights a little towards the current ones."""
        keep = min(self.recipe.ema, (1 + self.steps) / (10 + self.steps))
        for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)

    def _count(self, lesson: Lesson) -> int:
        count = max(2, round(lesson.batch * self.recipe.batch_share))
        self.seen += count
        return count

    def _size(self, places: bool = False) -> int:
        sizes = self.recipe.place_sizes if places else self.recipe.sizes
        return sizes[min(len(sizes) - 1, int(self.progress * len(sizes)))]

    def _pick(self, pool: Sequence[Photo], count: int) -> list[Photo]:
        return [pool[int(i)] for i in self.numbers.integers(0, len(pool), count)]

    def _lesson(self, lesson: Lesson) -> Tensor:
        pool = self.pools[lesson.domain]
        photos = self._balanced(pool, self._count(lesson), lesson)
        size = self._size(lesson.places)
        views = [look(photo, size, self.numbers, gentle=lesson.places) for photo in photos]
        if lesson.places and lesson.domain in ("garment", "grocery"):
            views = [
                view if photo.drawn else paint_on(view, lesson.domain, self.numbers)
                for photo, view in zip(photos, views, strict=True)
            ]
        pixels = _tensor(views)
        if lesson.places:
            return self._defects(self.model(pixels, meaning=False), views, lesson.domain)
        return self._mixed(pixels, photos)

    def _mixed(self, pixels: Tensor, photos: Sequence[Photo]) -> Tensor:
        """What is shown, of views as they are or mixed in pairs."""
        mix = self.recipe.mix
        share = float(self.numbers.beta(mix, mix)) if mix else 1.0
        order = self.numbers.permutation(len(photos))
        if share < 1:
            pixels = share * pixels + (1 - share) * pixels[torch.from_numpy(order)]
        encoded = self.model(pixels, places=False)
        loss = share * self._shown(encoded, photos)
        if share < 1:
            loss = loss + (1 - share) * self._shown(encoded, [photos[int(i)] for i in order])
        return loss

    def _shown(self, encoded: Encoded, photos: Sequence[Photo]) -> Tensor:
        return self._choices(encoded, photos) + 0.3 * self._truths(encoded, photos)

    def _balanced(self, pool: list[Photo], count: int, lesson: Lesson) -> list[Photo]:
        """Real photos mostly; drawn ones only where places are taught, and a fifth of them."""
        real = [p for p in pool if not p.drawn]
        drawn = [p for p in pool if p.drawn]
        if not drawn or not lesson.places:
            return self._pick(real or pool, count)
        few = max(1, round(count * (0.2 if lesson.domain == "solar" else 0.4)))
        return self._pick(real or pool, count - few) + self._pick(drawn, few)

    def _checks(self, lesson: Lesson) -> Tensor:
        """Is the instructed state met, where is that seen, and which things are there?"""
        size = STATION_SIZES[int(self.numbers.integers(len(STATION_SIZES)))]
        count = max(4, round(self._count(lesson) * (192 / size) ** 2))
        photos = self._pick(self.pools["station"], count)
        views = [look_at(photo, size, self.numbers) for photo in photos]
        encoded = self.model(_tensor(views), meaning=False)
        texts = self.bank.rows([[_phrase(view.check.text, self.numbers)] for view in views])
        state, where = self.model.checks(encoded.coarse, texts)
        things = self.model.read_places(encoded, self.bank.rows(THINGS.values()))
        return check_loss(state, where, views) + 0.5 * thing_loss(things, views)

    def _world(self, lesson: Lesson) -> Tensor:
        """Photos of all domains and of none: which is which?"""
        names = [name for name in self.pools if self.pools[name]]
        count = self._count(lesson)
        size = int(self.numbers.choice([96, 128, 160]))
        count = max(4, round(count * min(1.0, (128 / size) ** 2)))
        pixels, domains = [], []
        for number in range(count):
            pool = self.pools[names[int(self.numbers.integers(len(names)))]]
            photo = self._pick(pool, 1)[0]
            if number % 3 == 0:
                view = nothing_known(size, self.numbers, [photo.pixels])
                pixels.append(View(view, None, {}, None))
                domains.append("")
            else:
                pixels.append(look(photo, size, self.numbers))
                domains.append(photo.domain)
        encoded = self.model(_tensor(pixels), places=False)
        return self._captions(encoded, domains) + 0.5 * self._kinds(encoded, domains)

    def _choices(self, encoded: Encoded, photos: Sequence[Photo]) -> Tensor:
        """Each question that has answers here, as a plan would put it."""
        total = encoded.meaning.new_zeros(())
        for question in dict.fromkeys(q for photo in photos for q in photo.labels):
            given = [photo.labels.get(question) for photo in photos]
            weight = _QUESTION_WEIGHT.get(question, 0.5)
            total = total + weight * self._choice(encoded, question, given)
        return total

    def _choice(self, encoded: Encoded, question: str, given: Sequence[str | None]) -> Tensor:
        answers = self.questions[question]
        order = {answer: i for i, answer in enumerate(answers)}
        rows = self.bank.rows(answers.values(), self.bank.title(question))
        logits = self.model.read_choice(encoded, rows)
        target = torch.tensor([order[g] if g is not None else -100 for g in given])
        if not bool((target >= 0).any()):
            return encoded.meaning.new_zeros(())
        loss: Tensor = F.cross_entropy(logits, target, label_smoothing=self.recipe.smoothing)
        return loss

    def _captions(self, encoded: Encoded, domains: Sequence[str]) -> Tensor:
        rows = self.bank.rows([*(d.captions for d in words.DOMAINS), words.UNKNOWN])
        names = [*words.DOMAIN_NAMES, ""]
        target = torch.tensor([names.index(name) for name in domains])
        loss: Tensor = F.cross_entropy(self.model.read_choice(encoded, rows), target)
        return loss

    def _kinds(self, encoded: Encoded, domains: Sequence[str]) -> Tensor:
        """The same as statements that hold or not."""
        rows = self.bank.rows(domain.captions for domain in words.DOMAINS)
        target = torch.tensor([[float(n == d) for n in words.DOMAIN_NAMES] for d in domains])
        return _known_bce(self.model.read_truth(encoded, rows), target)

    def _truths(self, encoded: Encoded, photos: Sequence[Photo]) -> Tensor:
        """One answer of each question put as a statement that holds or not."""
        statements: list[Sequence[str]] = []
        held: list[list[float]] = []
        for question in dict.fromkeys(q for photo in photos for q in photo.labels):
            answers = self.questions[question]
            asked = "kids" if question == "age" else _any(list(answers), self.numbers)
            statements.append(answers[asked])
            held.append([_held(p.labels.get(question), asked) for p in photos])
        if not statements:
            return encoded.meaning.new_zeros(())
        logits = self.model.read_truth(encoded, self.bank.rows(statements))
        return _known_bce(logits, torch.tensor(held).T)

    def _defects(self, encoded: Encoded, views: Sequence[View], domain: str) -> Tensor:
        """Where is what: per place, per photo, and whether there is anything at all."""
        types = words.domain(domain).defects
        foreign = foreign_defects(domain)
        extra = [foreign[int(i)] for i in self.numbers.integers(0, len(foreign), 2)]
        rows = self.bank.rows([*types.values(), words.ANY_DEFECT, *extra])
        places = self.model.read_places(encoded, rows)
        whole = self.model.read_defects(encoded, rows, places)
        located = _place_loss(places, views, len(types))
        target = torch.tensor([_whole_target(view, list(types), len(extra)) for view in views])
        anything = torch.logsumexp(whole[:, : len(types)], dim=1, keepdim=True)
        return (
            located
            + _known_bce(whole, target)
            + _known_bce(anything, target[:, len(types) : len(types) + 1])
        )

    def save(self, folder: Path) -> None:
        """Write all that is needed to go on, and the averaged weights."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "spent": self.spent,
            "steps": self.steps,
            "seen": self.seen,
            "numbers": json.dumps(self.numbers.bit_generator.state),
        }
        torch.save(state, folder / "new.pt")
        (folder / "new.pt").replace(folder / "last.pt")
        save_file(self.average.state_dict(), folder / "average.safetensors")

    def start_from(self, trained: Path) -> None:
        """Begin with the averaged weights of another run, or with one half of shipped ones.

        Parts that the file has none of (the other half, a new head) begin anew.
        """
        tensors = load_file(trained)
        unknown = self.model.load_state_dict(tensors, strict=False).unexpected_keys
        if unknown:
            raise ValueError(f"{trained} is not of this network: {unknown[0]}")
        self.average.load_state_dict(self.model.state_dict())

    def resume(self, folder: Path) -> bool:
        """Go on where a run in this folder stopped; False where there is none."""
        if not (folder / "last.pt").exists():
            return False
        state = torch.load(folder / "last.pt", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.spent, self.steps, self.seen = state["spent"], state["steps"], state["seen"]
        self.numbers.bit_generator.state = json.loads(state["numbers"])
        return True


def _clock() -> float:
    return time.process_time() / torch.get_num_threads()


_QUESTION_WEIGHT = {"category": 1.0, "item": 0.7, "group": 0.4, "age": 0.25}


def _any(names: list[str], numbers: Numbers) -> str:
    return names[int(numbers.integers(len(names)))]


def _phrase(text: str, numbers: Numbers) -> str:
    return _any(list(phrasings(text)), numbers)


def _held(answer: str | None, asked: str) -> float:
    return -1.0 if answer is None else float(answer == asked)


def _pools(photos: Sequence[Photo]) -> dict[str, list[Photo]]:
    pools: dict[str, list[Photo]] = {}
    for photo in photos:
        if photo.split == "train":
            pools.setdefault(photo.domain, []).append(photo)
    return pools


def _tensor(views: Sequence[View] | Sequence[StationView]) -> Tensor:
    stacked = torch.from_numpy(np.stack([view.pixels for view in views]))
    pixels = stacked.permute(0, 3, 1, 2).float() / 255.0
    return pixels.contiguous(memory_format=torch.channels_last)


def _known_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy over targets 0 and 1; -1 means nobody knows."""
    known = (target >= 0).float()
    loss = F.binary_cross_entropy_with_logits(logits, target.clamp(min=0), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def _whole_target(view: View, types: Sequence[str], foreign: int) -> list[float]:
    own = [float(view.present[t]) if t in view.present else -1.0 for t in types]
    anything = -1.0 if view.defective is None else float(view.defective)
    return [*own, anything, *[0.0] * foreign]


def _place_loss(logits: Tensor, views: Sequence[View], types: int) -> Tensor:
    """Focal loss (Lin et al. 2017) plus dice over the views whose places are known.

    ``logits`` (n, types + 1 + foreign, h, w): own types, then anything, then what is never there.
    """
    rows, targets, known = [], [], []
    for number, view in enumerate(views):
        if view.places is None:
            continue
        own, sure = cell_targets(view.places, types)
        rest = logits.shape[1] - types - 1
        nowhere = np.zeros((rest, *own.shape[1:]), np.float32)
        rows.append(number)
        targets.append(np.concatenate([own, own.max(0, keepdims=True), nowhere]))
        known.append(sure)
    if not rows:
        return logits.sum() * 0
    target = torch.from_numpy(np.stack(targets))
    certain = torch.from_numpy(np.stack(known))[:, None].float()
    picked = logits[rows]
    chance = picked.sigmoid()
    plain = F.binary_cross_entropy_with_logits(picked, target, reduction="none")
    miss = (target - chance).abs()
    balance = 0.25 + 0.5 * target
    focal = (balance * miss.square() * plain * certain).sum() / (target.sum() + 40.0 * len(rows))
    overlap = 2 * (chance * target * certain).sum((0, 2, 3)) + 10
    size = ((chance + target) * certain).sum((0, 2, 3)) + 10
    there = (target.sum((0, 2, 3)) > 0).float()
    dice = ((1 - overlap / size) * there).sum() / there.sum().clamp(min=1)
    return 4.0 * focal + 0.5 * dice


def _optimizer(model: LoupeVLM, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate)


def _schedule(progress: float, steps: int) -> float:
    warm = min(1.0, (steps + 1) / 80)
    return warm * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * progress))))


def run(
    trainer: Trainer,
    out: Path,
    say: Callable[[str], None],
    check: Callable[[LoupeVLM], Mapping[str, float]] | None = None,
    check_every: float = 360.0,
) -> None:
    """Train until the minutes are spent, saving every three and checking now and then."""
    said, saved, checked = trainer.spent, trainer.spent, trainer.spent
    losses: dict[str, list[float]] = {}
    while trainer.progress < 1.0:
        for name, loss in trainer.step().items():
            losses.setdefault(name, []).append(loss)
        if trainer.spent - said > 60:
            told = " ".join(f"{k}={np.mean(v):.3f}" for k, v in sorted(losses.items()))
            say(f"{trainer.spent / 60:.1f} min {trainer.steps} steps {trainer.seen} seen {told}")
            said, losses = trainer.spent, {}
        if trainer.spent - saved > 180:
            trainer.save(out)
            saved = trainer.spent
        if check is not None and trainer.spent - checked > check_every:
            figures = " ".join(f"{k}={v:.3f}" for k, v in check(trainer.average).items())
            say(f"val {figures}")
            checked = trainer.spent
    trainer.save(out)


def main() -> None:
    """Command line of the training run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("var/training/vlm"))
    parser.add_argument("--minutes", type=float, default=55.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drawn", type=int, default=500, help="drawn photos of each kind")
    parser.add_argument("--limit", type=int, default=None, help="photos per data set")
    parser.add_argument("--start", type=Path, help="weights of an earlier run to begin with")
    parser.add_argument("--teach", choices=list(TEACH), default="both")
    parser.add_argument("--rate", type=float, default=Recipe().rate, help="learning rate")
    parser.add_argument("--sizes", type=_sizes, default=Recipe().sizes, help="112,128: of views")
    parser.add_argument("--place-sizes", type=_sizes, default=Recipe().place_sizes)
    parser.add_argument("--check-every", type=float, default=360.0, help="seconds")
    parser.add_argument("--toy", action="store_true", help="a tiny network, for trying out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    began = time.monotonic()
    photos = vlm_data.load(args.data, limit=args.limit) + vlm_data.draw(args.drawn)
    groups, mix = TEACH[args.teach]
    recipe = Recipe(
        minutes=args.minutes,
        rate=args.rate,
        sizes=args.sizes,
        place_sizes=args.place_sizes,
        groups=groups,
        mix=mix,
    )
    embedder = load_minilm(EngineSpec("embedded"))
    trainer = Trainer(photos, embedder, recipe, TINY if args.toy else SHIPPED)
    resumed = trainer.resume(args.out)
    if args.start and not resumed:
        trainer.start_from(args.start)
    _say(f"{len(photos)} photos in {time.monotonic() - began:.0f} s, resumed: {resumed}")
    from models_runtime.training.vlm_checks import quick_check

    run(trainer, args.out, _say, quick_check(photos, embedder), args.check_every)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _say(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    main()
