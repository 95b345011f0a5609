"""Finds what stalled and sends it again. Safe to run twice at once: claims decide who works."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from inspection.celery import app
from inspection.models import StepRun, Upload
from inspection.models.choices import RunStatus, StepName, StepStatus, UploadStatus
from inspection.pipeline import PIPELINE, claims, engine
from inspection.pipeline.wake import wake, wake_upload
from inspection.services import rollups, uploads
from inspection.services.disputes import photos, tries
from inspection.services.queue import adopt

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=3)
"""A step that was queued less long ago is on its way by the message of its own."""
WOKEN_FOR = timedelta(seconds=60)
OVERTAKEN = timedelta(seconds=30)
RECENT = timedelta(minutes=10)
LOST_WORKER = "The worker was lost; another one takes over."
MOST = 500


def sweep() -> dict[str, int]:
    """Look once; how much was sent again, by kind. A service that is down is left for next time."""
    jobs: dict[str, Callable[[], int]] = {
        "killers": _give_up_on_killers,
        "left behind": _requeue_left_behind,
        "steps": _wake_steps,
        "uploads": _wake_uploads,
        "chunks": uploads.tidy_up,
        "decisions": _act_on_decisions,
        "deliveries": _send_deliveries,
        "learning": _wake_learning,
        "transfers": _wake_transfers,
        "transferred": _expire_transfers,
        "reports": _wake_reports,
        "dispute photos": photos.tidy_up,
        "tries": tries.forget,
        "reviews": adopt,
        "counts": rollups.count_when_rested,
    }
    return {name: _carefully(name, job) for name, job in jobs.items()}


def _carefully(name: str, job: Callable[[], int]) -> int:
    try:
        return job()
    except (OperationalError, InterfaceError) as error:
        logger.warning("sweeping %s: the database does not answer: %s", name, error)
        claims.release_connection()
    except (BrokerError, OSError) as error:
        logger.warning("sweeping %s: the broker does not answer: %s", name, error)
    return 0


def _of_live_runs() -> QuerySet[StepRun]:
    return StepRun.objects.filter(run__status=RunStatus.RUNNING)


def _left_behind() -> QuerySet[StepRun]:
    """Steps whose worker has been silent for longer than its lease."""
    return _of_live_runs().filter(status=StepStatus.RUNNING, lease_until__lt=Now())


def _give_up_on_killers() -> int:
    """Steps that were begun often enough and left behind each time."""
    rows = _left_behind().filter(attempt__gte=claims.MAX_ATTEMPTS)[:MOST]
    for row in rows:
        engine.give_up_on_killer(row)
    return len(rows)


def _requeue_left_behind() -> int:
    """Other steps of dead workers go back to the queue; a late result of theirs is discarded."""
    rows = _left_behind().filter(attempt__lt=claims.MAX_ATTEMPTS)
    ids = list(rows.values_list("pk", flat=True)[:MOST])
    # No join: a row that its worker saves while it is waited for must be looked at again.
    silent = StepRun.objects.filter(pk__in=ids, status=StepStatus.RUNNING, lease_until__lt=Now())
    return silent.update(status=StepStatus.QUEUED, lease_until=None, error=LOST_WORKER)


def _wake_steps() -> int:
    sent = 0
    for queue in dict.fromkeys(step.queue for step in PIPELINE):
        names = [step.name for step in PIPELINE if step.queue == queue]
        sent += _wake_queue(queue, names)
    return sent


def _wake_queue(queue: str, names: list[StepName]) -> int:
    """Wake workers for due steps. While messages wait, workers are busy: then only steps are sent
    whose own message is surely gone, each at most once a minute."""
    waited = Q(queued_at__lt=Now() - GRACE)
    due = _of_live_runs().filter(claims.rested(), waited, step__in=names, status=StepStatus.QUEUED)
    if not due.exists():
        return 0
    if _waiting(queue):
        due = due.filter(_has_no_message(names), _not_woken_lately())
    rows = list(due.order_by("queued_at").values_list("pk", "run_id")[:MOST])
    # On a queued step the lease says until when it is not to be sent again.
    StepRun.objects.filter(pk__in=[pk for pk, _ in rows], status=StepStatus.QUEUED).update(
        lease_until=Now() + WOKEN_FOR
    )
    return sum(wake(run_id, queue) for _, run_id in rows)


def _not_woken_lately() -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lt=Now())


def _has_no_message(names: list[StepName]) -> Q:
    """Put back after an error, or overtaken: queues keep order, so one that was queued well before
    a step that was begun already has lost its message. Steps that followed in the same worker
    were queued and begun at once, and went through no queue."""
    begun = StepRun.objects.filter(
        step__in=names, started_at__gt=Now() - RECENT, queued_at__lt=F("started_at")
    )
    latest = begun.aggregate(latest=Max("queued_at"))["latest"]
    put_back = ~Q(error="")
    return put_back | Q(queued_at__lt=latest - OVERTAKEN) if latest else put_back


def _wake_uploads() -> int:
    """Whole files that no worker has taken, or whose worker died over them."""
    silent = timedelta(seconds=max(10, settings.LEASE_SECONDS))
    late = Upload.objects.filter(status=UploadStatus.RECEIVED, updated_at__lt=Now() - silent)
    ids = list(late.filter(parent=None).order_by("updated_at").values_list("pk", flat=True)[:MOST])
    if not ids or _waiting("intake"):
        return 0
    return sum(wake_upload(upload_id) for upload_id in ids)


def _waiting(queue: str) -> int:
    """How many messages of a queue no worker has taken yet. BrokerError where none can tell."""
    with app.connection_for_write() as broker:
        try:
            with broker.channel() as channel:
                declared = app.amqp.queues[queue](channel).queue_declare()
        except (*broker.connection_errors, *broker.channel_errors) as error:
            # The transport's own kinds of error are told apart only by the connection.
            raise BrokerError(str(error)) from error
    return int(declared if isinstance(declared, int) else declared.message_count)


def _act_on_decisions() -> int:
    """Decisions of people that no worker has acted on."""
    from inspection.actions.act import act_due  # here, because actions lean on the pipeline's parts

    return 0 if _waiting("actions") else int(act_due() or 0)


def _send_deliveries() -> int:
    """Events whose next attempt is due."""
    from inspection.actions.deliveries import send_due

    return int(send_due() or 0)


def _wake_transfers() -> int:
    """Exports and imports that no worker has taken, or whose worker died over them."""
    from inspection.models import ExportJob, ImportJob
    from inspection.services import background
    from inspection.services.exports import jobs as exports
    from inspection.services.imports import jobs as imports

    out, into = background.due(ExportJob), background.due(ImportJob)
    if not (out or into) or _waiting(exports.QUEUE):
        return 0
    return sum(map(exports.wake, out)) + sum(map(imports.wake, into))


def _expire_transfers() -> int:
    """Files of exports and imports whose time is over."""
    from inspection.services.exports import jobs as exports
    from inspection.services.imports import jobs as imports

    return exports.tidy_up() + imports.tidy_up()


def _wake_learning() -> int:
    """Jobs that learn, and versions in the shadow that have not seen the newest runs."""
    from inspection.services import learning_jobs, learning_shadow

    jobs, shadows = learning_jobs.due_jobs(), learning_shadow.due_versions()
    if not (jobs or shadows) or _waiting(learning_jobs.QUEUE):
        return 0
    woken = [learning_jobs.wake_job(job) for job in jobs]
    return sum([*woken, *(learning_shadow.wake_shadow(version) for version in shadows)])


def _wake_reports() -> int:
    """Reports that no worker has taken, or whose worker died over them, and mails with them."""
    from inspection.services.reports import sweeping

    return 0 if _waiting("language") else sweeping.wake_due()
