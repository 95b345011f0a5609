"""Which plan fits this photo: by the meaning of the note, the file name and, where there is one,
the photo itself.

The image embedding of the VLM lies in the MLM's text space, so words and photo are compared with
the plans alike. A "none of these" stands among the candidates; the scores are a softmax whose
scale was fitted by ``python -m models_runtime.training.slm_routing``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models_runtime.contracts import (
    AttributeResult,
    Finding,
    Probability,
    TextEmbedder,
    Triage,
    Value,
)
from models_runtime.errors import InputError
from models_runtime.plans import PlanSpec

TEXT_SCALE = 48.0
TEXT_NONE = 0.20
"""Likeness at which a plan is no likelier than "none of these"."""
IMAGE_SCALE = 20.0
IMAGE_NONE = 0.15
"""Not fitted: image embeddings lie farther from words than words from words."""
SURE = 0.6
MARGIN = 0.2

_CAMERA_NAME = re.compile(
    r"^(img|dsc|dscn|dscf|pxl|p|photo|image|picture|pic|scan|screenshot|whatsapp|mvimg|gopr|dji|"
    r"capture|upload|file|foto|bild|at|copy|edited|jpeg|jpg|png|heic|webp|tiff?)$"
)


class PlanCandidate(Value):
    """A plan to choose from. ``words``: what else stands for it (options, defects, synonyms)."""

    key: str
    name: str
    description: str = ""
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, plan: PlanSpec) -> PlanCandidate:
        """The candidate for a plan: its defects and the answers to its choices are its words."""
        words = [d.name for d in plan.defects]
        words += [o.value for c in plan.characteristics for o in c.options]
        return cls(key=key, name=plan.name, description=plan.description, words=tuple(words[:60]))


class RouteHints(Value):
    """What is known of the photo before any plan: words of the operator, and its embedding."""

    note: str = Field(default="", max_length=4000)
    filename: str = Field(default="", max_length=500)
    image_embedding: tuple[float, ...] = ()


class RankedPlan(Value):
    """A plan with the calibrated chance that it is the right one."""

    key: str
    score: Probability


class Routing(Value):
    """The ranked plans; ``chosen`` is None where the router abstains, and ``reason`` says why."""

    ranked: tuple[RankedPlan, ...]
    none_score: Probability
    chosen: str | None
    confidence: Probability
    reason: str

    @property
    def abstained(self) -> bool:
        return self.chosen is None


class PlanRouter:
    """Routes by meaning. Thread-safe as the embedder is."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    def route(self, candidates: Sequence[PlanCandidate], hints: RouteHints) -> Routing:
        """Rank the candidates, best first; InputError for doubled keys.

        A photo's embedding of another size than the texts' is left out, and the reason says so.
        """
        keys = [candidate.key for candidate in candidates]
        if len(set(keys)) != len(keys):
            raise InputError("two plans have the same key: give each plan its own")
        query = query_text(hints)
        if not candidates:
            return _abstain("there is no plan to choose from")
        if not query and not hints.image_embedding:
            return _abstain("there is no note, no telling file name and no image embedding")
        texts, owners = phrases(candidates)
        rows = self._embedder.embed([*texts, query] if query else texts)
        image, left_out = _comparable(hints.image_embedding, rows.shape[1])
        if not query and not image:
            return _abstain(f"there is no note and no telling file name{left_out}")
        logits, none = _logits(rows, owners, bool(query), image)
        chances = _softmax(np.append(logits, none))
        order = np.argsort(-chances[:-1], kind="stable")
        ranked = tuple(RankedPlan(key=keys[n], score=_chance(chances[n])) for n in order)
        routing = _decide(ranked, _chance(chances[-1]))
        return routing.model_copy(update={"reason": routing.reason + left_out})


