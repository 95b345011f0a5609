"""Train the outline head of Loupe-VLM: outlines and colours of a photo to the MLM's text space.

    python -m models_runtime.training.vlm_outline --data ../shared/data

About twenty minutes of one core. ``vlm_fit`` puts the head into the
shipped weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm_data import Photo
from models_runtime.training.vlm_texts import TextBank, questions, warm_up
from models_runtime.training.vlm_views import look, nothing_known
from models_runtime.vlm import words
from models_runtime.vlm.looks import outlined
from models_runtime.vlm.outline import OutlineHead, describe

OUT = Path("var/training/outline.safetensors")
VIEW_SIDE = 128
VIEWS = {"garment": 10, "grocery": 4}
"""Views described of each photo, the whole one first; of other domains ``FEW_VIEWS``."""
FEW_VIEWS = 2
UNKNOWN_VIEWS = 1500
DOMAIN_SHARE = {"garment": 0.5, "grocery": 0.2}
"""Part of a batch; the rest is shared by the other domains and by pictures of nothing known."""
QUESTION_WEIGHT = {"category": 1.0, "item": 0.5, "group": 0.4, "age": 0.25}
SCALE = 20.0
"""Cosine to logit, as the network's ``choice_scale`` begins."""


@dataclass(frozen=True, slots=True)
class Table:
    """Described views: half-precision rows, the photo of each, and its share of a batch."""

    rows: NDArray[np.float16]
    photos: list[Photo | None]
    chance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """``mix``: descriptors are mixed in pairs (mixup, Zhang et al. 2018) by Beta(mix, mix), against
    learning a few thousand photos by heart."""

    epochs: int = 25
    batch: int = 256
    rate: float = 1.5e-3
    weight_decay: float = 0.1
    smoothing: float = 0.0
    mix: float = 0.8
    seed: int = 11


