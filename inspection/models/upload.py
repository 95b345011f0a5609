"""Files on their way in: chunks, resumption, and a word on each file."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.base import SiteModel, UnitContext, one_of
from inspection.models.choices import UploadStatus
from inspection.models.inspection import Inspection
from inspection.models.plan import Plan


class Upload(UnitContext, SiteModel):
    """One file of a batch. ``client_key`` is made by the sender from the file, so that sending it
    again finds this row instead of doubling it. A member of a zip archive has a ``parent``."""

    batch = models.UUIDField(default=uuid.uuid4, db_index=True)
    client_key = models.CharField(max_length=128)
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    chunk_bytes = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=UploadStatus, default=UploadStatus.RECEIVING)
    message = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    stored_key = models.CharField(max_length=200, blank=True)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.SET_NULL, related_name="+")
    reference = models.CharField(max_length=200, blank=True)
    note = models.TextField(max_length=4000, blank=True)
    wants_report = models.BooleanField(default=False)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="members")
    inspection = models.ForeignKey(
        Inspection, null=True, on_delete=models.SET_NULL, related_name="uploads"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "batch", "client_key"], name="upload_once_per_batch"
            ),
            one_of("status", UploadStatus),
        ]
        indexes = [
            # The sweeper asks for these every few seconds, and they are few.
            models.Index(
                fields=["status", "updated_at"],
                name="upload_unfinished",
                condition=Q(status__in=["receiving", "received"]),
            )
        ]


class UploadChunk(models.Model):
    """A chunk that is safely stored."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["upload", "index"], name="upload_chunk_once")
        ]
