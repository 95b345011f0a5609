"""Drives a run from step to step. Rows are the truth; a message only says "look now"."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import sleep as rest
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from inspection.models import Run, StepRun
from inspection.models.choices import StepStatus
from inspection.pipeline import PIPELINE, claims, progress, runtime
from inspection.pipeline.claims import MAX_ATTEMPTS, Claim
from inspection.pipeline.step import Step, Trace
from inspection.pipeline.wake import wake
from inspection.services.runs import look_again_for_late_photos
from models_runtime.errors import FatalError, InputError, TransientError

logger = logging.getLogger(__name__)

LOST_DATABASE = (OperationalError, InterfaceError)
SAVE_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
LOOK_AGAIN = 0.02
"""Seconds between looks for units to take along, where a setting says to wait for them."""
S = TypeVar("S")
T = TypeVar("T")
Computed = tuple[Any, Trace]


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed step. ``run``: its rows as the step before left them, where that was here."""

    claim: Claim
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that was saved. ``following``: the next one, where it is for the same queue."""

    following: Work | None = None


@dataclass(frozen=True, slots=True)
class Unit(Generic[T]):
    """One unit on its way through a step: the right to work on it, and what there is of it."""

    claim: Claim
    of: T


@dataclass
class Shift:
    """What one call of a worker holds. ``crashes``: defects of ours that came up on the way."""

    holding: claims.Holding
    done: int = 0
    crashes: list[Exception] = field(default_factory=list)


def advance(run_id: UUID, queue: str, worker: str = "") -> int:
    """Do all the steps of a run that are due in this queue, one after the other; how many.

    Consecutive steps of one queue need no message between them. Where a step can do several units
    in one pass, units that wait for the same are taken along, through what follows as well.
    """
    claim = claims.take(run_id, [s.name.value for s in PIPELINE if s.queue == queue], worker)
    if claim is None:
        return 0
    if claim.step == PIPELINE[0].name:
        progress.mark_running(run_id)
    with claims.heartbeat() as holding:
        shift, waves = Shift(holding), [[Work(claim)]]
        holding.hold([claim])
        with _given_back_when_stopped(holding):
            while waves:
                waves = _in_waves(_perform(shift, waves.pop(0))) + waves
    if shift.crashes:
        raise shift.crashes[0]
    return shift.done


def _in_waves(works: list[Work]) -> list[list[Work]]:
    """What is to be done next, in the order of the pipeline: together where the step can do that,
    else one by one, so that each is saved as soon as it is done."""
    waves: list[list[Work]] = []
    for step in PIPELINE:
        same = [work for work in works if work.claim.step == step.name]
        waves += [[work] for work in same] if step.compute_many is None else [same]
    return [wave for wave in waves if wave]


def _perform(shift: Shift, wave: list[Work]) -> list[Work]:
    """Run one claimed step of several units to its end; what follows for them in this queue."""
    step = progress.step_named(wave[0].claim.step)
    wave = wave + _company(shift, step, wave)
    units = [Unit(work.claim, work) for work in wave]
    ended = _run(shift, step, units)
    shift.holding.let_go([unit.claim for unit in units])
    shift.done += len(ended)
    return [one.of.following for one in ended if one.of.following is not None]


def _company(shift: Shift, step: Step[Any, Any], wave: list[Work]) -> list[Work]:
    """Units that wait for the same, to be done in the same pass. What was begun before goes alone:
    it may have stopped its worker, and must not do so to others again."""
    if step.compute_many is None or any(work.claim.attempt > 1 for work in wave):
        return []
    room, taken = settings.BATCH - len(wave), list[Claim]()
    deadline = time.monotonic() + settings.BATCH_WAIT_MS / 1000
    while room > len(taken):
        found = claims.take_alike(wave[0].claim, room - len(taken))
        shift.holding.hold(found)
        taken += found
        if len(taken) == room or time.monotonic() >= deadline:
            break
        rest(LOOK_AGAIN)
    return [Work(claim) for claim in taken]


def _run(shift: Shift, step: Step[Any, Any], units: Sequence[Unit[Work]]) -> list[Unit[Ended]]:
    began = time.perf_counter()
    loaded = _each(shift, units, lambda one: step.load(_rows_of(one.of)))
    if told := runtime.still_loading(step.queue):
        claims.tell([one.claim for one in loaded], told)
    # Back to the pool: a model may take a minute, and connections are few.
    claims.release_connection()
    computed = _computed(shift, step, loaded)
    share_ms = (time.perf_counter() - began) * 1000 / len(units)

    def save(one: Unit[Computed]) -> Ended | None:
        result, trace = one.of
        ended = _persistently(partial(_finish, one.claim, step, result, trace, share_ms))
        # From here on it is the next step that is held.
        shift.holding.let_go([one.claim])
        if ended and ended.following:
            shift.holding.hold([ended.following.claim])
        return ended

    return [Unit(one.claim, one.of) for one in _each(shift, computed, save) if one.of is not None]


def _rows_of(work: Work) -> Run:
    return work.run or progress.loaded_run(work.claim.run_id)


def _computed(
    shift: Shift, step: Step[Any, Any], loaded: Sequence[Unit[Any]]
) -> list[Unit[Computed]]:
    """In one pass where the step can; where that fails, each by itself, and to its own end."""
    if step.compute_many is None or len(loaded) < 2:
        return _each(shift, loaded, lambda one: step.compute(one.of))
    try:
        results = step.compute_many([one.of for one in loaded])
        return [Unit(one.claim, of) for one, of in zip(loaded, results, strict=True)]
    except TransientError as error:  # it is the engine that can't now, not a unit that is bad
        for one in loaded:
            _try_later(one.claim, error)
        return []
    except Exception as error:  # noqa: BLE001 one bad unit may raise anything; alone it will again
        logger.warning("%s: one pass over %s units failed: %s", step.name, len(loaded), error)
        return _each(shift, loaded, lambda one: step.compute(one.of))


def _each(shift: Shift, units: Sequence[Unit[S]], do: Callable[[Unit[S]], T]) -> list[Unit[T]]:
    """Do something for each unit. An error of one ends in its own row; the others go on."""
    done = []
    for unit in units:
        with _answering_for(shift, unit.claim):
            done.append(Unit(unit.claim, do(unit)))
    return done


@contextmanager
def _answering_for(shift: Shift, claim: Claim) -> Iterator[None]:
    """Write down what goes wrong with one unit where the person who waits for it will look."""
    try:
        yield
    except InputError as error:
        give_up(claim, str(error))
    except FatalError as error:
        logger.error("step %s of run %s can't work: %s", claim.step, claim.run_id, error)
        give_up(claim, f"The step {claim.step} can't work until an admin repairs it: {error}")
    except TransientError as error:
        _try_later(claim, error)
    except LOST_DATABASE as error:
        # The lease runs out and the sweeper sends the step again.
        logger.warning("step %s lost the database: %s", claim.step, error)
        claims.release_connection()
    except Exception as error:  # noqa: BLE001 a defect of ours surfaces once the others are done
        claims.release_connection()
        _after_crash(claim)
        shift.crashes.append(error)


def _persistently(save: Callable[[], T]) -> T:
    """Save through a restart of Postgres: what a model computed is dear."""
    for pause in SAVE_PAUSES:
        try:
            return save()
        except LOST_DATABASE as error:
            logger.warning("saving failed, again in %s s: %s", pause, error)
            claims.release_connection()
            rest(pause)
    return save()


@transaction.atomic
def _finish(
    claim: Claim, step: Step[Any, Any], result: object, trace: Trace, run_ms: float
) -> Ended | None:
    """Result, end of the step and begin of the next one, all or nothing, while the claim holds."""
    ours = claims.held(claim).update(
        status=StepStatus.DONE,
        finished_at=Now(),
        lease_until=None,
        architecture=trace.architecture.value,
        engine=trace.engine[:200],
        engine_version=trace.version[:200],
        reason=trace.reason,
        confidence=trace.confidence,
        escalated=trace.escalated,
        output=trace.output,
        cost_microusd=_cost(trace, run_ms),
        wait_ms=claim.wait_ms,
        run_ms=round(run_ms, 2),
        error="",
    )
    if not ours:
        return _saved_before(claim, step)
    run = progress.locked_run(claim.run_id)
    step.save(run, result)
    following = progress.next_step(run)
    if following is None:
        look_again_for_late_photos(run)
        return Ended()
    if progress.step_named(following.step).queue == step.queue:
        return Ended(Work(claims.go_straight_on(following, claim), run))
    transaction.on_commit(partial(wake, run.pk, progress.put_in_queue(following)))
    return Ended()


def _saved_before(claim: Claim, step: Step[Any, Any]) -> Ended | None:
    """The answer to our COMMIT was lost: go on. Or another worker has taken over: leave it."""
    rows = StepRun.objects.filter(run=claim.run_id)
    if not rows.filter(pk=claim.step_id, attempt=claim.attempt, status=StepStatus.DONE).exists():
        logger.info("step %s was taken over; this result is discarded", claim.step_id)
        return None
    names = [one.name for one in PIPELINE if one.queue == step.queue]
    begun = rows.filter(step__in=names, status=StepStatus.RUNNING, attempt=1, worker=claim.worker)
    row = begun.only("run", "step").first()
    if row is None:
        return Ended()
    return Ended(Work(Claim(row.pk, claim.run_id, row.step, 1, 0, claim.worker)))


def _cost(trace: Trace, run_ms: float) -> int:
    if trace.cost_microusd is not None:
        return trace.cost_microusd
    return round(run_ms / 3_600_000 * settings.COST_PER_HOUR_USD * 1_000_000)


def _try_later(claim: Claim, error: TransientError) -> None:
    if claim.attempt >= MAX_ATTEMPTS:
        give_up(claim, f"The step {claim.step} failed {claim.attempt} times: {error}")
        return
    logger.warning("step %s, attempt %s: %s", claim.step, claim.attempt, error)
    _persistently(
        partial(
            claims.put_back,
            claim,
            str(error),
            claims.pause_after(claim.attempt, error.retry_after),
        )
    )


@contextmanager
def _given_back_when_stopped(holding: claims.Holding) -> Iterator[None]:
    """A worker that is told to stop in the middle leaves nothing behind that must be waited for."""
    try:
        yield
    except LOST_DATABASE as error:
        # The leases run out and the sweeper sends the steps again.
        logger.warning("a worker lost the database: %s", error)
        claims.release_connection()
    except BaseException:
        claims.release_connection()
        for claim in holding.held():
            _after_crash(claim)
        raise


def _after_crash(claim: Claim) -> None:
    if claim.attempt >= MAX_ATTEMPTS:
        give_up(claim, f"The step {claim.step} crashed {claim.attempt} times. See the log.")
    else:
        pause = claims.pause_after(claim.attempt)
        claims.put_back(claim, "The step crashed; it will be tried again. See the log.", pause)


def give_up(claim: Claim, message: str) -> None:
    """End the run without a verdict, with words for the person who waits for it."""
    _persistently(partial(_fail, claim, message))


@transaction.atomic
def _fail(claim: Claim, message: str) -> None:
    failed = claims.held(claim).update(
        status=StepStatus.FAILED,
        finished_at=Now(),
        lease_until=None,
        error=message[:2000],
        wait_ms=claim.wait_ms,
    )
    if failed:
        run = progress.locked_run(claim.run_id)
        progress.fail_run(run, message)
        look_again_for_late_photos(run)


def give_up_on_killer(row: StepRun) -> None:
    """Fail a step whose workers keep dying under it, rather than killing the next one too."""
    claim = Claim(row.pk, row.run_id, row.step, row.attempt, 0)
    give_up(
        claim,
        f"The step {row.step} stopped its worker {row.attempt} times. A photo may need more "
        "memory than this machine has: scale it down, or ask an admin to look at the log.",
    )
