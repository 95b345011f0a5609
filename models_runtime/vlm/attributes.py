"""Answers to a plan's characteristics, read from one encoded photo."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.contracts import AttributeResult
from models_runtime.plans import Characteristic, CharacteristicKind, PlanSpec
from models_runtime.vlm import words
from models_runtime.vlm.model import Encoded, Networks
from models_runtime.vlm.plan_texts import (
    TextCache,
    choice_vectors,
    says_defective,
    says_sound,
    statement_texts,
)
from models_runtime.vlm.weights import Fitted

T = TypeVar("T")

NAMES_A_FAULT = 0.55
"""Likeness to a known defect from which a text is taken for the name of one."""
_DENIES = re.compile(r"\s*(no|without|free (of|from)|not)\b", re.IGNORECASE)
ABOUT_CONDITION = 0.30
"""Least likeness of a scale's title to words for condition; other scales are not answered."""
CONDITION_WORDS = (
    "condition", "quality", "state of wear", "overall condition from 1 to 10", "grade",
)  # fmt: skip
SCALE_TRUST = 0.7
"""The scale is derived from defect evidence, not learned from graded photos: never surer."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the defect side of the engine found: used by characteristics that ask about state.

    ``judged``: False where the photo's domain taught no defects, so that nothing is known.
    ``checked``: for each yes-or-no characteristic that asks for an instructed state, by key, the
    chance that it is met.
    """

    defect_probability: float
    damaged_share: float
    judged: bool
    checked: Mapping[str, float] = field(default_factory=dict)


