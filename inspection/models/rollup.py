"""Counts by day, kept so that a dashboard reads hundreds of rows where there are millions of units.

Every row can be made again from the units themselves: ``inspection.services.rollups`` does so for
the days that ``DayMark`` names. A day is one of ``TIME_ZONE``, and it is the day on which the unit
came in, whenever its verdict changed.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from pgvector.django import VectorField

from inspection.models.action import Connector
from inspection.models.audit import audited
from inspection.models.base import SiteModel, SiteQuerySet
from inspection.models.choices import StepName, TicketStatus
from inspection.models.plan import EMBEDDING_SIZE, Plan
from inspection.models.site import Site

GRID = 16
"""Cells along each side of a photo in the map of where defects sit."""
BINS = 20
"""Bins of equal width for stated chances."""


class MarkKind(models.TextChoices):
    """Whose day is to be counted again: the units', the reviews' or the tickets' of that time."""

    UNIT = "unit", "Units"
    REVIEW = "review", "Reviews"
    TICKET = "ticket", "Tickets"


class DayMark(models.Model):
    """Something of this hour changed. Written by triggers (``inspection.models.marks``) in the
    transaction of the change, and never updated, so that writers don't wait for each other; the
    same hour may be marked many times."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=10, choices=MarkKind)
    hour = models.DateTimeField()


class RollupState(models.Model):
    """When the counts of a site were last brought up to date."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, primary_key=True, related_name="+")
    counted_at = models.DateTimeField()


class Slice(models.IntegerChoices):
    """Which of line, shift, supplier and product a row is split by; the others are empty in it."""

    NONE = 0, "None"
    LINE = 1, "Line"
    SHIFT = 2, "Shift"
    SUPPLIER = 3, "Supplier"
    PRODUCT = 4, "Product"
    ALL = 5, "All"


