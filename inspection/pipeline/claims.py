"""Who may work on a step: claims by conditional update, with a lease and a fencing token.

All times are the database's, so that clocks of several machines don't matter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from inspection.models import StepRun
from inspection.models.choices import StepStatus

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 6
"""A step that was begun this often without an end is given up."""


LONGEST_WAIT_MS = 2**31 - 1
"""What the column holds: 24 days. Loupe may have been stopped for longer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one step. ``attempt`` is the fencing token: it is worth something only
    while it is still the row's. ``wait_ms``: from being queued to being begun."""

    step_id: UUID
    run_id: UUID
    step: str
    attempt: int
    wait_ms: int
    worker: str = ""


def release_connection() -> None:
    """Give the database connection back to the pool, unless a transaction of the caller needs it.

    A broken connection is thrown away by the pool.
    """
    if not connection.in_atomic_block:
        connection.close()


def lease() -> timedelta:
    """How long a claim holds without a heartbeat."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def rested() -> Q:
    """Steps that do not pause before their next attempt."""
    return Q(not_before__isnull=True) | Q(not_before__lte=Now())


TAKE = """
    UPDATE inspection_steprun AS step
    SET status = 'running', attempt = step.attempt + 1, worker = %(worker)s, not_before = NULL,
        started_at = statement_timestamp(), lease_until = statement_timestamp() + %(lease)s
    FROM inspection_run AS run
    WHERE run.id = step.run_id AND run.status = 'running'
      AND step.run_id = %(run)s AND step.step = ANY(%(steps)s)
      AND (step.status = 'queued'
           AND (step.not_before IS NULL OR step.not_before <= statement_timestamp())
           OR step.status = 'running' AND step.lease_until < statement_timestamp())
    RETURNING step.id, step.run_id, step.step, step.attempt,
              1000 * extract(epoch FROM step.started_at - step.queued_at)
"""
"""Finds a due step (queued and rested, or left behind by a dead worker) and claims it, in one
statement: of two workers at once the second waits for the first, looks again and finds nothing."""


TAKE_ALIKE = """
    WITH due AS (
        SELECT step.id
        FROM inspection_steprun AS step
        JOIN inspection_run AS run ON run.id = step.run_id AND run.status = 'running'
        JOIN inspection_inspection AS unit ON unit.id = run.inspection_id
        WHERE step.status = 'queued' AND step.attempt = 0
          AND unit.plan_version_id = (
              SELECT plan_version_id FROM inspection_inspection
              WHERE id = (SELECT inspection_id FROM inspection_run WHERE id = %(run)s))
          AND step.id IN (
              SELECT id FROM inspection_steprun WHERE status = 'queued' AND step = %(step)s
              ORDER BY queued_at LIMIT %(ahead)s)
        ORDER BY step.queued_at LIMIT %(most)s
        FOR UPDATE OF step SKIP LOCKED)
    UPDATE inspection_steprun AS step
    SET status = 'running', attempt = 1, worker = %(worker)s,
        started_at = statement_timestamp(), lease_until = statement_timestamp() + %(lease)s
    FROM due
    WHERE step.id = due.id
    RETURNING step.id, step.run_id, step.step, step.attempt,
              1000 * extract(epoch FROM step.started_at - step.queued_at)
"""
"""Claims steps of other units to be done together with one that is held: the same step by the same
version of a plan, those that wait longest first. Rows that another worker is about to claim are
passed over, so nobody waits for anybody. A step that was begun before is left to be done alone: it
may be what its worker died of."""

LOOK_AHEAD = 100
"""Company is looked for among this many of the steps that wait longest, however many wait."""


def take(run_id: UUID, steps: list[str], worker: str) -> Claim | None:
    """Claim the run's due step if it is one of ``steps``; None where there is nothing to do."""
    worker = worker[:200]
    given: dict[str, Any] = {"run": run_id, "steps": steps, "worker": worker}
    with connection.cursor() as cursor:
        cursor.execute(TAKE, given | {"lease": lease()})
        won = cursor.fetchone()
    return _claim(worker, *won) if won else None


