"""From a playbook to exactly one ticket: action plans, connectors, tickets, deliveries."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of
from inspection.models.choices import (
    ActionStatus,
    ConnectorKind,
    DeliveryStatus,
    TicketStatus,
)
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection
from inspection.models.run import Run


@audited("secret", "previous_secret")
class Connector(SiteModel):
    """A destination outside. ``allow_inside`` is an admin's explicit leave to call a private
    address. ``secret`` signs what is sent (Standard Webhooks, ``whsec_`` + base64); after a
    rotation the one before signs too until ``previous_until``, so that a receiver can change."""

    key = models.SlugField(max_length=64)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=ConnectorKind, default=ConnectorKind.WEBHOOK)
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=200)
    previous_secret = models.CharField(max_length=200, blank=True)
    previous_until = models.DateTimeField(null=True)
    allow_inside = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    disabled_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["site", "key"], name="connector_key_once_per_site"),
            one_of("kind", ConnectorKind),
        ]

    def __str__(self) -> str:
        return self.name


class ActionPlan(SiteModel):
    """The action graph that a run led to. ``planned_at``: when the verdict was last read for it,
    so that a decision which came later is found and acted on."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="action_plan")
    planned_at = models.DateTimeField(null=True)


@audited()
class ActionStep(SiteModel):
    """A node of the graph; ``depends_on`` holds keys of nodes of the same plan."""

    action_plan = models.ForeignKey(ActionPlan, on_delete=models.CASCADE, related_name="steps")
    key = models.CharField(max_length=120)
    action = models.CharField(max_length=40)
    destination = models.CharField(max_length=64)
    finding = models.ForeignKey(Finding, null=True, on_delete=models.PROTECT, related_name="+")
    depends_on = models.JSONField(default=list)
    arguments = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    status = models.CharField(max_length=20, choices=ActionStatus)
    message = models.TextField(blank=True)
    requires_approval = models.BooleanField(default=False)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "key"]
        constraints = [
            models.UniqueConstraint(fields=["action_plan", "key"], name="action_key_once"),
            one_of("status", ActionStatus),
            models.CheckConstraint(
                condition=~Q(status="done")
                | Q(requires_approval=False)
                | Q(approved_by__isnull=False),
                name="action_done_only_after_approval",
            ),
        ]


@audited()
class Ticket(SiteModel):
    """Exactly one per finding and destination. ``finding_identity`` outlives re-runs; for a ticket
    about the whole unit it is the inspection's id."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="tickets")
    finding = models.ForeignKey(
        Finding, null=True, on_delete=models.PROTECT, related_name="tickets"
    )
    finding_identity = models.UUIDField()
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT, related_name="tickets")
    title = models.CharField(max_length=300)
    status = models.CharField(max_length=20, choices=TicketStatus, default=TicketStatus.PENDING)
    external_id = models.CharField(max_length=200, blank=True)
    external_url = models.URLField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector", "finding_identity"],
                name="ticket_once_per_finding_and_destination",
            ),
            one_of("status", TicketStatus),
        ]
        indexes = [models.Index(fields=["site", "created_at"], name="ticket_by_time")]


class Delivery(SiteModel):
    """The outbox: written before the call, in the transaction that caused it. ``event_id`` is the
    webhook-id, the same on every attempt; ``body`` is exactly what is signed and sent."""

    connector = models.ForeignKey(Connector, on_delete=models.PROTECT, related_name="deliveries")
    ticket = models.ForeignKey(
        Ticket, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    event_id = models.CharField(max_length=64, unique=True)
    event_type = models.CharField(max_length=64)
    body = models.TextField()
    status = models.CharField(max_length=20, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "deliveries"
        constraints = [
            one_of("status", DeliveryStatus),
            models.CheckConstraint(
                condition=~Q(status="sending") | Q(lease_until__isnull=False),
                name="delivery_sending_is_leased",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="delivery_due",
                condition=Q(status__in=["pending", "sending"]),
            )
        ]


class DeliveryAttempt(SiteModel):
    """One call: what was answered, or why there was no answer. Duration in milliseconds."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_rows")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    response = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once")
        ]


class ReceivedWebhook(SiteModel):
    """What arrived at the built-in demo receiver. ``times`` counts repeats of the same id."""

    event_id = models.CharField(max_length=64)
    signature_valid = models.BooleanField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["site", "event_id"], name="received_once_per_id")
        ]
