"""Train Loupe-VLM from scratch on real photos and drawn ones; resumable, sized by wall time.

    python -m models_runtime.training.vlm --data ../shared/data --minutes 55 --threads 1

Each step takes one domain, so that its photos share the questions asked of them. Checkpoints,
averaged weights (EMA) and a log line per minute go to ``--out``; run again to go on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from models_runtime.contracts import TextEmbedder
from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm_data import Photo
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


LESSONS: tuple[Lesson, ...] = (
    Lesson("garment", False, 48, 0.46),
    Lesson("grocery", False, 40, 0.09),
    Lesson("solar", True, 12, 0.20),
    Lesson("garment", True, 12, 0.07),
    Lesson("wall", True, 12, 0.05),
    Lesson("road", True, 10, 0.03),
    Lesson("cookie", True, 10, 0.03),
    Lesson("toy", True, 10, 0.02),
    Lesson("grocery", True, 12, 0.01),
    Lesson("world", False, 32, 0.04),
)

TINY = Shape((16, 24, 32, 48), (1, 1, 1, 1), 16)
"""For tests: trains in seconds, knows next to nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one run is made of; ``minutes`` is wall time of training itself."""

    minutes: float = 55.0
    rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    ema: float = 0.998
    seed: int = 7
    sizes: tuple[int, ...] = (96, 96, 96, 128, 128, 160)
    """Sizes of views without places as training goes on."""
    place_size: int = 256
    batch_share: float = 1.0


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
        self.pools = _pools(photos)
        self.lessons = [le for le in LESSONS if le.domain in self.pools or le.domain == "world"]
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

    def step(self) -> tuple[str, float]:
        """Train on one batch; return the lesson's name and its loss."""
        began = time.monotonic()
        weights = np.array([lesson.weight for lesson in self.lessons])
        lesson = self.lessons[int(self.numbers.choice(len(weights), p=weights / weights.sum()))]
        loss = self._world(lesson) if lesson.domain == "world" else self._lesson(lesson)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * _schedule(self.progress, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self._follow()
        self.steps += 1
        self.spent += time.monotonic() - began
        return f"{lesson.domain}{'+' if lesson.places else ''}", float(loss.detach())

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

    def _size(self) -> int:
        sizes = self.recipe.sizes
        return sizes[min(len(sizes) - 1, int(self.progress * len(sizes)))]

    def _pick(self, pool: Sequence[Photo], count: int) -> list[Photo]:
        return [pool[int(i)] for i in self.numbers.integers(0, len(pool), count)]

    def _lesson(self, lesson: Lesson) -> Tensor:
        pool = self.pools[lesson.domain]
        photos = self._balanced(pool, self._count(lesson), lesson)
        size = self.recipe.place_size if lesson.places else self._size()
        views = [look(photo, size, self.numbers, gentle=lesson.places) for photo in photos]
        if lesson.places and lesson.domain in ("garment", "grocery"):
            views = [
                view if photo.drawn else paint_on(view, lesson.domain, self.numbers)
                for photo, view in zip(photos, views, strict=True)
            ]
        encoded = self.model(_tensor(views), lesson.places)
        loss = self._choices(encoded, photos, views, lesson.domain)
        loss = loss + 0.25 * self._captions(encoded, [lesson.domain] * len(views))
        loss = loss + 0.3 * self._truths(encoded, photos, views, lesson.domain)
        if lesson.places:
            loss = loss + self._defects(encoded, views, lesson.domain)
        return loss

    def _balanced(self, pool: list[Photo], count: int, lesson: Lesson) -> list[Photo]:
        """Real photos mostly; drawn ones only where places are taught, and a fifth of them."""
        real = [p for p in pool if not p.drawn]
        drawn = [p for p in pool if p.drawn]
        if not drawn or not lesson.places:
            return self._pick(real or pool, count)
        few = max(1, round(count * (0.2 if lesson.domain == "solar" else 0.4)))
        return self._pick(real or pool, count - few) + self._pick(drawn, few)

    def _world(self, lesson: Lesson) -> Tensor:
        """Photos of all domains and of none: which is which?"""
        names = [name for name in self.pools if self.pools[name]]
        count = self._count(lesson)
        size = int(self.numbers.choice([self._size(), 160, 224]))
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
        return self._captions(self.model(_tensor(pixels), False), domains)

    def _choices(
        self, encoded: Encoded, photos: Sequence[Photo], views: Sequence[View], domain: str
    ) -> Tensor:
        """Each question that has answers here, as a plan would put it."""
        total = encoded.meaning.new_zeros(())
        asked = dict.fromkeys(q for photo in photos for q in photo.labels)
        for question in asked:
            given = [photo.labels.get(question) for photo in photos]
            total = total + _QUESTION_WEIGHT.get(question, 0.5) * self._choice(
                encoded, question, given
            )
        state = [None if v.defective is None else _STATE[v.defective] for v in views]
        if domain != "grocery" and any(state):
            total = total + 0.5 * self._choice(encoded, "condition", state)
        if domain != "grocery" and any(view.present for view in views):
            total = total + 0.3 * self._fault(encoded, views, domain)
        return total

    def _fault(self, encoded: Encoded, views: Sequence[View], domain: str) -> Tensor:
        """Which defect is it, or none? Asked of photos with at most one type."""
        types = words.domain(domain).defects
        rows = self.bank.rows([words.SOUND, *types.values()], self.bank.title("fault"))
        target = torch.tensor([_single_fault(view, list(types)) for view in views])
        logits = self.model.read_choice(encoded, rows)
        if not bool((target >= 0).any()):
            return logits.sum() * 0
        return F.cross_entropy(logits, target, label_smoothing=self.recipe.smoothing)

    def _choice(self, encoded: Encoded, question: str, given: Sequence[str | None]) -> Tensor:
        answers = self.questions[question]
        order = {answer: i for i, answer in enumerate(answers)}
        rows = self.bank.rows(answers.values(), self.bank.title(question))
        logits = self.model.read_choice(encoded, rows)
        target = torch.tensor([order[g] if g is not None else -100 for g in given])
        if not bool((target >= 0).any()):
            return logits.sum() * 0
        return F.cross_entropy(logits, target, label_smoothing=self.recipe.smoothing)

    def _captions(self, encoded: Encoded, domains: Sequence[str]) -> Tensor:
        rows = self.bank.rows([*(d.captions for d in words.DOMAINS), words.UNKNOWN])
        names = [*words.DOMAIN_NAMES, ""]
        target = torch.tensor([names.index(name) for name in domains])
        return F.cross_entropy(self.model.read_choice(encoded, rows), target)

    def _truths(
        self, encoded: Encoded, photos: Sequence[Photo], views: Sequence[View], domain: str
    ) -> Tensor:
        """Statements that hold or not: kind of thing, its state, one answer per question."""
        statements: list[Sequence[str]] = [words.domain(domain).captions]
        held: list[list[float]] = [[1.0] * len(photos)]
        other = words.DOMAINS[int(self.numbers.integers(len(words.DOMAINS)))]
        if other.name != domain:
            statements.append(other.captions)
            held.append([0.0] * len(photos))
        for question in dict.fromkeys(q for photo in photos for q in photo.labels):
            answers = self.questions[question]
            asked = "kids" if question == "age" else _any(list(answers), self.numbers)
            statements.append(answers[asked])
            held.append([_held(p.labels.get(question), asked) for p in photos])
        if domain != "grocery":
            state = [v.defective for v in views]
            for phrases, bad in ((words.DEFECTIVE, True), (words.SOUND, False)):
                statements.append(phrases)
                held.append([-1.0 if s is None else float(s is bad) for s in state])
        types = words.domain(domain).defects
        for name in self.numbers.permutation(list(types))[:1]:
            statements.append(types[str(name)])
            held.append([float(v.present.get(str(name), -1)) for v in views])
        target = torch.tensor(held).T
        logits = self.model.read_truth(encoded, self.bank.rows(statements))
        return _known_bce(logits, target)

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


_QUESTION_WEIGHT = {"category": 1.0, "item": 0.7, "group": 0.4, "age": 0.25}
_STATE = {True: "defective", False: "sound"}


def _any(names: list[str], numbers: Numbers) -> str:
    return names[int(numbers.integers(len(names)))]


def _held(answer: str | None, asked: str) -> float:
    return -1.0 if answer is None else float(answer == asked)


def _pools(photos: Sequence[Photo]) -> dict[str, list[Photo]]:
    pools: dict[str, list[Photo]] = {}
    for photo in photos:
        if photo.split == "train":
            pools.setdefault(photo.domain, []).append(photo)
    return pools


def _tensor(views: Sequence[View]) -> Tensor:
    stacked = torch.from_numpy(np.stack([view.pixels for view in views]))
    pixels = stacked.permute(0, 3, 1, 2).float() / 255.0
    return pixels.contiguous(memory_format=torch.channels_last)


def _single_fault(view: View, types: Sequence[str]) -> int:
    """0 for sound, 1 + index of the only defect; -100 where there are several or nobody knows."""
    if view.defective is None:
        return -100
    seen = [i for i, name in enumerate(types) if view.present.get(name)]
    if not view.defective:
        return 0
    return 1 + seen[0] if len(seen) == 1 else -100


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
    sure = torch.from_numpy(np.stack(known))[:, None].float()
    picked = logits[rows]
    chance = picked.sigmoid()
    plain = F.binary_cross_entropy_with_logits(picked, target, reduction="none")
    miss = (target - chance).abs()
    balance = 0.25 + 0.5 * target
    focal = (balance * miss.square() * plain * sure).sum() / (target.sum() + 40.0 * len(rows))
    overlap = 2 * (chance * target * sure).sum((0, 2, 3)) + 10
    size = ((chance + target) * sure).sum((0, 2, 3)) + 10
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
    warm = min(1.0, (steps + 1) / 150)
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
        name, loss = trainer.step()
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
    parser.add_argument("--check-every", type=float, default=360.0, help="seconds")
    parser.add_argument("--toy", action="store_true", help="a tiny network, for trying out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    began = time.monotonic()
    photos = vlm_data.load(args.data, limit=args.limit) + vlm_data.draw(args.drawn)
    recipe = Recipe(minutes=args.minutes)
    embedder = load_minilm(EngineSpec("embedded"))
    trainer = Trainer(photos, embedder, recipe, TINY if args.toy else Shape())
    resumed = trainer.resume(args.out)
    _say(f"{len(photos)} photos in {time.monotonic() - began:.0f} s, resumed: {resumed}")
    from models_runtime.training.vlm_checks import quick_check

    run(trainer, args.out, _say, quick_check(photos, embedder), args.check_every)


def _say(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    main()