def take_alike(claim: Claim, most: int) -> list[Claim]:
    """Claim up to ``most`` steps of other units that can be done together with this one."""
    given: dict[str, Any] = {"run": claim.run_id, "step": claim.step, "worker": claim.worker}
    with connection.cursor() as cursor:
        cursor.execute(TAKE_ALIKE, given | {"most": most, "ahead": LOOK_AHEAD, "lease": lease()})
        return [_claim(claim.worker, *won) for won in cursor.fetchall()]


def _claim(
    worker: str, step_id: UUID, run_id: UUID, step: str, attempt: int, waited: float | None
) -> Claim:
    waited_ms = min(LONGEST_WAIT_MS, max(0, round(waited or 0)))
    return Claim(step_id, run_id, step, attempt, waited_ms, worker)


def go_straight_on(row: StepRun, before: Claim) -> Claim:
    """Claim a step that follows in the same worker, in the transaction that ends the one before:
    it need not be queued, found and claimed first."""
    begun = StepRun.objects.filter(pk=row.pk, status=StepStatus.WAITING).update(
        status=StepStatus.RUNNING,
        attempt=row.attempt + 1,
        worker=before.worker,
        queued_at=Now(),
        started_at=Now(),
        lease_until=Now() + lease(),
    )
    if not begun:
        raise RuntimeError(f"step {row.pk} was begun although its run is locked")
    return Claim(row.pk, before.run_id, row.step, row.attempt + 1, 0, before.worker)


def held(claim: Claim) -> QuerySet[StepRun]:
    """The step's row, if the claim is still good; update through this only."""
    return StepRun.objects.filter(
        pk=claim.step_id, attempt=claim.attempt, status=StepStatus.RUNNING
    )


def renew(claim: Claim) -> bool:
    """Prolong the lease; False where the claim is lost."""
    return held(claim).update(lease_until=Now() + lease()) == 1


def tell(claims: Iterable[Claim], words: str) -> None:
    """Show the people who wait for these steps what is going on; the end of a step replaces it."""
    for claim in claims:
        held(claim).update(reason=words)


def put_back(claim: Claim, error: str, pause: timedelta) -> bool:
    """Give the step back to the queue, to be begun again after a pause."""
    return (
        held(claim).update(
            status=StepStatus.QUEUED,
            error=error[:2000],
            lease_until=None,
            not_before=Now() + pause,
        )
        == 1
    )


def pause_after(attempt: int, asked: float | None = None) -> timedelta:
    """How long to wait before the next attempt: 2, 4, 8 … seconds, or longer where asked to."""
    return timedelta(seconds=min(300.0, max(2.0**attempt, asked or 0.0)))


class Holding:
    """The claims that a worker holds at the moment; a thread renews their leases meanwhile.

    A claim that is lost is let go: its work is discarded when it is to be saved.
    """

    def __init__(self) -> None:
        self._claims: dict[UUID, Claim] = {}
        self._lock = threading.Lock()

    def hold(self, claims: Iterable[Claim]) -> None:
        with self._lock:
            self._claims |= {claim.step_id: claim for claim in claims}

    def let_go(self, claims: Iterable[Claim]) -> None:
        with self._lock:
            for claim in claims:
                self._claims.pop(claim.step_id, None)

    def held(self) -> list[Claim]:
        with self._lock:
            return list(self._claims.values())

    def renew(self) -> None:
        """One statement for each: a single one for all could lock rows crosswise with another."""
        self.let_go([claim for claim in self.held() if not renew(claim)])


@contextmanager
def heartbeat() -> Iterator[Holding]:
    """Renew the leases of what is held from a thread of its own while the block runs."""
    holding, stop = Holding(), threading.Event()
    thread = threading.Thread(target=_beat, args=(holding, stop), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield holding
    finally:
        stop.set()
        thread.join()


def _beat(holding: Holding, stop: threading.Event) -> None:
    while not stop.wait(settings.LEASE_SECONDS / 3):
        try:
            holding.renew()
        except DatabaseError as error:
            # Postgres may be restarting: the next beat may come through before the leases end.
            logger.warning("heartbeat failed: %s", error)
        finally:
            release_connection()
