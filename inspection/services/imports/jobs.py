"""Sending a file of annotations, saying which class is which, and letting it come in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import IO
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.functions import Now

from inspection.models import ImportJob, Membership, Plan, Site, User
from inspection.models.background import JobStatus
from inspection.models.base import new_id
from inspection.models.choices import Role
from inspection.models.transfer import ImportStage
from inspection.pipeline import wake as messages
from inspection.services import background
from inspection.services.inspections import storable
from models_runtime.intake.names import clean_name

IMPORT = "inspection.transfer_tasks.import_annotations"
QUEUE = "actions"
MOST_OPEN = 5
PIECE = 1_000_000
LEAVE_OUT = ""


class ImportRefusedError(Exception):
    """It can't be done so; the message says what to do."""


def start(membership: Membership, plan: Plan, name: str, source: IO[bytes]) -> ImportJob:
    """Keep the file and have it checked. Nothing comes in before ``confirm``."""
    _check(membership)
    rows = ImportJob.objects.for_site(membership.site)
    if rows.filter(status__in=background.OPEN).count() >= MOST_OPEN:
        raise ImportRefusedError(f"{MOST_OPEN} imports are under way already. Wait for one.")
    return start_for(membership.site, membership.user, plan, name, source)


def start_for(site: Site, user: User | None, plan: Plan, name: str, source: IO[bytes]) -> ImportJob:
    """The same for the command line, where nobody is signed in."""
    if plan.current is None or not plan.current.parsed().defects:
        raise ImportRefusedError("This plan has no defect catalogue. Write one first.")
    digest, size = _measured(source)
    if size == 0:
        raise ImportRefusedError("This file is empty (0 bytes). Choose another one.")
    if size > settings.MAX_FILE_BYTES:
        most = settings.MAX_FILE_BYTES / 1e6
        raise ImportRefusedError(f"This file has more than {most:,.0f} MB. Split it.")
    key = default_storage.save(f"imports/{site.pk}/{new_id()}", File(source, name="import"))
    with transaction.atomic():
        job: ImportJob = ImportJob.objects.create(
            site=site,
            requested_by=user,
            plan=plan,
            name=clean_name(storable(name), "annotations")[:255],
            stored_key=key,
            size_bytes=size,
            sha256=digest,
        )
        transaction.on_commit(partial(wake, job.pk), robust=True)
    return job


def _measured(source: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    source.seek(0)
    while piece := source.read(PIECE):
        digest.update(piece)
        size += len(piece)
    source.seek(0)
    return digest.hexdigest(), size


def confirm(membership: Membership, job: ImportJob, mapping: Mapping[str, str]) -> None:
    """Let it come in: ``mapping`` names the plan's class for each class of the file, or
    ``LEAVE_OUT``."""
    _check(membership)
    confirm_for(job, mapping)


@transaction.atomic
def confirm_for(job: ImportJob, mapping: Mapping[str, str]) -> None:
    """The same for the command line."""
    names = [row["name"] for row in job.report.get("classes", [])]
    missing = [name for name in names if name not in mapping]
    if missing:
        shown = ", ".join(f"“{name}”" for name in missing[:10])
        raise ImportRefusedError(f"Choose a class for {shown}, or leave it out.")
    spec = job.plan.current.parsed() if job.plan.current else None
    for name in names:
        key = mapping[name]
        if key != LEAVE_OUT and (spec is None or spec.defect(key) is None):
            raise ImportRefusedError(f"“{key}” is not in the plan's defect catalogue.")
    rows = ImportJob.objects.filter(pk=job.pk, status=JobStatus.READY)
    if not rows.update(
        stage=ImportStage.APPLY,
        status=JobStatus.WAITING,
        attempt=0,
        mapping={name: mapping[name] for name in names},
    ):
        raise ImportRefusedError("This import no longer waits for you. Look at it as it is now.")
    transaction.on_commit(partial(wake, job.pk), robust=True)


def cancel(membership: Membership, job: ImportJob) -> bool:
    """Drop it; False where it has ended."""
    _check(membership)
    rows = ImportJob.objects.filter(pk=job.pk)
    return background.cancel(rows, membership.user.get_username())


@transaction.atomic
def again(membership: Membership, job: ImportJob) -> None:
    """Check the same file once more, for example when a blind review is over."""
    _check(membership)
    ended = ImportJob.objects.filter(pk=job.pk, status__in=[JobStatus.FAILED, JobStatus.CANCELLED])
    if not ended.update(
        stage=ImportStage.CHECK, status=JobStatus.WAITING, attempt=0, report={}, message="",
        finished_at=None, done=0, total=0,
    ):  # fmt: skip
        raise ImportRefusedError("This import is not over yet.")
    transaction.on_commit(partial(wake, job.pk), robust=True)


def _check(membership: Membership) -> None:
    if not membership.allows(Role.MANAGER):
        raise ImportRefusedError("Only quality managers import annotations. Ask one of them.")


def tidy_up(most: int = 20) -> int:
    """Let files of old imports go, also of those that nobody said yes to; the rows stay and tell
    what came from where. Returns of how many; called by the sweeper."""
    old = Now() - timedelta(days=settings.EXPORT_DAYS)
    over = ImportJob.objects.filter(created_at__lt=old).exclude(status__in=background.OPEN)
    gone = list(over.exclude(stored_key="")[:most])
    for job in gone:
        default_storage.delete(job.stored_key)
        row = ImportJob.objects.filter(pk=job.pk)
        row.update(stored_key="")
        row.filter(status=JobStatus.READY).update(status=JobStatus.EXPIRED)
    return len(gone)


def wake(job_id: UUID) -> bool:
    """Tell a worker; False if unheard, then the sweeper will."""
    return messages._send(IMPORT, str(job_id), QUEUE)


def work(job_id: UUID) -> None:
    """Do the stage that is due, if the job is free."""
    from inspection.services.imports.run import run  # numpy and pictures only where needed

    background.work(ImportJob, job_id, run)
