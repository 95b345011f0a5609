"""Train Loupe-SAM: ``python -m models_runtime.training.sam --data DIR --stages 192:22,320:14``.

Losses as in the SAM paper: focal and dice on the best of three masks, and regression of their IoU.
Three changes. The focal term is divided by the object's size instead of the photo's, since a
nucleus is a thousandth of its photo. The other two masks count a little, so that none goes astray.
And beside the prompts a layer that is thrown away afterwards reads kinds of objects and their edges
from the embedding: with few photos, prompts alone teach the encoder too slowly.

Stop it at any time; ``--resume`` goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from models_runtime.sam import model
from models_runtime.training import sam_data, sam_drawn, sam_prompts, sam_views

MIX = {"solar": 0.32, "nuclei": 0.26, "cookies": 0.14, "roads": 0.06, "drawn": 0.22}
FOCAL_WEIGHT = 4.0
OTHER_MASKS_WEIGHT = 0.2
DENSE_WEIGHT = 1.0
WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "loupe_sam.safetensors"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. ``stages`` are (input size, minutes); the learning rate falls over all."""

    stages: tuple[tuple[int, float], ...]
    batch: int = 6
    box_prompts: int = 3
    click_prompts: int = 2
    learning_rate: float = 1e-3
    warmup_steps: int = 60
    ema: float = 0.98
    seed: int = 0

    @property
    def seconds(self) -> float:
        return 60 * sum(minutes for _, minutes in self.stages)

    def size_at(self, elapsed: float) -> int:
        """Input size after ``elapsed`` seconds of training."""
        end = 0.0
        for size, minutes in self.stages:
            end += 60 * minutes
            if elapsed < end:
                return size
        return self.stages[-1][0]