def _logits(
    rows: NDArray[np.float32], owners: Sequence[int], has_query: bool, image: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """Per plan, and of "none of these". ``rows``: those of the plans, then the query's if any."""
    plans = rows[: len(owners)]
    logits, none = np.zeros(max(owners) + 1), 0.0
    if has_query:
        logits += TEXT_SCALE * likeness(plans, owners, rows[-1])
        none += TEXT_SCALE * TEXT_NONE
    if image:
        logits += IMAGE_SCALE * likeness(plans, owners, _unit(image))
        none += IMAGE_SCALE * IMAGE_NONE
    return logits, none


def _comparable(image: tuple[float, ...], dimension: int) -> tuple[tuple[float, ...], str]:
    """The photo's embedding, or nothing and why, where it can't lie in the text space."""
    if len(image) in (0, dimension):
        return image, ""
    return (), (
        f"; the photo was left out: its embedding has {len(image)} numbers, the texts' {dimension}"
    )


def query_text(hints: RouteHints) -> str:
    """The note and the words of the file name, without camera counters and dates."""
    stem = PurePath(hints.filename.replace("\\", "/")).stem
    parts = [part.lower() for part in re.findall(r"[A-Za-z]+", stem)]
    telling = [part for part in parts if len(part) > 2 and not _CAMERA_NAME.match(part)]
    return ". ".join(text for text in (hints.note.strip(), " ".join(telling)) if text)


def likeness(
    rows: NDArray[np.float32], owners: Sequence[int], query: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Per plan the mean of its best phrase and its name with description, as cosine (plans,).

    ``owners``: the plan of each row; the first row of a plan is its name with description.
    """
    cosines = rows.astype(np.float64) @ query.astype(np.float64)
    owner = np.asarray(owners)
    plans = range(int(owner.max()) + 1)
    return np.array([(cosines[owner == n].max() + cosines[owner == n][0]) / 2 for n in plans])


def inspection_text(
    plan: PlanSpec,
    attributes: Sequence[AttributeResult],
    findings: Sequence[Finding],
    triage: Triage | None = None,
    note: str = "",
) -> str:
    """An inspection in words, to be embedded for the search for similar past cases.

    Findings come first because long text is cut; numbers stay out, they mean nothing to a sentence
    encoder.
    """
    parts = [_findings_words(plan, findings), f"{plan.name}, {plan.subject}"]
    parts += [
        f"{_title(plan, a.key)} {_plain(a.value)}"
        for a in attributes
        if not a.abstained and a.value is not None and not isinstance(a.value, float)
    ]
    if triage is not None:
        parts.append(f"disposition {triage.disposition}")
    if note.strip():
        parts.append(" ".join(note.split())[:400])
    return ". ".join(parts) + "."


def _findings_words(plan: PlanSpec, findings: Sequence[Finding]) -> str:
    """``Crack major, Crack minor``: each kind once and sorted, whatever order they came in."""
    kinds = sorted({(f.type, f.severity.value) for f in findings})
    if not kinds:
        return "no defect found"
    named = [(plan.defect(kind), kind, severity) for kind, severity in kinds]
    return ", ".join(
        f"{entry.name if entry else kind} {severity}" for entry, kind, severity in named
    )


def _title(plan: PlanSpec, key: str) -> str:
    entry = next((c for c in plan.characteristics if c.key == key), None)
    return entry.title if entry and entry.title else key.replace("_", " ")


def _plain(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())[:80]


def phrases(candidates: Sequence[PlanCandidate]) -> tuple[list[str], list[int]]:
    """Texts that stand for the plans, and the plan of each; a plan's name comes first."""
    texts: list[str] = []
    owners: list[int] = []
    for number, candidate in enumerate(candidates):
        own = [f"{candidate.name}. {candidate.description}".strip(), *candidate.words]
        texts += own
        owners += [number] * len(own)
    return texts, owners


def _decide(ranked: tuple[RankedPlan, ...], none: float) -> Routing:
    best = ranked[0]
    runner_up = ranked[1].score if len(ranked) > 1 else 0.0
    if none >= best.score:
        reason, chosen = "no plan fits what is known of this photo", None
    elif best.score - runner_up < MARGIN:
        reason, chosen = f"{best.key} and {ranked[1].key} fit about equally well", None
    elif best.score < SURE:
        reason, chosen = f"{best.key} is the likeliest, but only at {best.score:.0%}", None
    else:
        reason, chosen = f"{best.key} fits best ({best.score:.0%})", best.key
    return Routing(
        ranked=ranked, none_score=none, chosen=chosen, confidence=best.score, reason=reason
    )


def _abstain(reason: str) -> Routing:
    return Routing(ranked=(), none_score=1.0, chosen=None, confidence=0.0, reason=reason)


def _unit(image: Sequence[float]) -> NDArray[np.float32]:
    vector = np.asarray(image, dtype=np.float32)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum())


def _chance(value: float) -> float:
    return min(1.0, max(0.0, round(float(value), 5)))