class AttributeReader:
    """Reads all characteristics of one plan; text vectors are made once per plan."""

    def __init__(
        self, networks: Networks, fitted: Fitted, cache: TextCache, plan: PlanSpec
    ) -> None:
        self._networks, self._fitted, self._cache, self._plan = networks, fitted, cache, plan

    def read(self, encoded: Encoded, domain: str, evidence: Evidence) -> list[AttributeResult]:
        """One result per characteristic, in the plan's order. ``encoded`` holds one photo."""
        return [self._one(c, encoded, domain, evidence) for c in self._plan.characteristics]

    def _one(
        self, asked: Characteristic, encoded: Encoded, domain: str, evidence: Evidence
    ) -> AttributeResult:
        if asked.kind is CharacteristicKind.CHOICE:
            return self._choice(asked, encoded, domain, evidence)
        if asked.kind is CharacteristicKind.BOOLEAN:
            return self._boolean(asked, encoded, domain, evidence)
        if asked.kind is CharacteristicKind.SCALE:
            return self._scale(asked, evidence)
        return abstain(asked)

    def _choice(
        self, asked: Characteristic, encoded: Encoded, domain: str, evidence: Evidence
    ) -> AttributeResult:
        values = [option.value for option in asked.options]
        if evidence.judged and self._about_faults(values, domain):
            chances = self._faults(values, encoded, domain)
        else:
            chances = self._likeness(asked, encoded, domain)
        best = int(np.argmax(chances))
        alternatives = {value: float(chance) for value, chance in zip(values, chances, strict=True)}
        return AttributeResult(
            key=asked.key,
            value=values[best],
            confidence=float(chances[best]),
            alternatives=alternatives,
        )

    def _likeness(
        self, asked: Characteristic, encoded: Encoded, domain: str
    ) -> NDArray[np.float64]:
        rows = torch.from_numpy(choice_vectors(self._cache, asked))
        logits = self._networks.shows.read_choice(encoded, rows)[0].double()
        chances = (logits / of_domain(self._fitted.choice_temperature, domain)).softmax(0)
        return np.asarray(chances.numpy(), dtype=np.float64)

    def _about_faults(self, values: list[str], domain: str) -> bool:
        """Are the options states or defects, rather than kinds of things?"""
        named = [v for v in values if not (says_sound(v) or says_defective(v))]
        plain = len(named) < len(values)
        return bool(self._fault_like(named, domain).all()) and (plain or bool(named))

    def _fault_like(self, texts: list[str], domain: str) -> NDArray[np.bool_]:
        known = [p for phrases in words.domain(domain).defects.values() for p in phrases]
        if not texts or not known:
            return np.zeros(len(texts), np.bool_)
        likeness = self._cache.rows(texts) @ self._cache.rows(known).T
        return np.asarray(likeness.max(1) >= NAMES_A_FAULT)

    def _faults(self, values: list[str], encoded: Encoded, domain: str) -> NDArray[np.float64]:
        """Share the chance of any defect among the options that name one."""
        bad = [i for i, value in enumerate(values) if not says_sound(value)]
        whole = self._whole([[values[i]] for i in bad], encoded) if bad else np.zeros(1)
        top = float(whole.max())
        shares = np.exp(whole - top)
        slope, offset = of_domain(self._fitted.anything, domain)
        anything = sigmoid(slope * (top + float(np.log(shares.sum()))) + offset)
        if len(bad) == len(values):
            return np.asarray(shares / shares.sum())
        good = len(values) - len(bad)
        chances = np.full(len(values), (1 - anything) / good if bad else 1 / good)
        for i, share in zip(bad, shares / shares.sum(), strict=False):
            chances[i] = anything * share
        return chances

    def _has(self, texts: list[str], encoded: Encoded, domain: str) -> float:
        slope, offset = of_domain(self._fitted.one_type, domain)
        chance = sigmoid(slope * float(self._whole([texts], encoded)[0]) + offset)
        return 1 - chance if _DENIES.match(texts[0]) else chance

    def _whole(self, texts: list[list[str]], encoded: Encoded) -> NDArray[np.float64]:
        """Logit per entry: is there such a defect anywhere in the photo?"""
        rows = torch.from_numpy(np.stack([self._cache.mean(each) for each in texts]))
        places = self._networks.finds.read_places(encoded, rows)
        return np.asarray(
            self._networks.finds.read_defects(encoded, rows, places)[0].double().numpy()
        )

    def _boolean(
        self, asked: Characteristic, encoded: Encoded, domain: str, evidence: Evidence
    ) -> AttributeResult:
        texts = statement_texts(asked)
        if asked.key in evidence.checked:
            chance = evidence.checked[asked.key]
        elif evidence.judged and any(says_defective(t) for t in texts):
            chance = evidence.defect_probability
        elif evidence.judged and any(says_sound(t) for t in texts):
            chance = 1 - evidence.defect_probability
        elif evidence.judged and self._fault_like(texts[:1], domain).all():
            chance = self._has(texts, encoded, domain)
        else:
            row = torch.from_numpy(self._cache.mean(texts))[None]
            slope, offset = self._fitted.truth
            logit = float(self._networks.shows.read_truth(encoded, row)[0, 0])
            chance = sigmoid(slope * logit + offset)
        holds = chance >= 0.5
        return AttributeResult(
            key=asked.key,
            value=holds,
            confidence=max(chance, 1 - chance),
            alternatives={"true": chance, "false": 1 - chance},
        )

    def _scale(self, asked: Characteristic, evidence: Evidence) -> AttributeResult:
        """Best where nothing is wrong; falls with the chance and the extent of damage."""
        title = " ".join(t for t in (asked.title, asked.question) if t) or asked.key
        likeness = self._cache.rows([title]) @ self._cache.rows(CONDITION_WORDS).T
        if not evidence.judged or float(likeness.max()) < ABOUT_CONDITION:
            return abstain(asked)
        low = 1.0 if asked.minimum is None else asked.minimum
        high = 10.0 if asked.maximum is None else asked.maximum
        if high <= low:
            return abstain(asked)
        loss = evidence.defect_probability * (0.4 + 0.6 * min(1.0, 5 * evidence.damaged_share))
        exact = high - loss * (high - low)
        value: int | float = round(exact) if high - low >= 2 else round(exact, 2)
        sure = max(evidence.defect_probability, 1 - evidence.defect_probability)
        return AttributeResult(
            key=asked.key,
            value=min(max(value, low), high) if value not in (low, high) else value,
            confidence=SCALE_TRUST * sure,
        )


def abstain(asked: Characteristic) -> AttributeResult:
    """The honest answer where the engine would only guess."""
    return AttributeResult(key=asked.key, value=None, confidence=0.0, abstained=True)


def of_domain(table: dict[str, T], domain: str) -> T:
    """What was fitted for a domain, or else for all."""
    return table.get(domain, table["default"])


def judged(domain: str) -> bool:
    """Was the engine taught what can be wrong with such photos?"""
    return bool(words.domain(domain).defects)


def sigmoid(logit: float) -> float:
    """The logistic function, safe for large logits."""
    return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))
