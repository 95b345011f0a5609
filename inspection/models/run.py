"""Runs of the pipeline and what each step did. These rows are the truth; messages only wake."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.base import SiteModel, one_of, share
from inspection.models.choices import RunStatus, StepName, StepStatus
from inspection.models.inspection import Inspection


class Run(SiteModel):
    """One pass of the pipeline over an inspection. ``learned``: the site's own version of the
    models that judged, empty where the shipped ones did."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=RunStatus, default=RunStatus.RUNNING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    learned = models.ForeignKey(
        "inspection.ModelVersion", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["inspection", "number"], name="run_number_once"),
            models.UniqueConstraint(
                fields=["inspection"],
                condition=Q(status="running"),
                name="run_one_at_a_time_per_inspection",
            ),
            one_of("status", RunStatus),
        ]


class StepRun(SiteModel):
    """One step of a run. ``attempt`` is the fencing token: a worker saves only while its attempt
    is still the row's. Cost is in millionths of a US dollar, times in milliseconds."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    step = models.CharField(max_length=20, choices=StepName)
    position = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=20, choices=StepStatus, default=StepStatus.WAITING)
    architecture = models.CharField(max_length=20, blank=True)
    engine = models.CharField(max_length=200, blank=True)
    engine_version = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    wait_ms = models.PositiveIntegerField(null=True)
    run_ms = models.FloatField(null=True)
    confidence = models.FloatField(null=True)
    escalated = models.BooleanField(default=False)
    cost_microusd = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    output = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="step_once_per_run"),
            one_of("step", StepName),
            one_of("status", StepStatus),
            share("confidence"),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(lease_until__isnull=False, attempt__gt=0),
                name="step_running_is_leased",
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(finished_at__isnull=False),
                name="step_done_is_finished",
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "lease_until"],
                name="step_unfinished",
                condition=Q(status__in=["queued", "running"]),
            ),
            models.Index(
                fields=["step", "queued_at"], name="step_in_queue", condition=Q(status="queued")
            ),
        ]
