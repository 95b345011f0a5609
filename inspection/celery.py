"""Celery: it carries wake-ups between processes; what is to be done is in the rows."""

from __future__ import annotations

import os

from celery import Celery
from django.conf import settings
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inspection.settings")

QUEUES = ("intake", "vision", "language", "actions")

app = Celery("loupe")
app.conf.update(
    broker_url=settings.CELERY_BROKER,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # Redelivery is only a safety net (the sweeper looks at the rows); without the two
        # restore settings nothing would ever be redelivered.
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Publishing to a broker that is down fails at once instead of after 6 s: the rows are
        # written, and the sweeper sends the message later.
        "max_retries": 0,
    },
    task_queues=[Queue(name, routing_key=name) for name in QUEUES],
    task_default_queue="intake",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    imports=(
        "inspection.pipeline.tasks",
        "inspection.actions.tasks",
        "inspection.learning_tasks",
        "inspection.report_tasks",
        "inspection.dispute_tasks",
        "inspection.transfer_tasks",
    ),
    timezone="UTC",
)
