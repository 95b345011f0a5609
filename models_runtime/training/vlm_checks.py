"""Figures on val that training prints as it runs; cheap, and no part of the model card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.contracts import TextEmbedder
from models_runtime.training.vlm_data import Photo
from models_runtime.vlm import words
from models_runtime.vlm.model import LoupeVLM


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the ROC curve by ranks, ties counted half; nan where one class is missing."""
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    wins = values[truth][:, None] - values[~truth][None, :]
    if wins.size == 0:
        return float("nan")
    return float((wins > 0).mean() + 0.5 * (wins == 0).mean())


def quick_check(
    photos: Sequence[Photo], embedder: TextEmbedder, at_most: int = 120
) -> Callable[[LoupeVLM], Mapping[str, float]]:
    """Return a function that measures a model on a fixed part of val, with plain words only."""
    chosen = {
        name: _some([p for p in photos if p.split == "val" and p.domain == name], at_most)
        for name in ("garment", "grocery", "solar", "cookie")
    }
    texts = {
        "category": embedder.embed(list(words.GARMENTS)),
        "group": embedder.embed(list(words.GROCERY_GROUPS)),
        "solar": embedder.embed(["crack", "cross", "dark area"]),
        "cookie": embedder.embed(["broken"]),
    }
    return lambda model: _measure(model, chosen, texts)


def _some(photos: list[Photo], at_most: int) -> list[Photo]:
    step = max(1, len(photos) // at_most)
    return photos[::step][:at_most]


@torch.inference_mode()
def _measure(
    model: LoupeVLM, chosen: dict[str, list[Photo]], texts: dict[str, NDArray[np.float32]]
) -> dict[str, float]:
    figures: dict[str, float] = {}
    for domain, question in (("garment", "category"), ("grocery", "group")):
        answers = list(words.domain(domain).labels[question])
        rows = torch.from_numpy(texts[question])
        for size in (128, 256):
            right = []
            for photo in chosen[domain]:
                logits = model.read_choice(model(_whole(photo, size), places=False), rows)
                right.append(answers[int(logits.argmax())] == photo.labels[question])
            figures[f"{question}@{size}"] = float(np.mean(right)) if right else float("nan")
    for domain in ("solar", "cookie"):
        rows = torch.from_numpy(texts[domain])
        scores = []
        for photo in chosen[domain]:
            encoded = model(_whole(photo, 256), meaning=False)
            whole = model.read_defects(encoded, rows, model.read_places(encoded, rows))
            scores.append(float(whole.logsumexp(1)))
        truth = [bool(photo.defective) for photo in chosen[domain]]
        figures[f"{domain}-auroc"] = auroc(scores, truth)
    return figures


def _whole(photo: Photo, size: int) -> torch.Tensor:
    pixels = cv2.resize(photo.pixels, (size, size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255.0
