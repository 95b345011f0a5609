"""Verdicts of people. They are added, never changed."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of
from inspection.models.choices import RejectReason, ReviewKind
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection


@audited()
class Review(SiteModel):
    """One verdict: who, what, and the values before and after. ``client_key`` makes a repeated
    request (double click, replay after a lost connection) the same verdict. ``reason``: why a
    finding was rejected. ``undoes``: the verdict that this one takes back."""

    inspection = models.ForeignKey(Inspection, on_delete=models.PROTECT, related_name="reviews")
    finding = models.ForeignKey(
        Finding, null=True, on_delete=models.PROTECT, related_name="reviews"
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews"
    )
    kind = models.CharField(max_length=20, choices=ReviewKind)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=20, choices=RejectReason, blank=True)
    comment = models.TextField(blank=True, max_length=2000)
    client_key = models.CharField(max_length=64)
    undoes = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="undone_by"
    )

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["inspection", "client_key"], name="review_once_per_request"
            ),
            one_of("kind", ReviewKind),
            one_of("reason", RejectReason, empty=True),
            models.CheckConstraint(
                condition=Q(reason="") | Q(kind="reject_finding"),
                name="review_reason_is_of_a_rejection",
            ),
            models.CheckConstraint(
                condition=Q(kind="undo", undoes__isnull=False)
                | (~Q(kind="undo") & Q(undoes__isnull=True)),
                name="review_undo_names_the_verdict",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "created_at"], name="review_by_time"),
            models.Index(
                fields=["site", "-created_at"],
                name="review_rejections",
                condition=Q(kind="reject_finding"),
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="verdicts_are_immutable", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]
