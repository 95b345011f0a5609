"""A cascade: engines in order of cost, each asked only if those before were unsure, then a person.

Confidences must be calibrated, or a threshold means nothing (Guo et al. 2017).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from models_runtime.contracts import Architecture, Engine, EngineRef, Probability, Value
from models_runtime.errors import EngineError, FatalError, TransientError

E = TypeVar("E", bound=Engine)
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 the item type, as T is the answer type


@dataclass(frozen=True, slots=True)
class Tier(Generic[E]):
    """An engine that is loaded when its turn comes. ``cost_per_hour`` of its machine in US dollars.

    ``name`` stands in the record where it can't even be loaded.
    """

    architecture: Architecture
    name: str
    load: Callable[[], E]
    cost_per_hour: float = 0.0


class EngineRun(Value):
    """One call of one engine. Cost in millionths of a US dollar; ``error`` empty if it answered."""

    architecture: Architecture
    engine: str
    version: str
    run_ms: float
    cost_microusd: int
    confidence: Probability | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CascadeAnswer(Generic[T]):
    """The answer that counts, who was asked, and whether it went up or on to a person.

    ``escalated``: a later engine than the first was asked. ``to_person``: no engine was sure.
    """

    value: T
    ref: EngineRef
    confidence: float
    ran: tuple[EngineRun, ...]
    escalated: bool
    to_person: bool
    reason: str

    @property
    def run_ms(self) -> float:
        return sum(run.run_ms for run in self.ran)

    @property
    def cost_microusd(self) -> int:
        return sum(run.cost_microusd for run in self.ran)


@dataclass
class _Case(Generic[I, T]):
    """What is known of one item while it goes up the cascade."""

    item: I
    ran: list[EngineRun] = field(default_factory=list)
    answers: list[tuple[float, T, EngineRef]] = field(default_factory=list)
    sure: bool = False


def cost_microusd(run_ms: float, cost_per_hour: float) -> int:
    """Price of compute time: milliseconds at US dollars per hour, in millionths of a dollar."""
    return round(run_ms / 3_600_000 * cost_per_hour * 1_000_000)


def run_cascade(
    tiers: Sequence[Tier[E]],
    call: Callable[[E], T],
    confidence: Callable[[T], float],
    threshold: float,
) -> CascadeAnswer[T]:
    """Ask the engines in order until one is at least ``threshold`` sure of one case."""
    (answer,) = run_cascade_many(
        tiers, [None], lambda engine, _: [call(engine)], confidence, threshold
    )
    return answer


def run_cascade_many(
    tiers: Sequence[Tier[E]],
    items: Sequence[I],
    call: Callable[[E, list[I]], list[T]],
    confidence: Callable[[T], float],
    threshold: float,
) -> list[CascadeAnswer[T]]:
    """Ask each engine about all items that are still unsure, in one call; one answer per item.

    Where none is sure, the surest answer stands and goes to a person. An engine that is down or
    broken is passed over while another can answer; if all fail, the last error is raised.
    InputError is raised at once: no other engine can read that input either.
    """
    if not tiers:
        raise FatalError("a cascade needs at least one engine")
    cases: list[_Case[I, T]] = [_Case(item) for item in items]
    failure: EngineError | None = None
    for tier in tiers:
        unsure = [case for case in cases if not case.sure]
        if not unsure:
            break
        failure = _ask(tier, unsure, call, confidence, threshold) or failure
    if failure and any(not case.answers for case in cases):
        raise failure
    return [_settle(case, threshold) for case in cases]


def _ask(
    tier: Tier[E],
    cases: list[_Case[I, T]],
    call: Callable[[E, list[I]], list[T]],
    confidence: Callable[[T], float],
    threshold: float,
) -> EngineError | None:
    """Let one engine answer; its failure is noted with each case and returned."""
    started = time.perf_counter()
    ref = EngineRef(architecture=tier.architecture, engine=tier.name, version="")
    try:
        engine = tier.load()
        ref, started = engine.ref, time.perf_counter()
        values = call(engine, [case.item for case in cases])
    except (TransientError, FatalError) as error:
        share = (time.perf_counter() - started) * 1000 / len(cases)
        for case in cases:
            case.ran.append(_engine_run(tier, ref, share, None, str(error)))
        return error
    share = (time.perf_counter() - started) * 1000 / len(cases)
    for case, value in zip(cases, values, strict=True):
        sure = confidence(value)
        case.ran.append(_engine_run(tier, ref, share, sure, ""))
        case.answers.append((sure, value, ref))
        case.sure = sure >= threshold
    return None


def _engine_run(
    tier: Tier[E], ref: EngineRef, ms: float, sure: float | None, error: str
) -> EngineRun:
    return EngineRun(
        architecture=ref.architecture,
        engine=ref.engine,
        version=ref.version,
        run_ms=round(ms, 3),
        cost_microusd=cost_microusd(ms, tier.cost_per_hour),
        confidence=sure,
        error=error[:500],
    )


def _settle(case: _Case[I, T], threshold: float) -> CascadeAnswer[T]:
    sure, value, ref = max(case.answers, key=lambda answer: answer[0])
    return CascadeAnswer(
        value=value,
        ref=ref,
        confidence=sure,
        ran=tuple(case.ran),
        escalated=len(case.ran) > 1,
        to_person=sure < threshold,
        reason=_in_words(case.ran, threshold, sure < threshold),
    )


def _in_words(ran: list[EngineRun], threshold: float, to_person: bool) -> str:
    told = [
        f"{run.engine} failed ({run.error})"
        if run.confidence is None
        else f"{run.engine} was {run.confidence:.0%} sure"
        for run in ran
    ]
    needed = f"{threshold:.0%} needed"
    ending = f"{needed}; a person decides" if to_person else needed
    return ", then ".join(told) + f" ({ending})"