class Sampler:
    """Draws views: a source by the mix, a scene of it, a random view."""

    def __init__(
        self, scenes: Sequence[sam_data.Scene], surfaces: Sequence[NDArray[np.uint8]], seed: int
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self._surfaces = surfaces
        self._scenes: dict[str, list[sam_views.Indexed]] = {}
        for scene in scenes:
            self._scenes.setdefault(scene.source, []).append(sam_views.index(scene))
        self._dark = [s for s in self._scenes.get("solar", []) if _has_dark(s)]
        self._sources = [source for source in MIX if source in self._scenes or source == "drawn"]
        self._chances = np.array([MIX[source] for source in self._sources])
        self._chances /= self._chances.sum()

    def draw(self, size: int, count: int, whole: float) -> sam_views.View:
        """One view with ``count`` objects; ``whole`` is the chance of a whole photo."""
        while True:
            source = self._sources[int(self.rng.choice(len(self._sources), p=self._chances))]
            view = sam_views.make_view(self.rng, self._scene(source), size, count, whole)
            if view is not None:
                return view

    def _scene(self, source: str) -> sam_views.Indexed:
        if source == "drawn":
            return sam_views.index(sam_drawn.draw_scene(self.rng, self._surfaces, 320))
        scenes = self._scenes[source]
        if source == "solar" and self._dark and self.rng.random() < 0.6:
            scenes = self._dark
        return scenes[int(self.rng.integers(len(scenes)))]


def _has_dark(scene: sam_views.Indexed) -> bool:
    return max(scene.weights, default=0.0) >= sam_views.WEIGHTS["dark"] * 8


def mask_losses(logits: Tensor, quality: Tensor, targets: Tensor, boxes: Tensor) -> Tensor:
    """Loss of N prompts: logits (N,3,G,G), predicted IoU (N,3), targets (N,G,G) in 0..1, boxes
    (N,4) in input pixels (two per cell)."""
    goal = targets[:, None].expand_as(logits)
    chance = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    agreement = chance * goal + (1 - chance) * (1 - goal)
    box_cells = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 4
    focal = (entropy * (1 - agreement) ** 2).sum((2, 3)) / (box_cells[:, None] + 32)
    overlap = (chance * goal).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (chance.sum((2, 3)) + goal.sum((2, 3)) + 1)
    each = FOCAL_WEIGHT * focal + dice
    quality_loss = (quality - true_iou(logits, targets)).square().mean()
    return each.min(dim=1).values.mean() + OTHER_MASKS_WEIGHT * each.mean() + quality_loss


def dense_loss(logits: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    """Focal and dice of the kinds in the photo: logits and targets (B,K,G,G), asked (B,K)."""
    chance = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    agreement = chance * targets + (1 - chance) * (1 - targets)
    focal = (entropy * (1 - agreement) ** 2).mean((2, 3))
    overlap = (chance * targets).sum((2, 3))
    dice = 1 - (2 * overlap + 20) / (chance.sum((2, 3)) + targets.sum((2, 3)) + 20)
    return ((10 * focal + dice) * asked).sum() / asked.sum()


def true_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """IoU (N,3) of the thresholded masks with the targets, on the grid."""
    ours, theirs = logits.detach() > 0, (targets > 0.5)[:, None]
    union = (ours | theirs).sum((2, 3)).clamp(min=1)
    return (ours & theirs).sum((2, 3)) / union


class Clicks:
    """The clicks so far on each of N objects, grown round by round."""

    def __init__(self) -> None:
        self._points: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, clicks: Sequence[tuple[float, float, bool]]) -> None:
        """Add one click per object, in cells of the grid (two input pixels each)."""
        self._points.append(
            torch.tensor([[2 * x, 2 * y] for x, y, _ in clicks], dtype=torch.float32)
        )
        self._labels.append(torch.tensor([float(positive) for _, _, positive in clicks]))

    def tensors(self) -> tuple[Tensor | None, Tensor | None]:
        """Points (N,K,2) in input pixels and labels (N,K); None before the first click."""
        if not self._points:
            return None, None
        return torch.stack(self._points, dim=1), torch.stack(self._labels, dim=1)


def prompted_loss(
    sam: Any,
    embedding: Tensor,
    targets: NDArray[np.float32],
    true_boxes: NDArray[np.float32],
    boxes: Tensor | None,
    rounds: int,
    rng: np.random.Generator,
) -> Tensor:
    """Loss after ``rounds`` corrections, of which only the last decoding is differentiated."""
    clicks = Clicks()
    solid = targets > 0.5 * targets.max(axis=(1, 2), keepdims=True)
    if boxes is None:
        clicks.add([(*sam_prompts.first_click(rng, mask), True) for mask in solid])
    for _ in range(rounds):
        with torch.no_grad():
            logits, quality = model.decode(sam, embedding.detach(), boxes, *clicks.tensors())
        best = logits[torch.arange(len(logits)), quality.argmax(dim=1)] > 0
        clicks.add([_correction(rng, p, t) for p, t in zip(best.numpy(), solid, strict=True)])
    logits, quality = model.decode(sam, embedding, boxes, *clicks.tensors())
    return mask_losses(logits, quality, torch.from_numpy(targets), torch.from_numpy(true_boxes))


def _correction(
    rng: np.random.Generator, predicted: NDArray[np.bool_], target: NDArray[np.bool_]
) -> tuple[float, float, bool]:
    click = sam_prompts.correcting_click(predicted, target)
    return click if click is not None else (*sam_prompts.first_click(rng, target), True)


def batch_loss(
    sam: Any, reader: torch.nn.Module, sampler: Sampler, recipe: Recipe, size: int
) -> Tensor:
    """Loss of one batch: each photo once through the encoder, with box prompts and with clicks."""
    rng, n_box = sampler.rng, recipe.box_prompts
    whole = 0.5 if size == recipe.stages[-1][0] else 0.15
    count = n_box + recipe.click_prompts
    views = [sampler.draw(size, count, whole) for _ in range(recipe.batch)]
    photos = torch.from_numpy(np.stack([v.pixels for v in views])).permute(0, 3, 1, 2)
    embeddings = model.encode(sam, photos)
    seen = F.pixel_shuffle(reader(embeddings), model.STRIDE // 2)
    dense = torch.from_numpy(np.stack([v.dense for v in views]))
    asked = torch.from_numpy(np.stack([v.asked for v in views]))
    losses: list[Tensor] = []
    for view, embedding in zip(views, torch.split(embeddings, 1), strict=True):
        jittered = [sam_prompts.jitter_box(rng, tuple(b), size) for b in view.boxes[:n_box]]
        boxes = torch.from_numpy(np.stack(jittered))
        box_rounds = int(rng.choice((0, 1, 2), p=(0.84, 0.1, 0.06)))
        click_rounds = int(rng.choice(5, p=(0.4, 0.22, 0.16, 0.12, 0.1)))
        losses.append(
            prompted_loss(
                sam, embedding, view.targets[:n_box], view.boxes[:n_box], boxes, box_rounds, rng
            )
        )
        losses.append(
            prompted_loss(
                sam, embedding, view.targets[n_box:], view.boxes[n_box:], None, click_rounds, rng
            )
        )
    return torch.stack(losses).mean() + DENSE_WEIGHT * dense_loss(seen, dense, asked)


class Trainer:
    """Model, its running average, optimiser and clock; all of it goes into a checkpoint."""

    def __init__(self, config: model.SamConfig, recipe: Recipe, sampler: Sampler) -> None:
        torch.manual_seed(recipe.seed)
        self.config, self.recipe, self.sampler = config, recipe, sampler
        self.sam = model.build(config)
        self.sam.image_encoder.to(memory_format=torch.channels_last)
        self.reader = torch.nn.Conv2d(config.dim, 16 * len(sam_views.KINDS), 1)
        self.parameters = [*self.sam.parameters(), *self.reader.parameters()]
        self.average = {k: v.clone() for k, v in self.sam.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=0.01
        )
        self.step, self.elapsed = 0, 0.0

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to 3 % over the recipe's time."""
        warm = min(1.0, (self.step + 1) / self.recipe.warmup_steps)
        done = min(1.0, self.elapsed / max(self.recipe.seconds, 1e-9))
        return (
            self.recipe.learning_rate * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))
        )

    def train_step(self) -> float:
        """One optimiser step; returns its loss."""
        begin = time.monotonic()
        size = self.recipe.size_at(self.elapsed)
        model.set_input_size(self.sam, size)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        loss = batch_loss(self.sam, self.reader, self.sampler, self.recipe, size)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        self.elapsed += time.monotonic() - begin
        return float(loss.detach())

    def _update_average(self) -> None:
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.sam.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)

    def save(self, path: Path) -> None:
        """Write a checkpoint; a crash while writing leaves the one before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        torch.save(
            {
                "model": self.sam.state_dict(),
                "reader": self.reader.state_dict(),
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "elapsed": self.elapsed,
            },
            draft,
        )
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of :meth:`save`."""
        state = torch.load(path, weights_only=True)
        self.sam.load_state_dict(state["model"])
        self.reader.load_state_dict(state["reader"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]
        self.elapsed = state["elapsed"]
        self.sampler.rng = np.random.default_rng((self.recipe.seed, self.step))

    def start_from(self, trained: Path) -> None:
        """Begin with the exported weights of another run; optimiser and schedule start anew."""
        tensors = {name: value.float() for name, value in load_file(trained).items()}
        self.sam.load_state_dict(tensors)
        self.average = {name: value.clone() for name, value in self.sam.state_dict().items()}

    def export(self, path: Path) -> None:
        """Write the average as safetensors (large tensors in half precision) and the config."""
        tensors = {k: _compact(v) for k, v in self.average.items()}
        draft = path.with_suffix(".part")
        save_file(tensors, draft)
        draft.chmod(0o644)
        draft.replace(path)
        path.with_suffix(".json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")


def _compact(tensor: Tensor) -> Tensor:
    half = tensor.is_floating_point() and tensor.numel() > 1024
    return (tensor.half() if half else tensor).contiguous()


def run(
    trainer: Trainer,
    checkpoint: Path | None,
    export: Path | None,
    report: Callable[[str], None] = print,
    max_steps: int | None = None,
) -> list[float]:
    """Train until the recipe's time (or ``max_steps``) is over; returns the loss of each step."""
    losses: list[float] = []
    saved = trainer.elapsed
    while trainer.elapsed < trainer.recipe.seconds and len(losses) != max_steps:
        losses.append(trainer.train_step())
        if trainer.step % 25 == 0:
            recent = float(np.mean(losses[-25:]))
            report(
                f"step {trainer.step} {trainer.elapsed / 60:.1f} min loss {recent:.4f} "
                f"lr {trainer.learning_rate():.2e}"
            )
        if trainer.elapsed - saved > 120:
            saved = trainer.elapsed
            _keep(trainer, checkpoint, export)
    _keep(trainer, checkpoint, export)
    return losses


def _keep(trainer: Trainer, checkpoint: Path | None, export: Path | None) -> None:
    if checkpoint is not None:
        trainer.save(checkpoint)
    if export is not None:
        trainer.export(export)


def toy_trainer(seed: int = 0) -> Trainer:
    """A tiny model on drawn pictures only: to try the whole way in seconds."""
    config = model.SamConfig(
        input_size=64,
        widths=(8, 8, 16, 16, 32),
        depths=(1, 1, 1, 1),
        attention_depth=1,
        dim=32,
        heads=2,
        prompt_channels=8,
        mlp_dim=64,
    )
    recipe = Recipe(
        stages=((64, 60.0),),
        batch=2,
        box_prompts=3,
        click_prompts=2,
        learning_rate=2e-3,
        warmup_steps=5,
        ema=0.9,
        seed=seed,
    )
    return Trainer(config, recipe, Sampler((), (), seed))


def parse_stages(text: str) -> tuple[tuple[int, float], ...]:
    """``192:22,256:20,320:14`` → ((256, 35.0), (320, 20.0))."""
    pairs = (part.split(":") for part in text.split(","))
    return tuple((int(size), float(minutes)) for size, minutes in pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the training."""
    parser = argparse.ArgumentParser(description="Train Loupe-SAM")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--stages", type=parse_stages, default=parse_stages("192:22,256:20,320:14"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("var/training/sam/last.pt"))
    parser.add_argument("--export", type=Path, default=WEIGHTS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, help="exported weights of an earlier run")
    parser.add_argument("--click-prompts", type=int, default=2)
    parser.add_argument("--toy", type=int, metavar="STEPS", help="tiny model, drawn pictures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    if options.toy:
        losses = run(toy_trainer(options.seed), None, None, max_steps=options.toy)
        print(f"first loss {losses[0]:.3f}, last {losses[-1]:.3f}")
        return
    scenes = sam_data.load_scenes(options.data, "train")
    surfaces = sam_data.load_surfaces(options.data, 150)
    print(f"{len(scenes)} scenes, {len(surfaces)} surfaces", flush=True)
    recipe = Recipe(
        options.stages,
        options.batch,
        click_prompts=options.click_prompts,
        learning_rate=options.lr,
        seed=options.seed,
    )
    config = model.SamConfig(input_size=options.stages[-1][0])
    trainer = Trainer(config, recipe, Sampler(scenes, surfaces, options.seed))
    if options.resume:
        trainer.load(options.checkpoint)
    elif options.start:
        trainer.start_from(options.start)
    run(trainer, options.checkpoint, options.export, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
