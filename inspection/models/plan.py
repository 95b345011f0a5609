"""Inspection plans: what is looked at, in versions that never change once written."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from pgvector.django import VectorField

from inspection.models.audit import audited
from inspection.models.base import SiteModel
from models_runtime.plans import PlanSpec

EMBEDDING_SIZE = 384
"""Dimension of the MLM's and VLM's shared space."""


@audited()
class Plan(SiteModel):
    """A plan by name; what it says is in its versions, the newest of which is in force."""

    key = models.SlugField(max_length=64)
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    current = models.ForeignKey(
        "inspection.PlanVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["site", "key"], name="plan_key_once_per_site")
        ]

    def __str__(self) -> str:
        return self.name


class PlanVersion(SiteModel):
    """What a plan said from one moment on. Written once: inspections refer to it for ever."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="plan_version_number_once")
        ]
        triggers = [
            pgtrigger.Protect(
                name="plan_version_is_written_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("spec", "number", "plan"),
            )
        ]

    def parsed(self) -> PlanSpec:
        """The spec as a typed value."""
        return PlanSpec.model_validate(self.spec)


@audited()
class GoldenPhoto(SiteModel):
    """A photo of a sound unit that others of this plan are compared with."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="golden_photos")
    image_key = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "sha256"], name="golden_photo_once_per_plan")
        ]
