"""What all jobs in the background share: a state, how far they are, and who works on them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from inspection.models.base import SiteModel


class JobStatus(models.TextChoices):
    """WAITING → RUNNING (leased) → DONE, FAILED or CANCELLED. READY: it waits for a person's word.
    EXPIRED: it was done, and its file is gone."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    READY = "ready", "Waits for you"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"


class BackgroundJob(SiteModel):
    """A job that workers do. ``attempt`` is the fencing token: who has claimed the row with it may
    write while nobody has claimed it again. ``message`` tells people how it ended."""

    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        ordering = ["-created_at", "-id"]
