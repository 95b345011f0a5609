"""Finds what stalled and sends it again. Safe to run twice at once: claims decide who works."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from inspection.celery import app
from inspection.models import StepRun, Upload
from inspection.models.choices import RunStatus, StepStatus, UploadStatus
from inspection.pipeline import PIPELINE, claims, engine
from inspection.pipeline.wake import wake, wake_upload

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=3)
"""A step that was queued less long ago is on its way by the message of its own."""
MOST = 500


def sweep() -> dict[str, int]:
    """Look once; how much was sent again, by kind. A service that is down is left for next time."""
    jobs: dict[str, Callable[[], int]] = {
        "killers": _give_up_on_killers,
        "steps": _wake_steps,
        "uploads": _wake_uploads,
        "decisions": _act_on_decisions,
        "deliveries": _send_deliveries,
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


def _unfinished() -> Q:
    waited = Q(queued_at__lt=Now() - GRACE)
    return claims.is_due() & Q(run__status=RunStatus.RUNNING) & waited


def _give_up_on_killers() -> int:
    """Steps that were begun often enough and left behind each time."""
    rows = StepRun.objects.filter(
        _unfinished(), status=StepStatus.RUNNING, attempt__gte=claims.MAX_ATTEMPTS
    )[:MOST]
    for row in rows:
        engine.give_up_on_killer(row)
    return len(rows)


def _wake_steps() -> int:
    """Wake workers for due steps of each queue whose messages are all taken.

    While messages wait in a queue its workers are busy, and sending more would only pile up.
    """
    sent = 0
    for queue in {step.queue for step in PIPELINE}:
        names = [step.name for step in PIPELINE if step.queue == queue]
        due = StepRun.objects.filter(_unfinished(), step__in=names).order_by("queued_at")
        runs = list(due.values_list("run_id", flat=True)[:MOST])
        if runs and _waiting(queue) == 0:
            sent += sum(wake(run_id, queue) for run_id in runs)
    return sent


def _wake_uploads() -> int:
    """Whole files that no worker has taken, or whose worker died over them."""
    silent = timedelta(seconds=max(10, settings.LEASE_SECONDS))
    late = Upload.objects.filter(status=UploadStatus.RECEIVED, updated_at__lt=Now() - silent)
    ids = list(late.filter(parent=None).order_by("updated_at").values_list("pk", flat=True)[:MOST])
    if not ids or _waiting("intake"):
        return 0
    return sum(wake_upload(upload_id) for upload_id in ids)


def _waiting(queue: str) -> int:
    """How many messages of a queue no worker has taken yet."""
    with app.connection_for_write() as broker, broker.channel() as channel:
        declared = app.amqp.queues[queue](channel).queue_declare()
    return int(declared if isinstance(declared, int) else declared.message_count)


def _act_on_decisions() -> int:
    """Decisions of people that no worker has acted on."""
    from inspection.actions.act import act_due  # here, because actions lean on the pipeline's parts

    return int(act_due() or 0)


def _send_deliveries() -> int:
    """Events whose next attempt is due."""
    from inspection.actions.deliveries import send_due

    return int(send_due() or 0)
