"""Train the triage model: notes first, then the case head, then calibration and the model card.

    python -m models_runtime.training.slm --data ../shared/data [--out models_runtime/weights]

``--toy`` trains a tiny model on generated notes in seconds, for continuous integration. A run that
was stopped goes on from its last finished epoch when started again with the same ``--work``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from models_runtime.mlm import minilm
from models_runtime.slm.model import CONCERNS, PAD, Shape, TriageNet, pad
from models_runtime.slm.notes import NoteTokenizer
from models_runtime.training import slm_cases, slm_measure, slm_notes, slm_phrases
from models_runtime.training.slm_notes import Note
from models_runtime.training.slm_phrases import Part

NAME = "loupe_slm"
MASK_TOKEN = 103
MASKED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the result beside the data."""

    shape: Shape
    epochs: int
    batch: int
    rate: float
    phrases: int
    cases: int
    case_epochs: int
    seed: int = 7
    distil: float = 2.0


FULL = Recipe(Shape(), 16, 64, 1e-3, 12_000, 120_000, 6)
TOY = Recipe(
    Shape(embedding=16, width=32, heads=2, layers=1, feed_forward=32, case_width=16),
    epochs=1,
    batch=32,
    rate=2e-3,
    phrases=320,
    cases=1200,
    case_epochs=1,
)


