"""Findings: what is wrong and exactly where."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of, share
from inspection.models.choices import (
    FindingHistory,
    FindingSourceChoice,
    FindingStatus,
    SeverityChoice,
)
from inspection.models.inspection import Inspection, Photo
from inspection.models.run import Run


@audited("mask_counts")
class Finding(SiteModel):
    """A defect on a photo. Box and mask are in pixels of the upright photo; ``mask_counts`` is
    compressed COCO RLE for an image of ``photo.height`` × ``photo.width``.

    ``identity`` stays the same when a re-run sees the same defect again, which is what makes a
    ticket exactly one per finding. ``run`` is empty for what a person added. The ``model_*``
    fields keep what the model said after a person changed it. Lengths are empty in rows from
    before there were lengths; sizes in mm also where the plan has no scale. ``history`` is against
    the earlier inspection of the unit, and ``earlier`` the finding there that this one goes on
    from; one that is fixed tells what was there, and counts as a defect only if a person says so.
    ``is_sealed``: a person added it whose word others may not see yet, or that did not come into
    force; only ``inspection.services.sealing`` looks at such a row.
    """

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="findings")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="findings")
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="findings")
    key = models.CharField(max_length=80)
    identity = models.UUIDField(default=uuid.uuid4)
    type = models.CharField(max_length=64)
    severity = models.CharField(max_length=20, choices=SeverityChoice)
    status = models.CharField(max_length=20, choices=FindingStatus, default=FindingStatus.OPEN)
    history = models.CharField(max_length=20, choices=FindingHistory, default=FindingHistory.NEW)
    earlier = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    source = models.CharField(max_length=20, choices=FindingSourceChoice)
    confidence = models.FloatField()
    mask_confidence = models.FloatField(null=True)
    x1 = models.FloatField()
    y1 = models.FloatField()
    x2 = models.FloatField()
    y2 = models.FloatField()
    mask_counts = models.TextField(blank=True)
    mask_height = models.PositiveIntegerField(null=True)
    mask_width = models.PositiveIntegerField(null=True)
    area_px = models.BigIntegerField(default=0)
    area_mm2 = models.FloatField(null=True)
    length_px = models.FloatField(null=True)
    length_mm = models.FloatField(null=True)
    model_type = models.CharField(max_length=64, blank=True)
    model_severity = models.CharField(max_length=20, blank=True)
    is_sealed = models.BooleanField(default=False)

    class Meta:
        ordering = ["-confidence", "id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="finding_key_once_per_run"),
            one_of("severity", SeverityChoice),
            one_of("status", FindingStatus),
            one_of("history", FindingHistory),
            one_of("source", FindingSourceChoice),
            share("confidence"),
            models.CheckConstraint(
                condition=Q(x1__gte=0, y1__gte=0, x2__gt=F("x1"), y2__gt=F("y1")),
                name="finding_box_has_area",
            ),
            models.CheckConstraint(
                condition=Q(mask_counts="")
                | Q(mask_height__isnull=False, mask_width__isnull=False),
                name="finding_mask_has_size",
            ),
        ]
        indexes = [models.Index(fields=["inspection", "status"], name="finding_of_inspection")]
