"""Celery tasks of learning: a few lines each, a slice of work per message, at the end of the queue
again if there is more, so that live photos get in between."""

from __future__ import annotations

from uuid import UUID

from inspection.celery import app
from inspection.services.learning_jobs import LEARN, wake_job, work
from inspection.services.learning_shadow import SHADOW, catch_up, wake_shadow


@app.task(name=LEARN)  # type: ignore[untyped-decorator]
def learn(job_id: str) -> None:
    """Do a slice of a job."""
    if work(UUID(job_id)):
        wake_job(UUID(job_id))


@app.task(name=SHADOW)  # type: ignore[untyped-decorator]
def shadow(version_id: str) -> None:
    """Let a version in the shadow look at runs that have ended."""
    if catch_up(UUID(version_id)):
        wake_shadow(UUID(version_id))