@dataclass(frozen=True, slots=True)
class NoteSet:
    """Notes as token rows, levels (index into CONCERNS) and sources."""

    ids: list[list[int]]
    levels: NDArray[np.int64]
    sources: list[str]
    texts: list[str]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    recipe = TOY if options.toy else FULL
    torch.manual_seed(recipe.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    folder = minilm.packaged_folder()
    tokenizer = NoteTokenizer(folder, recipe.shape.tokens)
    root = None if options.toy else options.data / "text"
    fit, calibrate = _training_notes(root, tokenizer, recipe)
    check = _held_out_notes(root, tokenizer, recipe)
    sizes = f"{len(fit.ids)} notes to train on, {len(calibrate.ids)} to calibrate"
    print(f"{sizes}, {len(check.ids)} held out", flush=True)
    net = TriageNet(recipe.shape, dropout=0.1)
    net.tokens.weight.data.copy_(reduced_embeddings(folder, recipe.shape.embedding))
    _train_notes(net, fit, None if options.toy else folder, recipe, options.work)
    net.eval().requires_grad_(False)
    temperature = slm_measure.temperature(concern_logits(net, calibrate), calibrate.levels)
    severity_temperature = _train_cases(net, fit, calibrate, temperature, recipe)
    config = {
        "format": "loupe.slm/1",
        "shape": recipe.shape.as_dict(),
        "concern_temperature": temperature,
        "severity_temperature": severity_temperature,
        "data": "generated notes only (toy)" if root is None else "maintnorm, maintnet, faa",
        "seed": recipe.seed,
    }
    metrics = _measure(net, check, root, tokenizer, temperature, severity_temperature, recipe)
    metrics["training_seconds"] = round(time.monotonic() - started, 1)
    save(net, config, metrics, options.out)
    print(json.dumps(metrics, indent=1), flush=True)


def save(net: TriageNet, config: dict[str, Any], metrics: dict[str, Any], out: Path) -> None:
    """Write half-precision weights, configuration and metrics. The distillation head stays out."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half().contiguous()
        for name, value in net.state_dict().items()
        if not name.startswith("meaning.")
    }
    save_file(weights, out / f"{NAME}.safetensors")
    digest = hashlib.sha256((out / f"{NAME}.safetensors").read_bytes()).hexdigest()
    (out / f"{NAME}.json").write_text(json.dumps({**config, "sha256": digest}, indent=1) + "\n")
    (out / f"{NAME}.metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")


def reduced_embeddings(folder: Path, size: int) -> Tensor:
    """MiniLM's token embeddings in their first ``size`` principal directions, unit variance."""
    table = load_file(folder / "model.safetensors")
    key = next(name for name in table if name.endswith("word_embeddings.weight"))
    words = table[key].float()
    centred = words - words.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    reduced: Tensor = centred @ directions[:, -size:]
    return reduced / reduced.std()


def _training_notes(
    root: Path | None, tokenizer: NoteTokenizer, recipe: Recipe
) -> tuple[NoteSet, NoteSet]:
    """Notes to fit and notes to calibrate: nine to one of the real ones by hash of the text."""
    fit = slm_phrases.generate(recipe.phrases, Part.TRAIN, recipe.seed)
    calibrate = slm_phrases.generate(recipe.phrases // 6, Part.CALIBRATE, recipe.seed)
    fit_notes = [Note(text, concern, "generated") for text, concern in fit]
    calibrate_notes = [Note(text, concern, "generated") for text, concern in calibrate]
    for note in slm_notes.training(root) if root else []:
        back = hashlib.sha256(note.text.encode()).digest()[1] < 26
        (calibrate_notes if back else fit_notes).append(note)
    return _note_set(fit_notes, tokenizer), _note_set(calibrate_notes, tokenizer)


def _held_out_notes(root: Path | None, tokenizer: NoteTokenizer, recipe: Recipe) -> NoteSet:
    pairs = slm_phrases.generate(recipe.phrases // 6, Part.VALIDATE, recipe.seed)
    notes = [Note(text, concern, "generated") for text, concern in pairs]
    return _note_set([*notes, *(slm_notes.validation(root) if root else [])], tokenizer)


def _note_set(notes: Sequence[Note], tokenizer: NoteTokenizer) -> NoteSet:
    return NoteSet(
        ids=[tokenizer.ids(note.text) for note in notes],
        levels=np.array([CONCERNS.index(note.concern) for note in notes], dtype=np.int64),
        sources=[note.source for note in notes],
        texts=[note.text for note in notes],
    )


def _train_notes(
    net: TriageNet, notes: NoteSet, teacher: Path | None, recipe: Recipe, work: Path
) -> None:
    target = _teacher_embeddings(notes.texts, teacher, work) if teacher else None
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=0.02)
    steps = recipe.epochs * -(-len(notes.ids) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps)
    weights = _class_weights(notes.levels)
    for epoch in range(_resume(net, optimizer, schedule, work), recipe.epochs):
        total = 0.0
        order = _by_length(notes.ids, recipe, epoch)
        for batch in order:
            loss = _note_loss(net, notes, batch, target, weights, recipe.distil)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"notes epoch {epoch + 1}/{recipe.epochs} loss {total / len(order):.3f}", flush=True)
        _checkpoint(net, optimizer, schedule, epoch + 1, work)


def _note_loss(
    net: TriageNet,
    notes: NoteSet,
    batch: list[int],
    target: Tensor | None,
    weights: Tensor,
    distil: float,
) -> Tensor:
    pooled = net.encode(_without_some(pad([notes.ids[n] for n in batch])))
    levels = torch.from_numpy(notes.levels[batch])
    logits = net.concern(net.drop(pooled))
    loss = F.cross_entropy(logits, levels, weight=weights, label_smoothing=0.05)
    if target is None:
        return loss
    likeness = F.cosine_similarity(net.meaning(pooled), target[batch], dim=1)
    return loss + distil * (1.0 - likeness).mean()


def _without_some(ids: Tensor) -> Tensor:
    """Mask one token in ten, so that no single word decides."""
    hidden = (torch.rand(ids.shape) < MASKED_SHARE) & (ids != PAD)
    return ids.masked_fill(hidden, MASK_TOKEN)


def _by_length(ids: list[list[int]], recipe: Recipe, epoch: int) -> list[list[int]]:
    """Batches of notes of like length in random order: little padding, still shuffled."""
    rng = random.Random(recipe.seed * 1000 + epoch)  # noqa: S311
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]) + rng.random() * 4)
    batches = [order[s : s + recipe.batch] for s in range(0, len(order), recipe.batch)]
    rng.shuffle(batches)
    return batches


def _class_weights(levels: NDArray[np.int64]) -> Tensor:
    counts = np.bincount(levels, minlength=len(CONCERNS)).clip(1)
    weights = np.sqrt(counts.mean() / counts)
    return torch.tensor(weights, dtype=torch.float32)


