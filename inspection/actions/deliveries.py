"""Sending what is in the outbox: claim, call, record. Killed anywhere, it is sent again with the
same id, so that the receiver can tell.

A claim is a conditional UPDATE with a lease, and ``attempts`` is the fencing token: a worker that
comes back late finds another number in the row and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from inspection.actions.outbox import WAKE_PAUSE, wake
from inspection.actions.webhook import transport
from inspection.actions.webhook.destination import destination
from inspection.actions.webhook.schedule import next_pause
from inspection.actions.webhook.transport import Envelope, Outcome
from inspection.models import Connector, Delivery, DeliveryAttempt, Ticket
from inspection.models.choices import DeliveryStatus, TicketStatus

LEASE = timedelta(seconds=120)
"""Longer than a call can take (transport.TIMEOUT and the look-up of the name)."""

Send = Callable[[Envelope, datetime], Outcome]


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is this worker's until the lease ends; ``number`` counts attempts from 1."""

    delivery: Delivery
    number: int
    started_at: datetime


class Busy(Exception):
    """The delivery is being sent at this moment."""


def deliver(delivery_id: UUID, send: Send = transport.send) -> Outcome | None:
    """Make one attempt; None where there is nothing to do or somebody else is at it."""
    claimed = claim(delivery_id)
    if claimed is None:
        return None
    envelope = _envelope(claimed.delivery)
    _release_connection()
    outcome = send(envelope, claimed.started_at)
    record(claimed, outcome)
    return outcome


def send_due(limit: int = 50) -> int:
    """Have everything sent that is due; returns how many were found. Called by the sweeper.

    Workers do the sending; without a broker it is done here, one after the other.
    """
    due = _due(timezone.now()).order_by("next_attempt_at").values_list("pk", flat=True)[:limit]
    found = [pk for pk in due if _note_wake(pk)]
    for pk in found:
        if not wake(pk):
            deliver(pk)
    return len(found)


def claim(delivery_id: UUID) -> Claim | None:
    """Make a due delivery ours and write down that an attempt begins, before it does."""
    now = timezone.now()
    with transaction.atomic():
        mine = Delivery.objects.filter(_claimable(now), pk=delivery_id).update(
            status=DeliveryStatus.SENDING, lease_until=now + LEASE, attempts=F("attempts") + 1
        )
        if not mine:
            return None
        delivery = Delivery.objects.select_related("connector__site", "site").get(pk=delivery_id)
        DeliveryAttempt.objects.create(
            site=delivery.site, delivery=delivery, number=delivery.attempts, started_at=now
        )
    return Claim(delivery, delivery.attempts, now)


def _claimable(now: datetime) -> Q:
    """Due, or left behind by a worker that died; held while its connector is disabled.

    Conditions on the row itself are repeated when a concurrent UPDATE is waited for; a join with
    the connector would make Django compare with an older look at the row, hence the subquery.
    """
    due = Q(status=DeliveryStatus.PENDING, next_attempt_at__lte=now)
    left_behind = Q(status=DeliveryStatus.SENDING, lease_until__lt=now)
    active = Connector.objects.filter(is_active=True).values("pk")
    return (due | left_behind) & Q(connector_id__in=active)


def _due(now: datetime) -> QuerySet[Any]:
    unwoken = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    return Delivery.objects.filter(_claimable(now), unwoken)


def _note_wake(delivery_id: UUID) -> bool:
    """Leave a delivery to the workers for a while, so that a backlog isn't woken every second."""
    now = timezone.now()
    waiting = _due(now).filter(pk=delivery_id)
    left_behind = Q(status=DeliveryStatus.SENDING)
    if waiting.filter(~left_behind).update(lease_until=now + WAKE_PAUSE):
        return True
    return waiting.filter(left_behind).exists()


