"""The plan's own words as vectors, and what kind of photo those words talk about."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import TextEmbedder
from models_runtime.plans import Characteristic, CharacteristicKind, DefectType, PlanSpec
from models_runtime.vlm import words

Vector = NDArray[np.float32]

REMEMBERED = 4096
"""Texts whose vectors are kept, the least recently used are dropped first."""
NAMES_NOTHING = 0.38
"""Below this likeness to every domain a plan's words say nothing about the kind of photo."""
MARGIN = 0.16
"""Domains whose likeness to the plan is within this of the best may be meant too."""


class TextCache:
    """Vectors of texts, embedded once while they are remembered; safe for threads."""

    def __init__(self, embedder: TextEmbedder, size: int = REMEMBERED) -> None:
        self._embedder = embedder
        self._size = size
        self._rows: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, texts: Sequence[str]) -> Vector:
        """Return float32 (len(texts), dimension), rows of length 1."""
        wanted = list(dict.fromkeys(texts))
        with self._lock:
            known = {text: self._rows[text] for text in wanted if text in self._rows}
        new = [text for text in wanted if text not in known]
        if new:
            known.update(zip(new, self._embedder.embed(new), strict=True))
        with self._lock:
            for text in wanted:
                self._rows[text] = known[text]
                self._rows.move_to_end(text)
            while len(self._rows) > self._size:
                self._rows.popitem(last=False)
        return np.stack([known[text] for text in texts])

    def mean(self, texts: Sequence[str]) -> Vector:
        """The mean direction of several texts that mean the same."""
        mean = self.rows(texts).mean(0)
        return np.asarray(mean / max(1e-6, float(np.linalg.norm(mean))), dtype=np.float32)


def option_texts(characteristic: Characteristic) -> list[list[str]]:
    """For each option the texts that stand for it."""
    made = []
    for option in characteristic.options:
        texts = [option.value]
        if characteristic.title:
            texts.append(f"{characteristic.title}: {option.value}")
        if option.description:
            texts.append(f"{option.value}: {option.description}")
        made.append(texts)
    return made


def statement_texts(characteristic: Characteristic) -> list[str]:
    """The texts of a yes-or-no characteristic."""
    texts = [t for t in (characteristic.title, characteristic.question) if t]
    return texts or [characteristic.key.replace("_", " ").replace("-", " ")]


def defect_texts(defect: DefectType) -> list[str]:
    """The texts that stand for a defect; its name counts twice."""
    texts = [defect.name, defect.name, *defect.synonyms]
    if defect.definition:
        texts.append(f"{defect.name}: {defect.definition}")
    return texts


def choice_vectors(cache: TextCache, characteristic: Characteristic) -> Vector:
    """Float32 (options, 384)."""
    return np.stack([cache.mean(texts) for texts in option_texts(characteristic)])


def defect_vectors(cache: TextCache, defects: Sequence[DefectType]) -> Vector:
    """Float32 (defects, 384)."""
    return np.stack([cache.mean(defect_texts(defect)) for defect in defects])


_SOUND = frozenset(phrase.lower() for phrase in words.SOUND) | {"none", "no defects", "no damage"}
_DEFECTIVE = frozenset(phrase.lower() for phrase in words.DEFECTIVE) | {
    "defects", "damage", "has defects", "has defect", "any defect", "is defective", "not good",
    "nok", "ng", "is it defective", "is it damaged", "broken or damaged", "reject",
}  # fmt: skip


def says_sound(text: str) -> bool:
    """Do these plain words say that nothing is wrong?"""
    return text.strip().lower().rstrip("?!. ") in _SOUND


def says_defective(text: str) -> bool:
    """Do these plain words say that something is wrong? Text vectors blur such opposites."""
    return text.strip().lower().rstrip("?!. ") in _DEFECTIVE


def plausible_domains(cache: TextCache, plan: PlanSpec) -> NDArray[np.bool_]:
    """Which of words.DOMAINS the plan may be about; none where its words resemble nothing known.

    A plan without any word about its subject may be about all of them.
    """
    if not any(_subject_words(plan)):
        return np.ones(len(words.DOMAINS), np.bool_)
    likeness = domain_likeness(cache, plan)
    best = float(likeness.max())
    if best < NAMES_NOTHING:
        return np.zeros(len(likeness), np.bool_)
    return np.asarray(likeness >= best - MARGIN)


def domain_likeness(cache: TextCache, plan: PlanSpec) -> NDArray[np.float32]:
    """How much the plan's words are like each domain's: name and description before the rest."""
    named, titles, options = _subject_words(plan)[:3]
    rows = []
    for domain in words.DOMAINS:
        labels = [p[0] for answers in domain.labels.values() for p in answers.values()]
        faults = [p for phrases in domain.defects.values() for p in phrases]
        rows.append(
            max(
                _best(cache, named, domain.captions),
                0.9 * _best(cache, titles, domain.captions),
                0.9 * _typical(cache, options, [*labels, *domain.captions]),
                0.7 * _typical(cache, [defect.name for defect in plan.defects], faults),
            )
        )
    return np.asarray(rows, dtype=np.float32)


_SAYS_NOTHING = re.compile(
    r"\b(plan|inspections?|quality|control|check(list)?|qa|qc|test(ing)?|demo|incoming|outgoing|"
    r"goods|desk|returns?|line|station|visual|surface|audit|review|standard|default|products?|"
    r"parts?|properties|property|for|of|the|and|v?\d+)\b",
    re.IGNORECASE,
)
"""Words of plan names that fit any subject."""


def _subject_words(plan: PlanSpec) -> tuple[list[str], list[str], list[str], list[str]]:
    """Name and description, titles, options and defect names, as far as they say something."""
    named = [_bare(plan.name), _bare(plan.description.split(". ")[0][:300])]
    titles = [_bare(t) for c in plan.characteristics for t in (c.title, c.question)]
    options = [
        option.value
        for c in plan.characteristics
        if c.kind is CharacteristicKind.CHOICE
        for option in c.options
        if not (says_sound(option.value) or says_defective(option.value))
    ]
    faults = [d.name for d in plan.defects if not says_defective(d.name)]
    return [t for t in named if t], [t for t in titles if t], options, faults


def _bare(text: str) -> str:
    kept = " ".join(_SAYS_NOTHING.sub(" ", text).split()).strip(" -–:,.")
    return kept if any(c.isalpha() for c in kept) else ""


def _best(cache: TextCache, texts: Sequence[str], known: Sequence[str]) -> float:
    if not texts or not known:
        return 0.0
    return float((cache.rows(texts) @ cache.rows(known).T).max())


def _typical(cache: TextCache, texts: Sequence[str], known: Sequence[str]) -> float:
    if not texts or not known:
        return 0.0
    return float((cache.rows(texts) @ cache.rows(known).T).max(1).mean())
