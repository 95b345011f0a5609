"""The dial at work: of units that the models alone would accept, which pass without a person?

The gate only ever asks for a person more often than triage does. Units that it lets through are
drawn at random for a check, by a hash of their key, so that escapes can be seen at all: a share of
them later, and every one of them while there are no thresholds yet, which is how the first labels
come about. Whether a unit is drawn never depends on its chances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models_runtime.contracts import Disposition, Triage
from models_runtime.risk.dial import part_of

REVIEW_QUEUE = "review"


@dataclass(frozen=True, slots=True)
class DialInForce:
    """What was set and chosen: thresholds by class (none yet: empty), the versions of the extractor
    that they hold for, and the share of passing units that a person looks at all the same."""

    thresholds: Mapping[str, float]
    engines: tuple[str, ...]
    check_share: float


@dataclass(frozen=True, slots=True)
class Unit:
    """``chances`` by class name; ``engine`` is the version of the extractor that gave them."""

    key: str
    chances: Mapping[str, float]
    engine: str
    abstained: bool


@dataclass(frozen=True, slots=True)
class GateWord:
    """``eligible``: the models alone would accept it. ``below``: so does the dial. ``drawn``: a
    person judges it so that the labels stay a fair sample. ``reason``: why a person is asked."""

    eligible: bool
    below: bool
    drawn: bool
    reason: str

    @property
    def passes(self) -> bool:
        """Accepted without a person."""
        return self.below and not self.drawn


NOT_ELIGIBLE = GateWord(eligible=False, below=False, drawn=False, reason="")


def gate(dial: DialInForce, unit: Unit, triage: Triage) -> GateWord:
    """What the dial says of a unit after triage."""
    if triage.needs_review or triage.disposition is not Disposition.ACCEPT or unit.abstained:
        return NOT_ELIGIBLE
    learning = _learning(dial, unit)
    if learning:
        return GateWord(eligible=True, below=False, drawn=True, reason=learning)
    is_drawn = part_of(unit.key, "check") < dial.check_share
    over = [name for name, limit in dial.thresholds.items() if unit.chances[name] >= limit]
    if over:
        return GateWord(eligible=True, below=False, drawn=is_drawn, reason=_over(dial, unit, over))
    drawn = "drawn at random to check what passes without a person" if is_drawn else ""
    return GateWord(eligible=True, below=True, drawn=is_drawn, reason=drawn)


def gated(triage: Triage, word: GateWord) -> Triage:
    """The triage with the gate's word: unchanged, or with a person asked."""
    if not word.eligible or word.passes:
        return triage
    changes = {
        "needs_review": True,
        "queue": REVIEW_QUEUE,
        "reasons": (*triage.reasons, word.reason),
    }
    return triage.model_copy(update=changes)


def _learning(dial: DialInForce, unit: Unit) -> str:
    """Why no threshold holds for this unit yet; empty where they do."""
    if not dial.thresholds:
        return "the risk dial lets nothing pass yet: its labels are too few"
    if unit.engine not in dial.engines:
        return "the risk dial has no labels of this version of the extractor yet"
    if set(unit.chances) != set(dial.thresholds):
        return "the risk dial has no labels of this defect catalogue yet"
    return ""


def _over(dial: DialInForce, unit: Unit, names: list[str]) -> str:
    worst = max(names, key=lambda name: unit.chances[name] - dial.thresholds[name])
    what = worst.replace("-", " ").rstrip("!")
    return (
        f"chance of {what} {unit.chances[worst]:.1%}: the risk dial lets pass below "
        f"{dial.thresholds[worst]:.1%}"
    )
