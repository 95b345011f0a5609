"""Drives a run from step to step. Rows are the truth; a message only says "look now"."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from inspection.models import Run, StepRun
from inspection.models.choices import StepStatus
from inspection.pipeline import PIPELINE, claims, progress
from inspection.pipeline.claims import MAX_ATTEMPTS, Claim
from inspection.pipeline.step import Step, Trace
from inspection.pipeline.wake import wake
from inspection.services.runs import look_again_for_late_photos
from models_runtime.errors import FatalError, InputError, TransientError

logger = logging.getLogger(__name__)

LOST_DATABASE = (OperationalError, InterfaceError)
SAVE_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed step. ``run``: its rows as the step before left them, where that was here."""

    claim: Claim
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that was saved. ``following``: the next one, where it is for the same queue."""

    following: Work | None = None


def advance(run_id: UUID, queue: str, worker: str = "") -> int:
    """Do all the steps of a run that are due in this queue, one after the other; how many.

    Consecutive steps of one queue need no message between them.
    """
    claim = claims.take(run_id, [s.name.value for s in PIPELINE if s.queue == queue], worker)
    if claim is not None and claim.step == PIPELINE[0].name:
        progress.mark_running(run_id)
    work = Work(claim) if claim else None
    done = 0
    while work is not None and (ended := _perform(work)) is not None:
        done += 1
        work = ended.following
    return done


def _perform(work: Work) -> Ended | None:
    """Run one claimed step to its end; None where it found no good end here."""
    claim, step = work.claim, progress.step_named(work.claim.step)
    try:
        with _given_back_on_a_crash(claim), claims.heartbeat(claim):
            return _run(work, step)
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
    return None


def _run(work: Work, step: Step[Any, Any]) -> Ended | None:
    began, claim = time.perf_counter(), work.claim
    given = step.load(work.run or progress.loaded_run(claim.run_id))
    # Back to the pool: a model may take a minute, and connections are few.
    claims.release_connection()
    result, trace = step.compute(given)
    run_ms = (time.perf_counter() - began) * 1000
    return _persistently(partial(_finish, claim, step, result, trace, run_ms))


def _persistently(save: Callable[[], T]) -> T:
    """Save through a restart of Postgres: what a model computed is dear."""
    for pause in SAVE_PAUSES:
        try:
            return save()
        except LOST_DATABASE as error:
            logger.warning("saving failed, again in %s s: %s", pause, error)
            claims.release_connection()
            time.sleep(pause)
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
def _given_back_on_a_crash(claim: Claim) -> Iterator[None]:
    """Whatever else goes wrong is a defect of ours: it surfaces, and the step is not stuck."""
    expected = (InputError, TransientError, FatalError, *LOST_DATABASE)
    crashed = True
    try:
        yield
        crashed = False
    except expected:
        crashed = False
        raise
    finally:
        if crashed:
            claims.release_connection()
            _after_crash(claim)


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
