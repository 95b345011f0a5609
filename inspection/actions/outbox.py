"""The outbox: an event is written with what caused it, and sent afterwards."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from inspection.celery import app
from inspection.models import Connector, Delivery, Ticket
from inspection.models.choices import DeliveryStatus

logger = logging.getLogger(__name__)

DELIVER = "actions.deliver"
ACT_AFTER_DECISION = "actions.act_after_decision"

WAKE_PAUSE = timedelta(seconds=10)
"""After a wake-up the sweeper leaves a delivery to the workers for this long."""


def enqueue(
    connector: Connector, event_type: str, data: dict[str, object], ticket: Ticket | None = None
) -> Delivery:
    """Write an event in the transaction of its cause; a worker is woken when that is committed."""
    now = timezone.now()
    delivery: Delivery = Delivery.objects.create(
        site=connector.site,
        connector=connector,
        ticket=ticket,
        event_id=f"msg_{uuid4().hex}",
        event_type=event_type,
        body=event_body(event_type, now, data),
        status=DeliveryStatus.PENDING,
        next_attempt_at=now,
        lease_until=now + WAKE_PAUSE,
    )
    transaction.on_commit(partial(wake, delivery.pk))
    return delivery


def event_body(event_type: str, at: datetime, data: dict[str, object]) -> str:
    """The payload of the specification: type, time of the event, data."""
    event = {"type": event_type, "timestamp": at.isoformat(timespec="milliseconds"), "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def wake(delivery_id: UUID) -> bool:
    """Tell a worker to send; False where the broker is down (the sweeper then sends it)."""
    return wake_task(DELIVER, delivery_id)


def wake_task(task: str, row_id: UUID) -> bool:
    """Send the name of a task and the id of a row; False where nobody took the message."""
    try:
        app.send_task(task, args=[str(row_id)], queue="actions", retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take %s (%s); the sweeper will see to it", task, error)
        return False
    return True
