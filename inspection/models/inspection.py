"""One unit under inspection, its photos and what was read from them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Q
from pgvector.django import HnswIndex, VectorField

from inspection.models.audit import audited
from inspection.models.base import SiteModel, UnitContext, one_of, share
from inspection.models.choices import (
    DispositionChoice,
    InspectionStatus,
    PhotoStatus,
    SeverityChoice,
)
from inspection.models.plan import EMBEDDING_SIZE, Plan, PlanVersion


@audited("search", "embedding")
class Inspection(UnitContext, SiteModel):
    """A unit (product, property or part) from its photos to its disposition.

    ``disposition`` is the word in force: the model's until a person decides, then the person's.
    ``summary`` is one searchable line of what was seen. ``earlier`` is the inspection that a person
    chose to compare with; else it is found by the reference. ``decided_by`` is empty where the
    model's disposition passed without a person.
    """

    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="inspections")
    plan_version = models.ForeignKey(
        PlanVersion, null=True, on_delete=models.PROTECT, related_name="+"
    )
    reference = models.CharField(max_length=200, blank=True)
    note = models.TextField(max_length=4000, blank=True)
    status = models.CharField(
        max_length=20, choices=InspectionStatus, default=InspectionStatus.RECEIVED
    )
    disposition = models.CharField(max_length=20, choices=DispositionChoice, blank=True)
    severity = models.CharField(max_length=20, choices=SeverityChoice, blank=True)
    priority = models.PositiveSmallIntegerField(default=4)
    queue = models.CharField(max_length=50, blank=True)
    confidence = models.FloatField(null=True)
    defect_probability = models.FloatField(null=True)
    in_domain = models.FloatField(null=True)
    abstained = models.BooleanField(default=False)
    reasons = models.JSONField(default=list)
    message = models.TextField(blank=True)
    summary = models.TextField(blank=True)
    earlier = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    wants_report = models.BooleanField(default=False)
    is_sample = models.BooleanField(default=False)
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True)
    current_run = models.ForeignKey(
        "inspection.Run", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    search = models.GeneratedField(
        expression=SearchVector("reference", "note", "summary", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["site", "-created_at", "-id"], name="inspection_newest"),
            models.Index(fields=["site", "status", "-created_at"], name="inspection_by_status"),
            models.Index(
                fields=["site", "plan", "reference", "-created_at"],
                name="inspection_of_one_unit",
                condition=~Q(reference=""),
            ),
            models.Index(
                fields=["decided_at"],
                name="inspection_decided_by_a_person",
                condition=Q(decided_at__isnull=False),
            ),
            GinIndex(fields=["search"], name="inspection_search"),
            HnswIndex(
                fields=["embedding"],
                name="inspection_likeness",
                opclasses=["vector_cosine_ops"],
            ),
        ]
        constraints = [
            one_of("status", InspectionStatus),
            one_of("disposition", DispositionChoice, empty=True),
            one_of("severity", SeverityChoice, empty=True),
            share("confidence"),
            share("defect_probability"),
            models.CheckConstraint(
                condition=~Q(status__in=["review", "decided"]) | ~Q(disposition=""),
                name="inspection_judged_has_disposition",
            ),
            models.CheckConstraint(
                condition=Q(status="decided") | Q(decided_by__isnull=True),
                name="inspection_person_decides_at_the_end",
            ),
        ]

    def __str__(self) -> str:
        return self.reference or f"Inspection {str(self.id)[-6:]}"


class Photo(SiteModel):
    """A photo of the unit. ``original_key`` keeps the bytes as sent; only re-encoded copies
    without EXIF are served. ``tiles_key`` is where the tiles lie of a photo that is larger than its
    served copy, "" where there are none. ``exif`` is evidence for the site's own eyes."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="photos")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=255)
    status = models.CharField(max_length=20, choices=PhotoStatus, default=PhotoStatus.RECEIVED)
    message = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.BigIntegerField()
    format = models.CharField(max_length=20, blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    original_key = models.CharField(max_length=200)
    view_key = models.CharField(max_length=200, blank=True)
    thumb_key = models.CharField(max_length=200, blank=True)
    tiles_key = models.CharField(max_length=200, blank=True)
    exif = models.JSONField(default=dict)
    perceptual_hash = models.BigIntegerField(null=True)
    quality = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    codes = models.JSONField(default=list)
    duplicate_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["inspection", "position"], name="photo_position_once"),
            one_of("status", PhotoStatus),
            models.CheckConstraint(
                condition=~Q(status="ready") | Q(width__gt=0, height__gt=0),
                name="photo_ready_has_size",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "sha256"], name="photo_same_bytes"),
            HnswIndex(fields=["embedding"], name="photo_likeness", opclasses=["vector_cosine_ops"]),
        ]


@audited()
class AttributeValue(SiteModel):
    """The answer for one characteristic of the plan. ``value`` is JSON null where the model
    abstained; ``corrected_by`` names the person whose word it is."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="attributes")
    run = models.ForeignKey("inspection.Run", on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    value = models.JSONField(null=True)
    confidence = models.FloatField()
    abstained = models.BooleanField(default=False)
    alternatives = models.JSONField(default=dict)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="attribute_once_per_run"),
            share("confidence"),
        ]
