"""Which engine answered what in a step, how much went on to a dearer one, and at what cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from inspection.models import StepRun
from models_runtime.cascade import EngineShare, Escalation
from models_runtime.plans import PlanSpec
from models_runtime.vlm.escalation import STATE

MOST_NAMES = 6


@dataclass(frozen=True)
class EngineRow:
    """One engine of a cascade, in words. ``answered`` is empty where its answers don't count."""

    engine: str
    version: str
    asked: str
    answered: str
    error: str
    run_ms: float
    cost_microusd: int


@dataclass(frozen=True)
class TimelineRow:
    """A step. ``engines`` are told where there was more than one. ``share`` is of the photos that
    went beyond the first engine, ``beyond_microusd`` what the later engines cost."""

    step: StepRun
    engines: list[EngineRow]
    cases: int = 0
    escalated: int = 0
    beyond_microusd: int = 0

    @property
    def why(self) -> str:
        """The step's reason; who was asked for what stands in ``engines`` already."""
        return self.step.reason.partition("; ")[0] if self.engines else self.step.reason

    @property
    def share(self) -> float:
        return self.escalated / self.cases if self.cases else 0.0


def timeline(steps: Iterable[StepRun], spec: PlanSpec | None) -> list[TimelineRow]:
    """Each step with what its engines did."""
    titles = {c.key: c.title or c.key for c in spec.characteristics} if spec else {}
    return [_row(step, titles) for step in steps]


def _row(step: StepRun, titles: Mapping[str, str]) -> TimelineRow:
    told = _escalation(step.output)
    if told is None or len(told.engines) < 2:
        return TimelineRow(step, [])
    return TimelineRow(
        step=step,
        engines=[_engine(share, titles) for share in told.engines],
        cases=told.cases,
        escalated=told.escalated,
        beyond_microusd=sum(share.cost_microusd for share in told.engines[1:]),
    )


def _escalation(output: Any) -> Escalation | None:
    """None where the step has none, or one of an earlier form."""
    told = output.get("escalation") if isinstance(output, dict) else None
    try:
        return None if told is None else Escalation.model_validate(told)
    except ValidationError:
        return None


def _engine(share: EngineShare, titles: Mapping[str, str]) -> EngineRow:
    return EngineRow(
        engine=share.engine,
        version=share.version,
        asked=_named(share.asked, titles),
        answered=_named(share.answered, titles),
        error=share.error,
        run_ms=share.run_ms,
        cost_microusd=share.cost_microusd,
    )


def _named(parts: Mapping[str, int], titles: Mapping[str, str]) -> str:
    """In the plan's order: a JSON column does not keep any."""
    order = [*titles, *sorted(set(parts) - {*titles, STATE}), STATE]
    names = [titles.get(part, part) for part in order if part in parts]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
