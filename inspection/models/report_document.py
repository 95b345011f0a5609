"""Reports for people outside: pages and PDFs that say what was known at one moment, and layouts."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.background import BackgroundJob, JobStatus
from inspection.models.base import SiteModel, one_of
from inspection.models.inspection import Inspection

PERSON = settings.AUTH_USER_MODEL
LEASED = ~Q(status=JobStatus.RUNNING) | Q(lease_until__isnull=False, attempt__gt=0)


class Paper(models.TextChoices):
    A4 = "a4", "A4"
    LETTER = "letter", "Letter"


class ReportStage(models.TextChoices):
    """What the making of a report does, in this order."""

    GATHER = "gather", "Gathering units"
    DRAW = "draw", "Drawing pages"
    JOIN = "join", "Putting pages together"


@audited()
class ReportLayout(SiteModel):
    """How reports of a site look. ``parts``: keys of ``selectors.reports.parts.PARTS`` in the order
    in which they appear. An empty ``title`` is made from what the report is about."""

    name = models.CharField(max_length=80)
    title = models.CharField(max_length=200, blank=True)
    footer = models.CharField(max_length=300, blank=True)
    paper = models.CharField(max_length=10, choices=Paper, default=Paper.A4)
    parts = models.JSONField(default=list)
    shows_logo = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            one_of("paper", Paper),
            models.UniqueConstraint(fields=["site", "name"], name="report_layout_name_once"),
            models.UniqueConstraint(
                fields=["site"], condition=Q(is_default=True), name="report_layout_one_default"
            ),
            models.CheckConstraint(condition=~Q(parts=[]), name="report_layout_shows_something"),
        ]

    def __str__(self) -> str:
        return self.name


@audited()
class SiteLogo(SiteModel):
    """The picture at the head of a site's reports: a PNG of our own encoding, never the file that
    was sent. ``image_key`` holds its SHA-256, so that older reports keep theirs."""

    image_key = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site"], name="site_logo_once"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="site_logo_size"),
        ]


@audited("head", "units", "stage", "done", "total", "attempt", "lease_until")
class ReportDocument(BackgroundJob):
    """A report on one unit (``inspection``) or on a lot, and the job that makes it.

    ``units``: ids of the units, oldest first, as chosen when it was asked for. What the report says
    is in ``head`` and in its parts, written once by workers; page and PDF are both drawn from that.
    ``layout``: the layout as it was then. ``criteria``: words by which a lot was chosen.
    """

    inspection = models.ForeignKey(
        Inspection, null=True, on_delete=models.CASCADE, related_name="report_documents"
    )
    title = models.CharField(max_length=200)
    layout = models.JSONField()
    criteria = models.JSONField(default=list)
    units = models.JSONField(default=list)
    stage = models.CharField(max_length=10, choices=ReportStage, default=ReportStage.GATHER)
    head = models.JSONField(null=True)
    pdf_key = models.CharField(max_length=200, blank=True)
    pdf_sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            one_of("status", JobStatus),
            one_of("stage", ReportStage),
            models.CheckConstraint(
                condition=~Q(status=JobStatus.DONE)
                | (~Q(pdf_key="") & Q(pages__gt=0, head__isnull=False)),
                name="report_document_done_is_there",
            ),
            models.CheckConstraint(condition=LEASED, name="report_document_running_is_leased"),
        ]
        indexes = [
            models.Index(fields=["site", "-created_at"], name="report_document_newest"),
            models.Index(
                fields=["created_at"],
                name="report_document_unfinished",
                condition=Q(status__in=["waiting", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class ReportPart(SiteModel):
    """Some units of a report in a row: what is said of them, and their pages while the report is
    being made."""

    document = models.ForeignKey(ReportDocument, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    pdf_key = models.CharField(max_length=200, blank=True)
    pages = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["document", "number"], name="report_part_once")
        ]


@audited("attempt", "lease_until")
class ReportMailing(BackgroundJob):
    """A report that goes out by e-mail to the addresses in ``to``."""

    document = models.ForeignKey(ReportDocument, on_delete=models.CASCADE, related_name="mailings")
    to = models.JSONField()
    subject = models.CharField(max_length=200)
    body = models.TextField(max_length=4000, blank=True)
    client_key = models.CharField(max_length=64)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            one_of("status", JobStatus),
            models.CheckConstraint(condition=LEASED, name="report_mailing_running_is_leased"),
            models.UniqueConstraint(
                fields=["document", "client_key"], name="report_mailing_once_per_request"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="report_mailing_unfinished",
                condition=Q(status__in=["waiting", "running"]),
            )
        ]
