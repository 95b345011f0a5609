"""Asking for an export, cancelling it, doing it again, and letting its file go after some days."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from inspection.models import ExportJob, Membership, Site, User
from inspection.models.background import JobStatus
from inspection.models.choices import Role
from inspection.models.transfer import ExportFormat
from inspection.pipeline import wake as messages
from inspection.selectors.inspections import InspectionFilter
from inspection.services import background
from inspection.services.exports.options import ExportOptions

EXPORT = "inspection.transfer_tasks.export"
QUEUE = "actions"
MOST_OPEN = 5
AGAIN = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)


class ExportRefusedError(Exception):
    """It can't be done so; the message says what to do."""


def start(
    membership: Membership, format: str, wanted: InspectionFilter, options: ExportOptions
) -> ExportJob:
    """Ask for an export. Quality managers only: it takes the site's photos out of the house, and
    would show a reviewer which units are copies that grade them."""
    if not membership.allows(Role.MANAGER):
        raise ExportRefusedError("Only quality managers export. Ask one of them.")
    rows = ExportJob.objects.for_site(membership.site)
    if rows.filter(status__in=background.OPEN).count() >= MOST_OPEN:
        raise ExportRefusedError(
            f"{MOST_OPEN} exports are under way already. Wait for one, or cancel one."
        )
    return start_for(membership.site, membership.user, format, wanted, options)


@transaction.atomic
def start_for(
    site: Site, user: User | None, format: str, wanted: InspectionFilter, options: ExportOptions
) -> ExportJob:
    """The same for the command line, where nobody is signed in."""
    if format not in ExportFormat.values:
        raise ExportRefusedError("Choose one of the formats.")
    query = {name: str(v) for name, v in vars(wanted).items() if v and name not in NOT_KEPT}
    job: ExportJob = ExportJob.objects.create(
        site=site,
        requested_by=user,
        format=format,
        query=query | wanted.behind.values(),
        options=options.kept(),
    )
    transaction.on_commit(partial(wake, job.pk), robust=True)
    return job


NOT_KEPT = ("like", "after", "view", "behind")


def cancel(membership: Membership, job: ExportJob) -> bool:
    """Stop it; False where it has ended."""
    _check(membership)
    return background.cancel(_row(job), membership.user.get_username())


def again(membership: Membership, job: ExportJob) -> ExportJob:
    """Ask for the same once more."""
    _check(membership)
    if job.status not in AGAIN:
        raise ExportRefusedError("This export is not over yet.")
    wanted = InspectionFilter.parse(job.query)
    return start(membership, job.format, wanted, ExportOptions.parsed(job.options))


def remove(membership: Membership, job: ExportJob) -> None:
    """Let the file go now; the row stays and tells that there was one."""
    _check(membership)
    if _row(job).filter(status=JobStatus.DONE).update(status=JobStatus.EXPIRED):
        _drop(job)


def _check(membership: Membership) -> None:
    if not membership.allows(Role.MANAGER):
        raise ExportRefusedError("Only quality managers export. Ask one of them.")


def _row(job: ExportJob) -> QuerySet[ExportJob]:
    rows: QuerySet[ExportJob] = ExportJob.objects.filter(pk=job.pk)
    return rows


def export_key(job: ExportJob, attempt: int) -> str:
    """Where the file of an attempt lies; two workers never write the same one."""
    return f"exports/{job.site_id}/{job.pk}/{attempt}.zip"


def wake(job_id: UUID) -> bool:
    """Tell a worker; False if unheard, then the sweeper will."""
    return messages._send(EXPORT, str(job_id), QUEUE)


def work(job_id: UUID) -> None:
    """Do the job, if it is free."""
    from inspection.services.exports.run import run  # numpy and pictures only where they are needed

    background.work(ExportJob, job_id, run)


def tidy_up(most: int = 20) -> int:
    """Let files go whose time is over, and what was left by workers that died or came too late;
    returns of how many. Called by the sweeper."""
    over = ExportJob.objects.filter(status=JobStatus.DONE, expires_at__lt=Now())
    gone = 0
    for job in over[:most]:
        if over.filter(pk=job.pk).update(status=JobStatus.EXPIRED):
            _drop(job)
            gone += 1
    return gone


def _drop(job: ExportJob) -> None:
    for attempt in range(1, job.attempt + 1):
        default_storage.delete(export_key(job, attempt))
    ExportJob.objects.filter(pk=job.pk).update(file_key="")