class DayCount(models.Model):
    """A count of one site on one day."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()

    objects = SiteQuerySet.as_manager()

    class Meta:
        abstract = True


class SlicedCount(DayCount):
    """A count by plan, and by line, shift, supplier, product or all four (``slice``)."""

    slice = models.PositiveSmallIntegerField(choices=Slice)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    line = models.CharField(max_length=64, blank=True)
    shift = models.CharField(max_length=64, blank=True)
    supplier = models.CharField(max_length=64, blank=True)
    product = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True


CONTEXT = ("line", "shift", "supplier", "product")
SLICED_KEY = ("site", "slice", "day", "plan", *CONTEXT)


class UnitDay(SlicedCount):
    """Units with a verdict (``units``), and how many of them …

    ``defective``: are not accepted. ``first``: are the first of their reference; ``first_passed``:
    of those, were accepted. ``minor`` … ``critical``: by their worst finding. ``alone``: accepted
    without a person. ``by_person``: decided by a person; ``refused``: of those, the models would
    not accept, ``overkill``: and the person did. ``checked``: drawn below the risk dial's
    thresholds and judged; ``escaped``: of those, not accepted. ``defects`` are findings in force.
    ``failed`` units have no verdict and are in none of the other counts.
    """

    units = models.PositiveIntegerField()
    defective = models.PositiveIntegerField()
    defects = models.PositiveIntegerField()
    first = models.PositiveIntegerField()
    first_passed = models.PositiveIntegerField()
    rework = models.PositiveIntegerField()
    reject = models.PositiveIntegerField()
    hold = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    major = models.PositiveIntegerField()
    critical = models.PositiveIntegerField()
    alone = models.PositiveIntegerField()
    by_person = models.PositiveIntegerField()
    refused = models.PositiveIntegerField()
    overkill = models.PositiveIntegerField()
    checked = models.PositiveIntegerField()
    escaped = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=SLICED_KEY, name="unit_day_once", nulls_distinct=False),
            models.CheckConstraint(
                condition=Q(
                    defective__lte=F("units"),
                    first_passed__lte=F("first"),
                    overkill__lte=F("refused"),
                    escaped__lte=F("checked"),
                ),
                name="unit_day_parts_of_wholes",
            ),
        ]


class DefectDay(SlicedCount):
    """Findings in force by type (``found``) and severity; of the models' findings, how many a
    person confirmed and rejected."""

    type = models.CharField(max_length=64)
    found = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    major = models.PositiveIntegerField()
    critical = models.PositiveIntegerField()
    confirmed = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[*SLICED_KEY, "type"], name="defect_day_once", nulls_distinct=False
            )
        ]


class EngineDay(DayCount):
    """What an engine did in a step: ``rank`` is its place in the cascade, from 1. ``cases`` it was
    asked about (photos in a cascade, else units), time in ms and cost in microdollars together."""

    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    step = models.CharField(max_length=20, choices=StepName)
    rank = models.PositiveSmallIntegerField()
    architecture = models.CharField(max_length=20)
    engine = models.CharField(max_length=200)
    cases = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    run_ms = models.FloatField()
    cost_microusd = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "day", "plan", "step", "rank", "architecture", "engine"],
                name="engine_day_once",
                nulls_distinct=False,
            )
        ]


class LatencyDay(DayCount):
    """Steps by how long they ran: ``bucket`` b holds run times from ``RATIO**b`` ms on
    (``models_runtime.spc.histogram``)."""

    step = models.CharField(max_length=20, choices=StepName)
    architecture = models.CharField(max_length=20)
    bucket = models.SmallIntegerField()
    steps = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "day", "step", "architecture", "bucket"], name="latency_day_once"
            )
        ]


class CalibrationKind(models.TextChoices):
    """What was stated: that a finding is a defect, or that the unit is defective."""

    FINDING = "finding", "Findings"
    UNIT = "unit", "Units"


class CalibrationDay(DayCount):
    """Stated chances that a person has judged since, in bins of equal width: ``stated`` is their
    sum, ``hits`` how many came true."""

    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CalibrationKind)
    bin = models.PositiveSmallIntegerField()
    cases = models.PositiveIntegerField()
    hits = models.PositiveIntegerField()
    stated = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "day", "plan", "kind", "bin"],
                name="calibration_day_once",
                nulls_distinct=False,
            )
        ]


class PhotoDay(DayCount):
    """Measured photos: sums of brightness (0..255) and of the logarithm of sharpness, and the mean
    embedding of those that have one. ``plan`` empty and ``is_total``: of all plans."""

    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    is_total = models.BooleanField()
    photos = models.PositiveIntegerField()
    brightness = models.FloatField()
    log_sharpness = models.FloatField()
    embedded = models.PositiveIntegerField()
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "is_total", "plan", "day"],
                name="photo_day_once",
                nulls_distinct=False,
            )
        ]


class HeatDay(DayCount):
    """How many findings' boxes touch each cell of the photo, row by row from the top left. Of one
    day, or of the month that begins on ``day``; ``type`` empty: of all types."""

    is_month = models.BooleanField()
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    type = models.CharField(max_length=64, blank=True)
    findings = models.PositiveIntegerField()
    cells = ArrayField(models.IntegerField(), size=GRID * GRID)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "plan", "type", "is_month", "day"], name="heat_day_once"
            )
        ]


class ReviewerDay(DayCount):
    """Verdicts of a person: on units and on findings, how many units got another disposition than
    before, and the seconds between verdicts without longer breaks. ``timed``: units at the end of
    such a time."""

    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    units = models.PositiveIntegerField()
    findings = models.PositiveIntegerField()
    changed = models.PositiveIntegerField()
    timed = models.PositiveIntegerField()
    active_s = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "day", "plan", "reviewer"],
                name="reviewer_day_once",
                nulls_distinct=False,
            )
        ]


class TicketDay(DayCount):
    """Tickets by destination and state; ``took_s``: seconds until those delivered were taken."""

    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=20, choices=TicketStatus)
    tickets = models.PositiveIntegerField()
    took = models.PositiveIntegerField()
    took_s = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "day", "plan", "connector", "status"],
                name="ticket_day_once",
                nulls_distinct=False,
            )
        ]


@audited()
class DefectCost(SiteModel):
    """What one defect of a type costs on average, in the site's own currency."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    type = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "type"], name="defect_cost_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="defect_cost_not_below_zero"),
        ]
