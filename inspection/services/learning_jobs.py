"""Learning in the background: started, cancelled, worked at in slices, picked up after a kill.

A slice is a few seconds of work in a worker that also serves live photos, so that these wait for no
more than that. Whatever a slice has done is in rows; progress is saved only while the claim holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from inspection.models import LearningJob, Membership, Plan, User
from inspection.models.choices import Role
from inspection.models.learning import LearningStatus
from inspection.pipeline import wake
from models_runtime.errors import EngineError

logger = logging.getLogger(__name__)

LEARN = "inspection.learning_tasks.learn"
QUEUE = "vision"
LEASE = timedelta(seconds=120)
SLICE_SECONDS = 5.0
OPEN = (LearningStatus.WAITING, LearningStatus.RUNNING)
CRASHED = "The job crashed. Start it again; if that does not help, an admin finds why in the log."


class LearningRefusedError(Exception):
    """It can't be done so; the message says what to do."""


class LostClaimError(Exception):
    """The job was cancelled, or another worker has taken over."""


class TooFewVerdictsError(Exception):
    """There is too little to learn from; the message says how much is missing."""


@dataclass(frozen=True, slots=True)
class JobClaim:
    """The right to work on a job, while ``attempt`` is still the row's."""

    id: UUID
    attempt: int


def start(membership: Membership, plan: Plan) -> LearningJob:
    """Start learning for a plan; the job under way, if there is one."""
    if not membership.allows(Role.MANAGER):
        raise LearningRefusedError("Only quality managers start learning. Ask one of them.")
    return start_for(plan, membership.user)


def start_for(plan: Plan, user: User | None) -> LearningJob:
    """The same for the command line, where nobody is signed in."""
    if plan.current is None or not plan.current.parsed().defects:
        raise LearningRefusedError("The plan has no defect catalogue yet. Write one first.")
    try:
        with transaction.atomic():
            job: LearningJob = LearningJob.objects.create(
                site_id=plan.site_id, plan=plan, requested_by=user
            )
            transaction.on_commit(partial(wake_job, job.pk), robust=True)
    except IntegrityError:  # somebody else was quicker
        job = LearningJob.objects.get(plan=plan, status__in=OPEN)
    return job


def cancel(membership: Membership, plan: Plan) -> bool:
    """Stop the job under way; False where there is none. What it had read is kept for the next."""
    if not membership.allows(Role.MANAGER):
        raise LearningRefusedError("Only quality managers cancel learning. Ask one of them.")
    rows = LearningJob.objects.for_site(membership.site).filter(plan=plan, status__in=OPEN)
    told = {"message": f"Cancelled by {membership.user.get_username()}.", "lease_until": None}
    done = rows.update(status=LearningStatus.CANCELLED, finished_at=Now(), **told)
    return bool(done)


def wake_job(job_id: UUID) -> bool:
    """Tell a worker that there is something to do; False if unheard, then the sweeper will."""
    return wake._send(LEARN, str(job_id), QUEUE)


def work(job_id: UUID, seconds: float = SLICE_SECONDS) -> bool:
    """Do a slice of a job; True where more is to be done."""
    claim = _claim(job_id)
    if claim is None:
        return False
    try:
        _slice(claim, time.monotonic() + seconds)
    except LostClaimError:
        return False
    except TooFewVerdictsError as error:
        _end(claim, LearningStatus.TOO_FEW, str(error))
    except (EngineError, LearningRefusedError) as error:
        _end(claim, LearningStatus.FAILED, str(error))
    except Exception:
        _end(claim, LearningStatus.FAILED, CRASHED)
        raise
    waiting = _held(claim).update(lease_until=Now())
    return bool(waiting)


def run_to_end(job_id: UUID, told: Callable[[LearningJob], None]) -> LearningJob:
    """Work until the job has ended, for the command line; ``told`` hears of the progress."""
    while True:
        work(job_id)
        job: LearningJob = LearningJob.objects.get(pk=job_id)
        told(job)
        if job.status not in OPEN:
            return job
        if job.status == LearningStatus.RUNNING and not _is_free(job_id):
            time.sleep(1)  # a worker has it


def due_jobs() -> list[UUID]:
    """Jobs that wait for a worker, for the sweeper."""
    free = LearningJob.objects.filter(_free(), created_at__lt=Now() - timedelta(seconds=3))
    return list(free.values_list("pk", flat=True)[:20])


def progress(claim: JobClaim, **values: object) -> None:
    """Save how far the job is, and keep the claim. LostClaimError where it is no longer ours."""
    if not _held(claim).update(lease_until=Now() + LEASE, **values):
        raise LostClaimError


def _slice(claim: JobClaim, deadline: float) -> None:
    from inspection.services.learning_steps import STAGES

    while True:
        job = LearningJob.objects.select_related("plan__current", "plan__site").get(pk=claim.id)
        if job.status != LearningStatus.RUNNING:
            return
        STAGES[job.stage](job, claim, deadline)
        if time.monotonic() >= deadline:
            return


def _is_free(job_id: UUID) -> bool:
    return bool(LearningJob.objects.filter(_free(), pk=job_id).exists())


def _free() -> Q:
    left = Q(status=LearningStatus.RUNNING, lease_until__lte=Now())
    return Q(status=LearningStatus.WAITING) | left


def _claim(job_id: UUID) -> JobClaim | None:
    won = LearningJob.objects.filter(_free(), pk=job_id).update(
        status=LearningStatus.RUNNING, attempt=F("attempt") + 1, lease_until=Now() + LEASE
    )
    if not won:
        return None
    attempt: int = LearningJob.objects.values_list("attempt", flat=True).get(pk=job_id)
    return JobClaim(job_id, attempt)


def _held(claim: JobClaim) -> QuerySet[LearningJob]:
    return LearningJob.objects.filter(
        pk=claim.id, attempt=claim.attempt, status=LearningStatus.RUNNING
    )


def _end(claim: JobClaim, status: LearningStatus, message: str) -> None:
    _held(claim).update(status=status, message=message[:2000], finished_at=Now(), lease_until=None)