def _teacher_embeddings(texts: list[str], folder: Path, work: Path) -> Tensor:
    """MiniLM's sentence embeddings (notes, 384), kept in ``work`` for the next start."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = work / f"teacher-{digest}.npy"
    if not path.is_file():
        encoder = minilm.SentenceEncoder(folder, "teacher")
        rows = []
        for start in range(0, len(texts), 2048):
            rows.append(encoder.embed(texts[start : start + 2048]))
            print(f"teacher {start + len(rows[-1])}/{len(texts)}", flush=True)
        np.save(path, np.concatenate(rows))
    return torch.from_numpy(np.load(path))


def _checkpoint(net: Any, optimizer: Any, schedule: Any, epoch: int, work: Path) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "epoch": epoch,
    }
    torch.save(state, work / "slm.part")
    (work / "slm.part").replace(work / "slm.pt")


def _resume(net: Any, optimizer: Any, schedule: Any, work: Path) -> int:
    path = work / "slm.pt"
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    print(f"goes on after epoch {state['epoch']}", flush=True)
    return int(state["epoch"])


@torch.inference_mode()
def concern_logits(net: TriageNet, notes: NoteSet) -> NDArray[np.float32]:
    """Logits (notes, 4) in the notes' own order."""
    rows = np.zeros((len(notes.ids), len(CONCERNS)), dtype=np.float32)
    order = sorted(range(len(notes.ids)), key=lambda n: len(notes.ids[n]))
    for start in range(0, len(order), 256):
        batch = order[start : start + 256]
        rows[batch] = net.concern_logits(pad([notes.ids[n] for n in batch])).numpy()
    return rows


def concerns_by_level(
    net: TriageNet, notes: NoteSet, temperature: float
) -> dict[int, list[slm_cases.Concern]]:
    """The encoder's reading of each note, grouped by the note's label."""
    chances = slm_measure.softmax(concern_logits(net, notes) / temperature)
    upward = chances[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
    grouped: dict[int, list[slm_cases.Concern]] = {level: [] for level in range(len(CONCERNS))}
    for level, (routine, defect, danger) in zip(
        notes.levels.tolist(), upward.tolist(), strict=True
    ):
        grouped[level].append((min(1.0, routine), min(1.0, defect), min(1.0, danger)))
    return grouped


def _train_cases(
    net: TriageNet, fit: NoteSet, calibrate: NoteSet, temperature: float, recipe: Recipe
) -> float:
    """Train the case head on simulated cases and return its temperature."""
    # Read with notes that the encoder was not fitted to: on its own ones it is too sure.
    concerns = concerns_by_level(net, calibrate, temperature)
    rows, truth = case_tensors(slm_cases.simulate(recipe.cases, concerns, recipe.seed))
    net.case.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(net.case.parameters(), lr=3e-3, weight_decay=1e-4)
    batch = 256
    steps = recipe.case_epochs * -(-len(rows) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for epoch in range(recipe.case_epochs):
        total = 0.0
        for chosen in torch.split(torch.randperm(len(rows)), batch):
            loss = F.cross_entropy(net.severity_logits(rows[chosen]), truth[chosen])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        print(f"cases epoch {epoch + 1} loss {total / len(rows):.4f}", flush=True)
    net.eval().requires_grad_(False)
    more, answers = case_tensors(slm_cases.simulate(recipe.cases // 6, concerns, recipe.seed + 1))
    return slm_measure.temperature(net.severity_logits(more).numpy(), answers.numpy())


def case_tensors(cases: Sequence[slm_cases.LabelledCase]) -> tuple[Tensor, Tensor]:
    """Feature rows float32 (cases, features) and true severities int64 (cases,)."""
    return (
        torch.tensor([case.row for case in cases], dtype=torch.float32),
        torch.tensor([case.truth for case in cases], dtype=torch.int64),
    )


def _measure(
    net: TriageNet,
    check: NoteSet,
    root: Path | None,
    tokenizer: NoteTokenizer,
    temperature: float,
    severity_temperature: float,
    recipe: Recipe,
) -> dict[str, Any]:
    logits = concern_logits(net, check) / temperature
    concerns = concerns_by_level(net, check, temperature)
    habits = {"case_severity": None, "case_severity_shifted": slm_cases.Site.shifted()}
    metrics: dict[str, Any] = {
        "parameters": sum(p.numel() for n, p in net.named_parameters() if "meaning" not in n),
        "notes": slm_measure.by_source(logits, check.levels, check.sources),
        "probe": slm_measure.probe(net, tokenizer, temperature),
        "latency_ms": slm_measure.latency(net, tokenizer),
    }
    if root is not None:
        metrics["maintie_human_labels"] = slm_measure.against_people(
            net, tokenizer, slm_notes.human(root), temperature
        )
    for name, site in habits.items():
        cases = slm_cases.simulate(recipe.cases // 4, concerns, recipe.seed + 2, site)
        rows, truth = case_tensors(cases)
        scaled = net.severity_logits(rows).numpy() / severity_temperature
        metrics[name] = slm_measure.summary(scaled, truth.numpy())
    return metrics


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the triage model.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("models_runtime/weights"))
    parser.add_argument("--work", type=Path, default=Path("var/training/slm"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--toy", action="store_true", help="tiny and without data, for CI")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
