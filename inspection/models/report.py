"""Reports: sentences with references to the evidence they lean on."""

from __future__ import annotations

from django.db import models

from inspection.models.base import SiteModel
from inspection.models.inspection import Inspection
from inspection.models.run import Run


class Report(SiteModel):
    """A report of one run. ``claims`` are ``models_runtime.contracts.Claim`` values as JSON."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="reports")
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="report")
    title = models.CharField(max_length=300)
    writer = models.CharField(max_length=200)
    claims = models.JSONField(default=list)
    rejected_claims = models.JSONField(default=list)