def _envelope(delivery: Delivery) -> Envelope:
    where = destination(delivery.connector)
    return Envelope(
        url=where.url,
        secrets=secrets_in_force(delivery.connector, timezone.now()),
        event_id=delivery.event_id,
        body=delivery.body,
        inside=where.inside,
    )


def secrets_in_force(connector: Connector, now: datetime) -> tuple[str, ...]:
    """The secret, and for a while after a rotation the one before."""
    until = connector.previous_until
    if connector.previous_secret and until is not None and now < until:
        return connector.secret, connector.previous_secret
    return (connector.secret,)


def _release_connection() -> None:
    """Give the database connection back to the pool for the length of the call."""
    if not connection.in_atomic_block:
        connection.close()


def record(claimed: Claim, outcome: Outcome) -> bool:
    """Write down how an attempt went; False where the lease was lost and another one took over."""
    now = timezone.now()
    with transaction.atomic():
        _finish_attempt(claimed, outcome, now)
        mine = Delivery.objects.filter(
            pk=claimed.delivery.pk, status=DeliveryStatus.SENDING, attempts=claimed.number
        ).update(**_next_state(claimed, outcome, now))
        if not mine:
            return False
        _tell_ticket(claimed.delivery.pk, outcome)
        if outcome.gone:
            _disable(claimed.delivery.connector, outcome.error, now)
    return True


def _finish_attempt(claimed: Claim, outcome: Outcome, now: datetime) -> None:
    milliseconds = round((now - claimed.started_at).total_seconds() * 1000)
    DeliveryAttempt.objects.filter(delivery=claimed.delivery, number=claimed.number).update(
        duration_ms=max(0, milliseconds),
        status_code=outcome.status_code,
        response=outcome.response,
        error=outcome.error,
    )


def _next_state(claimed: Claim, outcome: Outcome, now: datetime) -> dict[str, object]:
    if outcome.delivered:
        return {"status": DeliveryStatus.DELIVERED, "delivered_at": now, "lease_until": None}
    pause = None if outcome.permanent else next_pause(claimed.number, outcome.wish)
    if pause is None:
        return {"status": DeliveryStatus.FAILED, "lease_until": None}
    return {
        "status": DeliveryStatus.PENDING,
        "lease_until": None,
        "next_attempt_at": now + pause,
    }


def _tell_ticket(delivery_id: UUID, outcome: Outcome) -> None:
    """Carry the end of a delivery over to its ticket; what was once delivered stays so."""
    about = Ticket.objects.filter(deliveries__pk=delivery_id)
    if outcome.delivered:
        about.update(status=TicketStatus.DELIVERED)
        if outcome.reference:
            about.update(external_id=outcome.reference)
        if outcome.link:
            about.update(external_url=outcome.link)
        return
    given_up = Delivery.objects.filter(pk=delivery_id, status=DeliveryStatus.FAILED).exists()
    if given_up:
        about.exclude(status=TicketStatus.DELIVERED).update(status=TicketStatus.FAILED)


def _disable(connector: Connector, why: str, now: datetime) -> None:
    Connector.objects.filter(pk=connector.pk, is_active=True).update(
        is_active=False, disabled_reason=f"{now:%Y-%m-%d %H:%M} UTC: {why}"
    )


def resend(delivery: Delivery) -> None:
    """Make a delivery due now: a new attempt with the same id. Busy while one is running."""
    now = timezone.now()
    running = Q(status=DeliveryStatus.SENDING, lease_until__gte=now)
    made_due = (
        Delivery.objects.filter(pk=delivery.pk)
        .exclude(running)
        .update(status=DeliveryStatus.PENDING, next_attempt_at=now, lease_until=now + WAKE_PAUSE)
    )
    if not made_due:
        raise Busy("It is being sent at this moment. Wait for the answer.")
    Ticket.objects.filter(deliveries__pk=delivery.pk, status=TicketStatus.FAILED).update(
        status=TicketStatus.PENDING
    )
    transaction.on_commit(partial(wake, delivery.pk))
