"""From the outbox to the receiver: attempts, retries, leases, resend."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from standardwebhooks.webhooks import Webhook

from inspection.actions import deliveries, outbox
from inspection.actions.outbox import enqueue
from inspection.actions.webhook import transport
from inspection.actions.webhook.schedule import PAUSES
from inspection.actions.webhook.signing import is_genuine
from inspection.actions.webhook.transport import Outcome
from inspection.models import Connector, Delivery, DeliveryAttempt, Ticket
from inspection.models.choices import DeliveryStatus, TicketStatus
from inspection.services import connectors

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def ticket(works):
    unit = works.judged()
    return Ticket.objects.create(
        site=works.site,
        inspection=unit,
        finding_identity=unit.pk,
        connector=works.connector,
        title="Hole on LID-7",
    )


@pytest.fixture
def delivery(works, ticket):
    return enqueue(works.connector, "ticket.opened", {"words": "grün ✓"}, ticket)


def make_due(delivery):
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now())


def send(delivery):
    outcome = deliveries.deliver(delivery.pk)
    delivery.refresh_from_db()
    return outcome


def test_a_delivery_arrives_signed_and_is_logged(works, hook, delivery, ticket):
    hook.answers(201, b'{"id": "T-9", "url": "https://tickets.example.com/T-9"}')
    assert send(delivery).delivered
    (request,) = hook.requests
    event = Webhook(works.connector.secret).verify(request.body, request.headers)
    assert event == json.loads(delivery.body)
    assert event["type"] == "ticket.opened"
    assert request.headers["webhook-id"] == delivery.event_id
    assert request.headers["content-type"] == "application/json"
    assert delivery.status == DeliveryStatus.DELIVERED
    assert delivery.delivered_at
    (attempt,) = delivery.attempt_rows.all()
    assert (attempt.number, attempt.status_code, attempt.error) == (1, 201, "")
    assert attempt.duration_ms is not None
    ticket.refresh_from_db()
    assert ticket.status == TicketStatus.DELIVERED
    assert (ticket.external_id, ticket.external_url) == ("T-9", "https://tickets.example.com/T-9")


def test_what_is_delivered_is_not_sent_again_by_a_repeated_message(hook, delivery):
    send(delivery)
    assert send(delivery) is None
    assert len(hook.requests) == 1


def test_failures_are_retried_by_the_schedule_with_the_same_id_until_given_up(
    works, hook, delivery, ticket
):
    hook.answers(500, b"broken")
    for number in range(1, len(PAUSES) + 1):
        make_due(delivery)
        before = timezone.now()
        send(delivery)
        if number < len(PAUSES):
            assert delivery.status == DeliveryStatus.PENDING
            assert delivery.next_attempt_at >= before + timedelta(seconds=PAUSES[number])
            assert send(delivery) is None, "it was tried before its time"
    assert delivery.status == DeliveryStatus.FAILED
    assert {request.headers["webhook-id"] for request in hook.requests} == {delivery.event_id}
    assert len(hook.requests) == len(PAUSES) == delivery.attempt_rows.count()
    assert len({request.body for request in hook.requests}) == 1
    ticket.refresh_from_db()
    assert ticket.status == TicketStatus.FAILED


def test_each_attempt_is_signed_with_its_own_time(works, hook, delivery, monkeypatch):
    hook.answers(500)
    send(delivery)
    make_due(delivery)
    later = timezone.now() + timedelta(seconds=90)
    monkeypatch.setattr(deliveries.timezone, "now", lambda: later)
    send(delivery)
    times = [request.headers["webhook-timestamp"] for request in hook.requests]
    assert times[0] != times[1]
    for request in hook.requests:
        assert is_genuine(works.connector.secret, request.headers, request.body)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_pushes_the_next_attempt_back(hook, delivery, status):
    hook.answers(status, Retry_After="600")
    before = timezone.now()
    send(delivery)
    assert delivery.next_attempt_at >= before + timedelta(seconds=600)


def test_retry_after_of_a_year_is_capped_at_a_day(hook, delivery):
    hook.answers(503, Retry_After=str(365 * 86400))
    send(delivery)
    assert delivery.next_attempt_at <= timezone.now() + timedelta(days=1)


def test_gone_disables_the_connector_with_the_reason(works, hook, delivery):
    hook.answers(410)
    other = enqueue(works.connector, "ticket.opened", {})
    send(delivery)
    works.connector.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED
    assert not works.connector.is_active
    assert "410" in works.connector.disabled_reason
    assert send(other) is None
    assert other.status == DeliveryStatus.PENDING, "what is held must not be lost"


def test_what_was_held_goes_out_when_the_connector_is_enabled(works, hook, delivery):
    connectors.disable_connector(works.admin, works.connector)
    assert send(delivery) is None
    connectors.enable_connector(works.admin, works.connector)
    assert send(delivery).delivered


@pytest.mark.parametrize(
    ("allow_inside", "listed"), [(False, ["127.0.0.1"]), (True, []), (True, ["localhost"])]
)
def test_an_inside_address_needs_both_the_switch_and_the_list(
    works, hook, delivery, settings, allow_inside, listed
):
    settings.ALLOW_INSIDE_HOSTS = listed
    Connector.objects.filter(pk=works.connector.pk).update(allow_inside=allow_inside)
    send(delivery)
    assert hook.requests == []
    assert delivery.status == DeliveryStatus.FAILED
    assert "LOUPE_ALLOW_INSIDE_HOSTS" in delivery.attempt_rows.get().error


def test_no_answer_is_retried_and_told(works, hook, delivery, monkeypatch):
    monkeypatch.setattr(transport, "TIMEOUT", 0.3)
    hook.answer = lambda handler: hook.done.wait(10) and None
    send(delivery)
    assert delivery.status == DeliveryStatus.PENDING
    assert "No complete answer" in delivery.attempt_rows.get().error


def test_an_answer_with_zero_bytes_can_be_logged(hook, delivery):
    hook.answers(500, b"\x00\xff binary \x00")
    send(delivery)
    assert "binary" in delivery.attempt_rows.get().response


def test_an_attempt_is_on_record_before_the_call_is_made(delivery):
    seen = []

    def look(envelope, now):
        delivery.refresh_from_db()
        row = delivery.attempt_rows.get()
        seen.append((delivery.status, row.number, row.duration_ms))
        return Outcome(True, 200)

    deliveries.deliver(delivery.pk, send=look)
    assert seen == [(DeliveryStatus.SENDING, 1, None)]


class Killed(BaseException):
    """Stands for a worker that ends at this instruction."""


def test_a_worker_killed_in_the_call_leads_to_another_attempt_with_the_same_id(hook, delivery):
    def dies(envelope, now):
        transport.send(envelope, now)
        raise Killed

    with pytest.raises(Killed):
        deliveries.deliver(delivery.pk, send=dies)
    assert send(delivery) is None, "the lease holds as long as the worker may be alive"
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=timezone.now() - timedelta(1))
    assert send(delivery).delivered
    assert [request.headers["webhook-id"] for request in hook.requests] == [delivery.event_id] * 2
    first = delivery.attempt_rows.order_by("number").first()
    assert (first.number, first.duration_ms) == (1, None)


def test_a_worker_that_comes_back_after_its_lease_changes_nothing(hook, delivery):
    first = deliveries.claim(delivery.pk)
    Delivery.objects.filter(pk=delivery.pk).update(lease_until=timezone.now() - timedelta(1))
    assert send(delivery).delivered
    assert not deliveries.record(first, Outcome(False, 500, error="late"))
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.DELIVERED
    assert delivery.attempt_rows.get(number=1).error == "late"


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_claim_at_once_only_one_sends(works, hook):
    with transaction.atomic():
        delivery = enqueue(works.connector, "ping", {})
    start = threading.Barrier(6)
    outcomes = []

    def work():
        try:
            start.wait(10)
            outcomes.append(deliveries.deliver(delivery.pk))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(hook.requests) == 1
    assert len([outcome for outcome in outcomes if outcome is not None]) == 1
    assert DeliveryAttempt.objects.filter(delivery=delivery).count() == 1


def test_resend_makes_a_new_attempt_with_the_same_id(works, hook, delivery):
    send(delivery)
    deliveries.resend(delivery)
    assert send(delivery).delivered
    assert {request.headers["webhook-id"] for request in hook.requests} == {delivery.event_id}
    assert delivery.attempt_rows.count() == 2


def test_resend_of_a_failed_one_can_still_deliver_the_ticket(hook, delivery, ticket):
    hook.answers(410)
    send(delivery)
    Connector.objects.update(is_active=True)
    hook.answers(200)
    deliveries.resend(delivery)
    send(delivery)
    ticket.refresh_from_db()
    assert ticket.status == TicketStatus.DELIVERED


def test_a_ticket_once_delivered_stays_so_when_a_resend_fails(hook, delivery, ticket):
    send(delivery)
    hook.answers(410)
    deliveries.resend(delivery)
    send(delivery)
    ticket.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED
    assert ticket.status == TicketStatus.DELIVERED


def test_resend_waits_for_an_attempt_that_is_running(delivery):
    deliveries.claim(delivery.pk)
    with pytest.raises(deliveries.Busy):
        deliveries.resend(delivery)


def test_both_secrets_sign_for_a_day_after_a_rotation(works, hook, delivery):
    old = works.connector.secret
    new = connectors.rotate_secret(works.admin, works.connector)
    send(delivery)
    (request,) = hook.requests
    assert is_genuine(old, request.headers, request.body)
    assert is_genuine(new, request.headers, request.body)
    Connector.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    deliveries.resend(delivery)
    send(delivery)
    assert not is_genuine(old, hook.requests[1].headers, hook.requests[1].body)
    assert is_genuine(new, hook.requests[1].headers, hook.requests[1].body)


def test_a_worker_is_woken_when_the_outbox_is_committed(
    works, woken, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        delivery = enqueue(works.connector, "ping", {})
        assert woken == []
    assert woken == [("actions.deliver", str(delivery.pk))]


def test_the_sweeper_wakes_workers_for_what_is_due_and_not_every_second(works, woken, delivery):
    assert deliveries.send_due() == 0, "the workers were told a moment ago"
    Delivery.objects.update(lease_until=None)
    assert deliveries.send_due() == 1
    assert woken == [("actions.deliver", str(delivery.pk))]
    assert deliveries.send_due() == 0


def test_the_sweeper_finds_what_a_dead_worker_left(works, woken, delivery):
    deliveries.claim(delivery.pk)
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliveries.send_due() == 1


def test_without_a_broker_the_sweeper_sends_by_itself(hook, delivery, monkeypatch):
    def down(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(outbox.app, "send_task", down)
    Delivery.objects.update(lease_until=None)
    assert deliveries.send_due() == 1
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.DELIVERED
