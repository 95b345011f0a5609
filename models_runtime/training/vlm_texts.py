"""Text vectors for training: many phrasings of each label, drawn at random like plans would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.contracts import TextEmbedder
from models_runtime.training.vlm_data import Photo
from models_runtime.vlm import words

TITLES: dict[str, tuple[str, ...]] = {
    "category": ("Category", "Type of garment", "What is it?", "Garment", "Product type"),
    "age": ("Kids", "For whom", "Made for"),
    "group": ("Group", "Kind of product", "Department"),
    "item": ("Item", "Product", "What is it?"),
}

CONFUSABLE: dict[str, frozenset[str]] = {
    "solar": frozenset({"stain", "hole", "scratch", "missing part", "pothole", "broken", "tear"}),
    "road": frozenset({"hole", "broken", "missing part", "stain", "dent", "scratch"}),
    "wall": frozenset({"pothole", "broken", "missing part", "dark", "tear", "scratch", "dent"}),
    "cookie": frozenset({"missing part", "hole", "crack", "tear", "dark", "stain", "dent"}),
    "toy": frozenset({"broken", "hole", "tear", "crack"}),
    "garment": frozenset({"crack", "dark", "broken", "scratch", "missing part", "pothole"}),
    "grocery": frozenset({"broken", "dark", "stain", "tear", "missing part"}),
}
"""Defects of other domains that could honestly be said of this one: never taught as absent."""


class TextBank:
    """Every phrasing embedded once; ``mix`` draws one vector for a set of phrasings."""

    def __init__(self, embedder: TextEmbedder, numbers: np.random.Generator) -> None:
        self._embedder = embedder
        self._numbers = numbers
        self._row: dict[str, int] = {}
        self._vectors: NDArray[np.float32] = np.zeros((0, 384), np.float32)

    def add(self, texts: Iterable[str]) -> None:
        """Embed what is new among ``texts``."""
        new = [t for t in dict.fromkeys(texts) if t not in self._row]
        if not new:
            return
        rows = self._embedder.embed(new)
        self._row.update((t, len(self._row)) for t in new)
        self._vectors = np.concatenate([self._vectors, rows])

    def vector(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of these texts' vectors, brought to length 1."""
        self.add(texts)
        mean = self._vectors[[self._row[t] for t in texts]].mean(0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)

    def mix(self, phrases: Sequence[str], title: str = "") -> NDArray[np.float32]:
        """Draw one to three phrasings, the canonical one often, now and then behind a title.

        Every other time it is all of them at once: the steadier target is learned faster.
        """
        if self._numbers.random() < 0.5:
            return self.vector(phrases)
        count = int(self._numbers.integers(1, 4))
        picks = [phrases[int(i)] for i in self._numbers.integers(0, len(phrases), count)]
        if self._numbers.random() < 0.4:
            picks[0] = phrases[0]
        if title and self._numbers.random() < 0.5:
            picks += [f"{title}: {picks[0]}"]
        return self.vector(picks)

    def rows(self, answers: Iterable[Sequence[str]], title: str = "") -> torch.Tensor:
        """One drawn vector per answer, stacked: float32 (answers, 384)."""
        return torch.from_numpy(np.stack([self.mix(phrases, title) for phrases in answers]))

    def title(self, question: str) -> str:
        """Draw a title as plans may have it."""
        titles = TITLES[question]
        return titles[int(self._numbers.integers(len(titles)))]


def questions(photos: Sequence[Photo]) -> dict[str, dict[str, tuple[str, ...]]]:
    """All questions with their answers' phrasings; grocery items come from the data."""
    items = {p.labels["item"] for p in photos if "item" in p.labels}
    made: dict[str, dict[str, tuple[str, ...]]] = {}
    for domain in words.DOMAINS:
        made.update(domain.labels)
    if items:
        made["item"] = {item: _item_phrases(item) for item in sorted(items)}
    return made


def _item_phrases(item: str) -> tuple[str, ...]:
    plain = item.replace("-", " ")
    return (plain, plain.lower(), item)


def warm_up(bank: TextBank, asked: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Embed all that training may draw in a few large calls."""
    texts: list[str] = [*words.UNKNOWN, *words.ANY_DEFECT]
    for domain in words.DOMAINS:
        texts += domain.captions
        texts += [p for phrases in domain.defects.values() for p in phrases]
    for question, answers in asked.items():
        phrases = [p for each in answers.values() for p in each]
        texts += phrases
        texts += [f"{title}: {p}" for title in TITLES[question] for p in phrases]
    bank.add(texts)


def foreign_defects(domain: str) -> list[tuple[str, ...]]:
    """Phrasings of other domains' defects that are surely absent from this one."""
    own = set(words.domain(domain).defects)
    barred = own | set(CONFUSABLE.get(domain, frozenset()))
    found: dict[str, tuple[str, ...]] = {}
    for other in words.DOMAINS:
        for name, phrases in other.defects.items():
            if name not in barred:
                found.setdefault(name, phrases)
    return list(found.values())
