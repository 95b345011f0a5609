"""What goes out of the house and comes into it as files: exports, and imported annotations."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.background import BackgroundJob, JobStatus
from inspection.models.base import SiteModel, one_of
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection, Photo
from inspection.models.plan import Plan


class ExportFormat(models.TextChoices):
    COCO = "coco", "COCO"
    YOLO = "yolo", "YOLO"
    VOC = "voc", "Pascal VOC"
    CSV = "csv", "CSV"
    PARQUET = "parquet", "Parquet"


class ImportFormat(models.TextChoices):
    COCO = "coco", "COCO"
    YOLO = "yolo", "YOLO"


class ImportStage(models.TextChoices):
    """CHECK tells what an import would do; APPLY does it, after a person's word."""

    CHECK = "check", "Checking"
    APPLY = "apply", "Importing"


@audited("done", "total", "attempt", "lease_until")
class ExportJob(BackgroundJob):
    """An export. ``query``: the filters of the list of units, as in its address; ``options`` as in
    ``inspection.services.exports.options``; ``counts``: what is in the file. The file lies in the
    storage under ``file_key`` until ``expires_at``; the row stays, so that it can be told who took
    what out of the house."""

    format = models.CharField(max_length=20, choices=ExportFormat)
    query = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    file_key = models.CharField(max_length=200, blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True)

    class Meta(BackgroundJob.Meta):
        constraints = [
            one_of("status", JobStatus),
            one_of("format", ExportFormat),
            models.CheckConstraint(
                condition=~Q(status="done") | (~Q(file_key="") & Q(expires_at__isnull=False)),
                name="export_done_has_a_file",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "-created_at"], name="export_newest"),
            models.Index(
                fields=["status", "lease_until"],
                name="export_open",
                condition=Q(status__in=["waiting", "running"]),
            ),
        ]


@audited("done", "total", "attempt", "lease_until", "report")
class ImportJob(BackgroundJob):
    """An import of annotations from a file. ``report``: what the check found; ``mapping``: class
    name of the file to the key of a defect of the plan, or "" to leave it out; ``counts``: what
    came in. ``sha256`` is of the file as it was sent."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    format = models.CharField(max_length=20, choices=ImportFormat, blank=True)
    stage = models.CharField(max_length=20, choices=ImportStage, default=ImportStage.CHECK)
    name = models.CharField(max_length=255)
    stored_key = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    mapping = models.JSONField(default=dict)
    report = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)

    class Meta(BackgroundJob.Meta):
        constraints = [
            one_of("status", JobStatus),
            one_of("format", ImportFormat, empty=True),
            one_of("stage", ImportStage),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(stage="apply"), name="import_done_was_applied"
            ),
        ]
        indexes = [
            models.Index(fields=["site", "-created_at"], name="import_newest"),
            models.Index(
                fields=["status", "lease_until"],
                name="import_open",
                condition=Q(status__in=["waiting", "running"]),
            ),
        ]


class ImportedAnnotation(SiteModel):
    """Where a finding comes from: which annotation (``place``) of which file, under which name of
    a class. The same annotation of the same file comes in once per photo."""

    job = models.ForeignKey(ImportJob, on_delete=models.PROTECT, related_name="annotations")
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="+")
    finding = models.OneToOneField(Finding, on_delete=models.CASCADE, related_name="imported")
    file_sha256 = models.CharField(max_length=64)
    place = models.CharField(max_length=300)
    class_name = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["photo", "file_sha256", "place"], name="annotation_imported_once"
            )
        ]
