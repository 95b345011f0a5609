"""The risk dial of a plan as it was set, and what it said of each unit."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel
from inspection.models.inspection import Inspection
from inspection.models.plan import Plan, PlanVersion


@audited()
class RiskDial(SiteModel):
    """One setting of a plan's dial, with the thresholds that followed from the labels of that
    moment. Written once, like a plan version: the highest ``number`` is in force.

    ``largest_escape``, ``confidence`` and ``check_share`` are shares. ``thresholds`` by class name,
    empty where the labels let nothing pass; they hold for the versions of the extractor in
    ``engines``. ``figures`` is what the page shows of the choice (``inspection.services.risk``).
    """

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="risk_dials")
    number = models.PositiveIntegerField()
    plan_version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="+")
    is_on = models.BooleanField()
    largest_escape = models.FloatField()
    confidence = models.FloatField()
    check_share = models.FloatField()
    thresholds = models.JSONField(default=dict)
    engines = models.JSONField(default=list)
    figures = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="risk_dial_number_once"),
            models.CheckConstraint(
                condition=Q(largest_escape__gt=0, largest_escape__lt=1)
                & Q(confidence__gt=0, confidence__lt=1)
                & Q(check_share__gt=0, check_share__lte=1),
                name="risk_dial_holds_shares",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="risk_dial_is_written_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "plan", "number", "is_on", "largest_escape", "confidence", "check_share",
                    "thresholds", "engines", "figures",
                ),
            )
        ]  # fmt: skip


class RiskGate(SiteModel):
    """What the dial said of a unit at its last triage, with the chances it went by.

    ``is_asked``: triage itself asked for a person. ``is_eligible``: the models alone would have
    accepted it. ``is_below``: all chances were below the thresholds. ``is_drawn``: a person judges
    it so that there are labels; once drawn it stays so. Accepted without a person means below and
    not drawn.
    """

    inspection = models.OneToOneField(
        Inspection, on_delete=models.CASCADE, related_name="risk_gate"
    )
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    dial = models.ForeignKey(RiskDial, on_delete=models.CASCADE, related_name="gates")
    chances = models.JSONField()
    engine = models.CharField(max_length=400)
    is_asked = models.BooleanField()
    is_eligible = models.BooleanField()
    is_below = models.BooleanField()
    is_drawn = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["plan", "-created_at"], name="risk_gate_newest"),
            models.Index(
                fields=["plan", "-created_at"],
                name="risk_gate_drawn",
                condition=Q(is_drawn=True),
            ),
        ]
