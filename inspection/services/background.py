"""Jobs in the background: claimed by one worker at a time, picked up after a kill, cancelled.

A job that takes minutes runs in a thread of the worker that heard of it, so that the worker's queue
goes on meanwhile. The thread keeps the claim while it works; if the worker dies, the claim runs
out, the sweeper sends the job again, and it starts from the beginning.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from inspection.models.background import BackgroundJob, JobStatus

logger = logging.getLogger(__name__)

Model = type[BackgroundJob]
LEASE = timedelta(seconds=60)
BEAT_SECONDS = 1.0
MOST_ATTEMPTS = 5
OPEN = (JobStatus.WAITING, JobStatus.RUNNING)
CRASHED = "It crashed. Try it again; if that does not help, an admin finds why in the log."
KILLER = "The worker died over it, several times. An admin finds why in the log."


class LostClaimError(Exception):
    """The job was cancelled, or another worker has taken over."""


class JobFailedError(Exception):
    """The job can't be done; the message says what to do."""


@dataclass
class Claim:
    """The right to work on a job, while ``attempt`` is still the row's."""

    model: Model
    id: UUID
    attempt: int
    _told: float = field(default=0.0, repr=False)

    def rows(self) -> QuerySet[Any]:
        """The row, while it is ours."""
        rows: QuerySet[Any] = self.model.objects.filter(
            pk=self.id, attempt=self.attempt, status=JobStatus.RUNNING
        )
        return rows

    def beat(self, done: int) -> None:
        """Keep the claim and say how far the job is, at most once a second. LostClaimError where it
        is no longer ours."""
        if time.monotonic() - self._told < BEAT_SECONDS:
            return
        self.save(done=done)

    def save(self, **values: object) -> None:
        """Write values into the row and keep the claim."""
        if not self.rows().update(lease_until=Now() + LEASE, **values):
            raise LostClaimError
        self._told = time.monotonic()

    def end(self, status: JobStatus, message: str = "", **values: object) -> bool:
        """Write the end of the job; False where it is no longer ours."""
        told = {"status": status, "message": message[:2000], "lease_until": None}
        return bool(self.rows().update(finished_at=Now(), **told, **values))


def free() -> Q:
    """Jobs that a worker may claim."""
    return Q(status=JobStatus.WAITING) | Q(status=JobStatus.RUNNING, lease_until__lte=Now())


def claim(model: Model, job_id: UUID) -> Claim | None:
    """Take a job; None where there is nothing to do, or somebody else is at it."""
    rows = model.objects.filter(free(), pk=job_id)
    worn = rows.filter(attempt__gte=MOST_ATTEMPTS)
    worn.update(status=JobStatus.FAILED, message=KILLER, finished_at=Now(), lease_until=None)
    won = rows.update(status=JobStatus.RUNNING, attempt=F("attempt") + 1, lease_until=Now() + LEASE)
    if not won:
        return None
    return Claim(model, job_id, model.objects.values_list("attempt", flat=True).get(pk=job_id))


def work(model: Model, job_id: UUID, do: Callable[[Claim], None]) -> None:
    """Do a job, if it is free; ``do`` writes its end when all went well."""
    mine = claim(model, job_id)
    if mine is None:
        return
    try:
        do(mine)
    except LostClaimError:
        return
    except JobFailedError as error:
        mine.end(JobStatus.FAILED, str(error))
    except Exception:
        mine.end(JobStatus.FAILED, CRASHED)
        raise


def cancel(rows: QuerySet[BackgroundJob], who: str) -> bool:
    """Stop the jobs of these rows that have not ended; the worker finds out at its next beat."""
    told = {"message": f"Cancelled by {who}.", "lease_until": None, "finished_at": Now()}
    waiting = rows.filter(status__in=[*OPEN, JobStatus.READY])
    return bool(waiting.update(status=JobStatus.CANCELLED, **told))


def due(model: Model, most: int = 20) -> list[UUID]:
    """Jobs that wait for a worker, for the sweeper."""
    rows = model.objects.filter(free(), created_at__lt=Now() - timedelta(seconds=3))
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:most])


def to_end(job: BackgroundJob, work: Callable[[UUID], None], told: Callable[[str], None]) -> None:
    """Work at a job until it is no longer open, for the command line; a worker may have it."""
    last = ""
    while True:
        work(job.pk)
        job.refresh_from_db()
        line = f"{job.done} of {job.total}" if job.total else ""
        if line not in ("", last):
            told(line)
        last = line
        if job.status not in OPEN:
            return
        time.sleep(0.5)


_busy = threading.Lock()


def in_thread(name: str, do: Callable[[], None]) -> bool:
    """Run it beside the worker's messages, one at a time in a process; False where one runs: then
    the sweeper sends the job again."""
    if not _busy.acquire(blocking=False):
        return False
    threading.Thread(target=_run, args=(do,), daemon=True, name=name).start()
    return True


def _run(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception:
        logger.exception("a job in the background crashed")
    finally:
        connection.close()
        _busy.release()