def describe_views(photos: Sequence[Photo], numbers: np.random.Generator) -> Table:
    """Describe several views of each photo of train, and pictures of nothing known."""
    rows: list[NDArray[np.float16]] = []
    owners: list[Photo | None] = []
    for photo in photos:
        for number in range(VIEWS.get(photo.domain, FEW_VIEWS)):
            pixels = photo.pixels if number == 0 else look(photo, VIEW_SIDE, numbers).pixels
            rows.append(describe(pixels).astype(np.float16))
            owners.append(photo)
    for _ in range(min(UNKNOWN_VIEWS, len(rows) // 8)):
        known = photos[int(numbers.integers(len(photos)))].pixels
        rows.append(describe(nothing_known(VIEW_SIDE, numbers, [known])).astype(np.float16))
        owners.append(None)
    return Table(np.stack(rows), owners, _chances(owners))


def _chances(owners: Sequence[Photo | None]) -> NDArray[np.float64]:
    domains = [photo.domain if photo else "" for photo in owners]
    counts = {name: domains.count(name) for name in set(domains)}
    others = max(1, len(set(counts) - set(DOMAIN_SHARE)))
    rest = (1 - sum(DOMAIN_SHARE.values())) / others
    chance = np.array([DOMAIN_SHARE.get(name, rest) / counts[name] for name in domains])
    return np.asarray(chance / chance.sum())


class Trainer:
    """The head, its optimiser, and the texts it learns to speak of."""

    def __init__(self, table: Table, bank: TextBank, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.table, self.bank, self.recipe = table, bank, recipe
        self.numbers = np.random.default_rng(recipe.seed)
        self.questions = questions([photo for photo in table.photos if photo])
        warm_up(bank, self.questions)
        self.head = OutlineHead()
        sample = table.rows[:: max(1, len(table.rows) // 4000)].astype(np.float32)
        self.head.mean.copy_(torch.from_numpy(sample.mean(0)))
        self.head.spread.copy_(torch.from_numpy(sample.std(0) + 0.02))
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay
        )
        self.steps = recipe.epochs * len(table.rows) // recipe.batch

    def run(self) -> None:
        self.head.train()
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.recipe.rate, total_steps=self.steps + 1, pct_start=0.1
        )
        said = time.monotonic()
        for step in range(self.steps):
            loss = self.step()
            schedule.step()
            if time.monotonic() - said > 20 or step == self.steps - 1:
                print(f"step {step + 1}/{self.steps} loss {loss:.3f}", flush=True)
                said = time.monotonic()
        self.head.eval()

    def step(self) -> float:
        picks = self.numbers.choice(len(self.table.rows), self.recipe.batch, p=self.table.chance)
        order = self.numbers.permutation(len(picks))
        share = float(self.numbers.beta(self.recipe.mix, self.recipe.mix))
        rows = torch.from_numpy(self.table.rows[picks].astype(np.float32))
        meaning = self.head(share * rows + (1 - share) * rows[torch.from_numpy(order)])
        photos = [self.table.photos[int(i)] for i in picks]
        others = [photos[int(i)] for i in order]
        loss = share * self._loss(meaning, photos) + (1 - share) * self._loss(meaning, others)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, meaning: Tensor, photos: Sequence[Photo | None]) -> Tensor:
        return self._kinds(meaning, photos) + self._answers(meaning, photos)

    def _kinds(self, meaning: Tensor, photos: Sequence[Photo | None]) -> Tensor:
        """Which domain, or none of them."""
        rows = self.bank.rows([*(d.captions for d in words.DOMAINS), words.UNKNOWN])
        names = [*words.DOMAIN_NAMES, ""]
        target = torch.tensor([names.index(p.domain if p else "") for p in photos])
        loss: Tensor = F.cross_entropy(SCALE * meaning @ rows.T, target)
        return 0.5 * loss

    def _answers(self, meaning: Tensor, photos: Sequence[Photo | None]) -> Tensor:
        """Each question among the photos that have an answer."""
        total = meaning.new_zeros(())
        for question, answers in self.questions.items():
            given = [photo.labels.get(question) if photo else None for photo in photos]
            known = [i for i, answer in enumerate(given) if answer is not None]
            if not known:
                continue
            order = list(answers)
            target = torch.tensor([order.index(str(given[i])) for i in known])
            rows = self.bank.rows(answers.values(), self.bank.title(question))
            loss = F.cross_entropy(
                SCALE * meaning[known] @ rows.T, target, label_smoothing=self.recipe.smoothing
            )
            total = total + QUESTION_WEIGHT.get(question, 0.5) * loss
        return total


@torch.inference_mode()
def accuracy(head: OutlineHead, bank: TextBank, photos: Sequence[Photo], question: str) -> float:
    """Share of photos whose answer, in plain words, comes first."""
    asked = [photo for photo in photos if question in photo.labels]
    answers = list(questions(photos)[question])
    rows = torch.from_numpy(np.stack([bank.vector([answer]) for answer in answers]))
    if not asked:
        return float("nan")
    meaning = outlined(head, [photo.pixels for photo in asked])
    best = (meaning @ rows.T).argmax(1).tolist()
    right = [answers[i] == p.labels[question] for i, p in zip(best, asked, strict=True)]
    return float(np.mean(right))


def main() -> None:
    """Command line of the training run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--limit", type=int, default=None, help="photos per data set")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    photos = vlm_data.load(args.data, limit=args.limit) + vlm_data.draw(100)
    recipe = Recipe(epochs=args.epochs)
    numbers = np.random.default_rng(recipe.seed)
    train = [photo for photo in photos if photo.split == "train"]
    table = describe_views(train, numbers)
    print(f"{len(table.rows)} views described", flush=True)
    bank = TextBank(load_minilm(EngineSpec("embedded")), numbers)
    trainer = Trainer(table, bank, recipe)
    trainer.run()
    for split in ("holdout", "val"):
        some = [photo for photo in photos if photo.split == split]
        for question in ("category", "group"):
            print(f"{split} {question} {accuracy(trainer.head, bank, some, question):.3f}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in trainer.head.state_dict().items()}, args.out)


if __name__ == "__main__":
    main()
