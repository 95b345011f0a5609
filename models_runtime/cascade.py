"""A cascade: engines in order of cost, each asked only if those before were unsure, then a person.

Confidences must be calibrated, or a threshold means nothing (Guo et al. 2017).
"""

from __future__ import annotations

import time
from collections import Counter
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
    """One call of one engine. Cost in millionths of a US dollar; ``error`` empty if it answered.

    ``asked`` and ``answered`` name the parts of a question that can be split: what this engine was
    asked, and for what of it its answer counts in the end.
    """

    architecture: Architecture
    engine: str
    version: str
    run_ms: float
    cost_microusd: int
    confidence: Probability | None = None
    error: str = ""
    asked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()


class EngineShare(Value):
    """What one engine did in several cases: in how many it was asked, and how often for each part,
    how often its answer counts, how often it failed, its time and its cost together."""

    architecture: Architecture
    engine: str
    version: str
    cases: int
    failed: int
    run_ms: float
    cost_microusd: int
    asked: dict[str, int]
    answered: dict[str, int]
    error: str = ""


class Escalation(Value):
    """How many of several cases went beyond the first engine, and what each engine did."""

    cases: int
    escalated: int
    engines: tuple[EngineShare, ...]


@dataclass(frozen=True, slots=True)
class Called(Generic[T]):
    """What came of one call about several items. ``run``: an item's share of it. ``values``: one
    per item, none where the engine could not be loaded or failed, which ``error`` says."""

    run: EngineRun
    ref: EngineRef
    values: tuple[T, ...]
    error: EngineError | None = None


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


def escalation_of(cases: Sequence[Sequence[EngineRun]]) -> Escalation:
    """Add up what ran in several cases; engines in the order in which they came first."""
    by_engine: dict[tuple[str, str], list[EngineRun]] = {}
    for place in range(max(map(len, cases), default=0)):
        for run in (ran[place] for ran in cases if place < len(ran)):
            by_engine.setdefault((run.engine, run.version), []).append(run)
    return Escalation(
        cases=len(cases),
        escalated=sum(len(ran) > 1 for ran in cases),
        engines=tuple(_share(runs) for runs in by_engine.values()),
    )


def _share(runs: Sequence[EngineRun]) -> EngineShare:
    return EngineShare(
        architecture=runs[0].architecture,
        engine=runs[0].engine,
        version=runs[0].version,
        cases=len(runs),
        failed=sum(bool(run.error) for run in runs),
        run_ms=round(sum(run.run_ms for run in runs), 3),
        cost_microusd=sum(run.cost_microusd for run in runs),
        asked=dict(Counter(part for run in runs for part in run.asked)),
        answered=dict(Counter(part for run in runs for part in run.answered)),
        error=next((run.error for run in reversed(runs) if run.error), ""),
    )


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
    called = call_engine(tier, lambda engine: call(engine, [c.item for c in cases]), len(cases))
    if called.error is not None:
        for case in cases:
            case.ran.append(called.run)
        return called.error
    for case, value in zip(cases, called.values, strict=True):
        sure = confidence(value)
        case.ran.append(called.run.model_copy(update={"confidence": sure}))
        case.answers.append((sure, value, called.ref))
        case.sure = sure >= threshold
    return None


def call_engine(tier: Tier[E], call: Callable[[E], Sequence[T]], items: int) -> Called[T]:
    """Load an engine and ask it about so many items at once. InputError goes through."""
    started = time.perf_counter()
    ref = EngineRef(architecture=tier.architecture, engine=tier.name, version="")
    values: tuple[T, ...] = ()
    failure: EngineError | None = None
    try:
        engine = tier.load()
        ref, started = engine.ref, time.perf_counter()
        values = tuple(call(engine))
    except (TransientError, FatalError) as error:
        failure = error
    share = (time.perf_counter() - started) * 1000 / max(1, items)
    run = EngineRun(
        architecture=ref.architecture,
        engine=ref.engine,
        version=ref.version,
        run_ms=round(share, 3),
        cost_microusd=cost_microusd(share, tier.cost_per_hour),
        error=str(failure)[:500] if failure else "",
    )
    return Called(run, ref, values, failure)


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
