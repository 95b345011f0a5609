"""Which architecture does a step? Five properties of the step decide, by the table below.

The rule of the house: the cheapest architecture whose output is what the step needs. A dearer one
is chosen only where the properties leave no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from models_runtime.contracts import Architecture
from models_runtime.errors import FatalError


class OutputSpace(StrEnum):
    """What comes out."""

    MEASUREMENT = "measurement"
    EMBEDDING = "embedding"
    ATTRIBUTES = "attributes"
    PIXELS = "pixels"
    DEVIATION = "deviation"
    CLASS = "class"
    PROSE = "prose"
    COHERENCE = "coherence"
    ACTIONS = "actions"


class Modality(StrEnum):
    """What goes in."""

    TEXT = "text"
    IMAGE = "image"
    IMAGES = "images"
    RECORD = "record"


class Volume(StrEnum):
    """How often the step runs."""

    EVERY_PHOTO = "every photo"
    EVERY_UNIT = "every unit"
    ON_DEMAND = "on demand"


class Precision(StrEnum):
    """What the answer is used for: a hint, a decision, or a measurement in pixels."""

    HINT = "hint"
    DECISION = "decision"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Need:
    """The five properties that a step declares. ``latency_ms`` is the budget for one call."""

    output: OutputSpace
    modality: Modality
    latency_ms: int
    volume: Volume
    precision: Precision


@dataclass(frozen=True, slots=True)
class Choice:
    """The architecture and, in words, why."""

    architecture: Architecture
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: what it asks of the need, and what it answers."""

    output: OutputSpace
    modality: Modality | None
    fits: Callable[[Need], bool]
    architecture: Architecture
    reason: str


def _always(_: Need) -> bool:
    return True


def _measured(need: Need) -> bool:
    return need.precision is Precision.MEASURED


def _rare_and_slow(need: Need) -> bool:
    return need.volume is Volume.ON_DEMAND and need.latency_ms >= 2_000


def _time_for_writing(need: Need) -> bool:
    return need.latency_ms >= 1_000


O, M, A = OutputSpace, Modality, Architecture  # noqa: E741 short names keep the table readable

TABLE: tuple[Rule, ...] = (
    Rule(O.MEASUREMENT, None, _always, A.RULES, "measured by plain code; no model needed"),
    Rule(O.EMBEDDING, M.TEXT, _always, A.MLM, "likeness in meaning: a sentence encoder, 20 ms"),
    Rule(O.EMBEDDING, M.IMAGE, _always, A.VLM, "a photo's place among words: the image encoder"),
    Rule(O.ATTRIBUTES, M.IMAGE, _always, A.VLM, "questions about a photo in the plan's own words"),
    Rule(O.PIXELS, M.IMAGE, _measured, A.SAM, "areas are measured, so exact pixels are needed"),
    Rule(O.PIXELS, M.IMAGE, _always, A.VLM, "a rough place is enough: the extractor's boxes"),
    Rule(O.DEVIATION, M.IMAGES, _always, A.COMPARE, "golden photos say what normal looks like"),
    Rule(O.CLASS, M.RECORD, _rare_and_slow, A.LLM, "a rare case with time to reason about it"),
    Rule(O.CLASS, M.RECORD, _always, A.SLM, "a closed answer for every unit in milliseconds"),
    Rule(O.CLASS, M.TEXT, _always, A.MLM, "a choice among known texts: nearest in meaning"),
    Rule(O.PROSE, M.RECORD, _time_for_writing, A.LLM, "sentences for people, one per finding"),
    Rule(O.PROSE, M.RECORD, _always, A.RULES, "no time for a writer: sentences from templates"),
    Rule(O.COHERENCE, M.TEXT, _always, A.LCM, "whether sentences follow from each other"),
    Rule(
        O.ACTIONS, M.RECORD, _always, A.LAM, "allowed actions in a valid order, from the playbook"
    ),
)
"""Read top to bottom; the first row that fits answers."""

NEEDS: dict[str, Need] = {
    "intake": Need(O.MEASUREMENT, M.IMAGE, 500, Volume.EVERY_PHOTO, Precision.MEASURED),
    "route": Need(O.EMBEDDING, M.TEXT, 200, Volume.EVERY_UNIT, Precision.HINT),
    "extract": Need(O.ATTRIBUTES, M.IMAGE, 2_000, Volume.EVERY_PHOTO, Precision.DECISION),
    "segment": Need(O.PIXELS, M.IMAGE, 1_000, Volume.EVERY_PHOTO, Precision.MEASURED),
    "compare": Need(O.DEVIATION, M.IMAGES, 1_000, Volume.EVERY_PHOTO, Precision.DECISION),
    "triage": Need(O.CLASS, M.RECORD, 10, Volume.EVERY_UNIT, Precision.DECISION),
    "report": Need(O.PROSE, M.RECORD, 30_000, Volume.ON_DEMAND, Precision.HINT),
    "act": Need(O.ACTIONS, M.RECORD, 100, Volume.ON_DEMAND, Precision.DECISION),
}
"""What each step of the pipeline declares."""


def choose(need: Need) -> Choice:
    """Answer with the first row of TABLE that fits; FatalError where none does."""
    for rule in TABLE:
        same_input = rule.modality in (None, need.modality)
        if rule.output is need.output and same_input and rule.fits(need):
            return Choice(rule.architecture, rule.reason)
    raise FatalError(f"no architecture turns {need.modality} into {need.output}")


def choose_for_step(step: str) -> Choice:
    """Answer for a step of the pipeline by its name."""
    return choose(NEEDS[step])
