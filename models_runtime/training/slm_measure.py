"""Figures for the triage model: accuracy, macro F1, expected calibration error, latency."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.slm import features
from models_runtime.slm.model import CONCERNS, TriageNet, pad
from models_runtime.slm.notes import NoteTokenizer
from models_runtime.training.slm_notes import Note
from models_runtime.training.slm_probe import PROBE

BINS = 15


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Row-wise softmax in double precision."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    raised = np.exp(shifted)
    return np.asarray(raised / raised.sum(1, keepdims=True))


def temperature(logits: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017), by grid search."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(4.0), 120))
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits / t)[rows, truth].clip(1e-12)).mean() for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def calibration_error(chances: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Expected calibration error of the top class over BINS equal-width bins."""
    top, right = chances.max(1), chances.argmax(1) == truth
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    error = 0.0
    for b in range(BINS):
        inside = bins == b
        if inside.any():
            error += inside.mean() * abs(top[inside].mean() - right[inside].mean())
    return float(error)


def macro_f1(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in the truth."""
    scores = []
    for level in np.unique(truth):
        hit = int(((predicted == level) & (truth == level)).sum())
        wrong = int((predicted == level).sum() + (truth == level).sum()) - 2 * hit
        scores.append(2 * hit / (2 * hit + wrong))
    return float(np.mean(scores))


def summary(logits: NDArray[Any], truth: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, macro F1 and ECE of calibrated logits."""
    chances = softmax(logits)
    predicted = chances.argmax(1)
    return {
        "n": len(truth),
        "accuracy": round(float((predicted == truth).mean()), 4),
        "macro_f1": round(macro_f1(predicted, truth), 4),
        "ece": round(calibration_error(chances, truth), 4),
        "majority_accuracy": round(float(np.bincount(truth).max() / len(truth)), 4),
    }


def by_source(
    logits: NDArray[Any], truth: NDArray[np.int64], sources: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The summary over all notes and for each source alone."""
    names = np.array(sources)
    figures = {"all": summary(logits, truth)}
    for name in sorted(set(sources)):
        inside = names == name
        figures[name] = summary(logits[inside], truth[inside])
    return figures


@torch.inference_mode()
def probe(net: TriageNet, tokenizer: NoteTokenizer, scale: float) -> dict[str, Any]:
    """The hand-written notes; the misread ones are listed."""
    logits = net.concern_logits(pad([tokenizer.ids(text) for text, _ in PROBE])).numpy() / scale
    truth = np.array([CONCERNS.index(level) for _, level in PROBE], dtype=np.int64)
    predicted = logits.argmax(1)
    wrong = [
        f"{text} ({level}, read as {CONCERNS[guess]})"
        for (text, level), guess in zip(PROBE, predicted.tolist(), strict=True)
        if CONCERNS[guess] != level
    ]
    return {**summary(logits, truth), "misread": wrong}


@torch.inference_mode()
def against_people(
    net: TriageNet, tokenizer: NoteTokenizer, notes: Sequence[Note], scale: float
) -> dict[str, float]:
    """MaintIE: does the model see an undesirable state where people marked one?"""
    logits = [net.concern_logits(pad([tokenizer.ids(n.text)])).numpy() / scale for n in notes]
    chances = softmax(np.concatenate(logits))
    bad = chances[:, CONCERNS.index("defect") :].sum(1)
    truth = np.array([note.concern == "defect" for note in notes], dtype=np.int64)
    pair = np.stack([1.0 - bad, bad], axis=1)
    return summary(np.log(pair.clip(1e-12)), truth)


@torch.inference_mode()
def latency(net: TriageNet, tokenizer: NoteTokenizer, rounds: int = 200) -> dict[str, float]:
    """Milliseconds for reading one note and rating one case, p50 and p95."""
    note = "Crack along the weld near the left hinge, getting longer since last week"
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        net.concern_logits(pad([tokenizer.ids(note)]))
        net.severity_logits(torch.zeros(2, features.SIZE))
        times.append((time.perf_counter() - start) * 1000)
    return {
        "p50": round(float(np.percentile(times, 50)), 3),
        "p95": round(float(np.percentile(times, 95)), 3),
    }
