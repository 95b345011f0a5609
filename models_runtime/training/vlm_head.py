"""Second stage: train the head for what a photo shows, on a frozen network plus outlines.

    python -m models_runtime.training.vlm_head --data ../shared/data \\
        --trained var/training/vlm/average.safetensors

Features of each train photo are computed once, for a few views; the head then learns from them in
minutes what would take the whole network hours. Writes ``with_head.safetensors`` beside them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models_runtime.contracts import TextEmbedder
from models_runtime.mlm.minilm import load as load_minilm
from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm import Recipe, Trainer
from models_runtime.training.vlm_data import Bytes, Photo
from models_runtime.training.vlm_views import look, nothing_known
from models_runtime.vlm.embedded import resize
from models_runtime.vlm.model import Encoded, LoupeVLM, Shape

SIDE = 128
MIRRORED = ("garment", "grocery")
"""Domains with questions: every photo plain and mirrored. Others: up to MOST, plain and varied."""
MIX = 0.8
"""Mixup (Zhang et al. 2018) of features, Beta(MIX, MIX), against learning by heart."""
UNKNOWN = 400
MOST = 250
"""Photos per domain that has no questions of its own."""


@dataclass(frozen=True, slots=True)
class Features:
    """Inputs of the head for all views, and the photo each view shows (None: nothing known)."""

    rows: Tensor
    photos: list[Photo | None]


def views_of(
    photos: Sequence[Photo], numbers: np.random.Generator
) -> list[tuple[Photo | None, Bytes]]:
    """Plain and varied views of all that training may see, and pictures of nothing known."""
    train = [p for p in photos if p.split == "train"]
    made: list[tuple[Photo | None, Bytes]] = []
    counts: dict[str, int] = {}
    for photo in train:
        counts[photo.domain] = counts.get(photo.domain, 0) + 1
        asked = photo.domain in MIRRORED and not photo.drawn
        if not asked and counts[photo.domain] > MOST and not photo.drawn:
            continue
        plain = resize(photo.pixels, SIDE)
        other = plain[:, ::-1] if asked else look(photo, SIDE, numbers).pixels
        made += [(photo, plain), (photo, np.ascontiguousarray(other))]
    for _ in range(UNKNOWN):
        some = train[int(numbers.integers(len(train)))]
        made.append((None, nothing_known(SIDE, numbers, [some.pixels])))
    return made


@torch.inference_mode()
def features(model: LoupeVLM, views: Sequence[tuple[Photo | None, Bytes]]) -> Features:
    """Run the frozen network and the outlines over all views."""
    rows = []
    assert model.outlines is not None
    for start in range(0, len(views), 32):
        batch = np.stack([pixels for _, pixels in views[start : start + 32]])
        pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255.0
        pooled = model(pixels, meaning=False, places=False).pooled
        rows.append(torch.cat([pooled, model.outlines(pixels)], 1))
    return Features(torch.cat(rows), [photo for photo, _ in views])


class HeadTrainer:
    """Trains only ``meaning`` and the scales of reading it, on features made before."""

    def __init__(
        self, model: LoupeVLM, seen: Features, photos: Sequence[Photo], embedder: TextEmbedder
    ) -> None:
        self.lessons = Trainer(photos, embedder, Recipe(smoothing=0.0), Shape())
        self.lessons.model = model
        self.model, self.seen = model, seen
        self.groups = {
            name: [i for i, p in enumerate(seen.photos) if p and p.domain == name]
            for name in ("garment", "grocery")
        }

    def train(self, steps: int, rate: float = 1.5e-3) -> list[float]:
        """Return the loss of every step."""
        self.model.requires_grad_(False)
        wanted = [*self.model.meaning.parameters(), *self._scales()]
        for parameter in wanted:
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(wanted, lr=rate, weight_decay=0.05)
        self.model.meaning.train()
        losses = []
        for step in range(steps):
            fade = 0.5 * (1 + float(np.cos(np.pi * step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.01 + 0.99 * fade)
            loss = self._loss()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        self.model.meaning.eval()
        return losses

    def _scales(self) -> list[torch.nn.Parameter]:
        return [self.model.choice_scale, self.model.truth_scale, self.model.truth_bias]

    def _loss(self) -> Tensor:
        numbers = self.lessons.numbers
        total = torch.zeros(())
        for name, count, weight in (("garment", 256, 1.0), ("grocery", 96, 0.4)):
            if not self.groups[name]:
                continue
            picks = [int(i) for i in numbers.choice(self.groups[name], count)]
            order = numbers.permutation(count)
            share = float(numbers.beta(MIX, MIX))
            encoded = self._encoded(picks, [picks[int(i)] for i in order], share)
            photos = [p for i in picks if (p := self.seen.photos[i]) is not None]
            others = [photos[int(i)] for i in order]
            for some, part in ((photos, share), (others, 1 - share)):
                asked = self.lessons._choices(encoded, some)
                total = total + weight * part * (asked + 0.3 * self.lessons._truths(encoded, some))
        picks = [int(i) for i in self._mixed(96)]
        domains = [p.domain if (p := self.seen.photos[i]) is not None else "" for i in picks]
        encoded = self._encoded(picks, picks, 1.0)
        captions = self.lessons._captions(encoded, domains)
        return total + 0.5 * captions + 0.25 * self.lessons._kinds(encoded, domains)

    def _mixed(self, count: int) -> list[int]:
        """As many of each domain, and of nothing known."""
        names = [p.domain if p else "" for p in self.seen.photos]
        order = sorted(set(names))
        by_name = {name: [i for i, n in enumerate(names) if n == name] for name in order}
        numbers = self.lessons.numbers
        picks = [by_name[order[int(k)]] for k in numbers.integers(0, len(order), count)]
        return [pool[int(numbers.integers(len(pool)))] for pool in picks]

    def _encoded(self, picks: Sequence[int], others: Sequence[int], share: float) -> Encoded:
        """Meanings of views mixed with others, ``share`` of the first."""
        beside, rest = self.model.meaning[0], self.model.meaning[1:]
        rows = beside(self.seen.rows[list(picks)])
        if share < 1:
            rows = share * rows + (1 - share) * beside(self.seen.rows[list(others)])
        nothing = torch.zeros(0)
        meaning = torch.nn.functional.normalize(rest(rows), dim=1)
        return Encoded(meaning, nothing, nothing, nothing, nothing)


def with_outlines(trained: Path) -> LoupeVLM:
    """The trained network with a fresh head that also takes outlines."""
    tensors = load_file(trained)
    model = LoupeVLM(replace(Shape(), outlines=True)).eval()
    kept = {k: v for k, v in tensors.items() if not k.startswith("meaning.")}
    missing = model.load_state_dict(kept, strict=False).missing_keys
    assert all(name.startswith("meaning.") for name in missing)
    return model


def main() -> None:
    """Command line of the second stage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--trained", type=Path, default=Path("var/training/vlm/average.safetensors")
    )
    parser.add_argument("--drawn", type=int, default=200)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--limit", type=int, default=None, help="photos per data set")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(7)
    began = time.monotonic()
    photos = vlm_data.load(args.data, limit=args.limit) + vlm_data.draw(args.drawn)
    model = with_outlines(args.trained)
    seen = features(model, views_of(photos, np.random.default_rng(7)))
    print(f"{len(seen.photos)} views in {time.monotonic() - began:.0f} s", flush=True)
    trainer = HeadTrainer(model, seen, photos, load_minilm(EngineSpec("embedded")))
    losses = trainer.train(args.steps)
    print(" ".join(f"{np.mean(losses[i : i + 100]):.3f}" for i in range(0, len(losses), 100)))
    save_file(model.state_dict(), args.trained.with_name("with_head.safetensors"))
    print(f"done in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
