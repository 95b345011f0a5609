"""What a site learns from its reviewers: labels, jobs, versions, and how versions do."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of
from inspection.models.choices import DispositionChoice
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection, Photo
from inspection.models.plan import Plan, PlanVersion
from inspection.models.review import Review
from inspection.models.run import Run

PERSON = settings.AUTH_USER_MODEL


class LearningStatus(models.TextChoices):
    """WAITING → RUNNING (in slices, leased) → DONE, or TOO_FEW labels, FAILED, CANCELLED."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    TOO_FEW = "too_few", "Too few verdicts"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class LearningStage(models.TextChoices):
    """What a job does, in this order."""

    COLLECT = "collect", "Collecting verdicts"
    READ = "read", "Looking at photos"
    FIT = "fit", "Learning"
    COMPARE = "compare", "Comparing with old verdicts"


class VersionStatus(models.TextChoices):
    """OFFERED → LIVE → RETIRED by a newer one or ROLLED_BACK; or DECLINED."""

    OFFERED = "offered", "Offered"
    LIVE = "live", "Live"
    RETIRED = "retired", "Replaced"
    ROLLED_BACK = "rolled_back", "Rolled back"
    DECLINED = "declined", "Declined"


class Part(models.TextChoices):
    """What a unit's verdicts are used for. A unit is always in the same part."""

    TRAIN = "train", "Learnt from"
    HELD = "held", "Held back"
    GOLD = "gold", "Gold unit"


class Change(models.TextChoices):
    """An old verdict under the new version, against the old one."""

    RIGHT = "right", "Right as before"
    FIXED = "fixed", "Fixed"
    NEW = "new", "New error"
    RETURNING = "returning", "Returning error"


class TrainingSet(SiteModel):
    """The labels of one moment. ``digest``: SHA-256 over all of them, in order. Written once."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="training_sets")
    plan_version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-created_at"]
        triggers = [
            pgtrigger.Protect(name="training_set_is_written_once", operation=pgtrigger.Update)
        ]


class TrainingExample(SiteModel):
    """One verdict as a label, and where it comes from: the ``review`` tells who and when, ``said``
    what the models had said and in which version. ``finding`` is empty for the unit as a whole."""

    training_set = models.ForeignKey(TrainingSet, on_delete=models.CASCADE, related_name="examples")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="+")
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    finding = models.ForeignKey(Finding, null=True, on_delete=models.CASCADE, related_name="+")
    part = models.CharField(max_length=10, choices=Part)
    label = models.JSONField()
    said = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        constraints = [
            one_of("part", Part),
            models.UniqueConstraint(
                fields=["training_set", "review"], name="example_once_per_verdict"
            ),
        ]


@audited("tensors_key", "plain_key")
class ModelVersion(SiteModel):
    """A learnt correction of the shipped models for one plan. ``bases``: engine versions that it
    was fitted on, and ``catalogue`` the defect catalogue (SHA-256); for others it does not hold.

    The files lie in the storage under ``tensors_key`` and ``plain_key``; ``digest`` is theirs.
    ``previous``: what was live before it, to which one goes back. ``shadow_since``: since then it
    also looks at live photos, without any effect.
    """

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="learned_versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=VersionStatus, default=VersionStatus.OFFERED)
    training_set = models.ForeignKey(TrainingSet, on_delete=models.PROTECT, related_name="+")
    bases = models.JSONField(default=dict)
    catalogue = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    tensors_key = models.CharField(max_length=200)
    plain_key = models.CharField(max_length=200)
    figures = models.JSONField(default=dict)
    against = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    previous = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)
    shadow_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="learned_number_once_per_plan"),
            models.UniqueConstraint(
                fields=["plan"], condition=Q(status="live"), name="learned_one_live_per_plan"
            ),
            models.UniqueConstraint(
                fields=["plan"],
                condition=Q(shadow_since__isnull=False),
                name="learned_one_shadow_per_plan",
            ),
            one_of("status", VersionStatus),
            models.CheckConstraint(
                condition=Q(status="offered") | Q(decided_at__isnull=False),
                name="learned_status_was_decided",
            ),
            models.CheckConstraint(
                condition=Q(shadow_since__isnull=True) | Q(status="offered"),
                name="learned_only_offered_is_shadow",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="learned_version_is_written_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "plan", "number", "training_set", "bases", "catalogue", "digest",
                    "tensors_key", "plain_key",
                ),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"version {self.number}"


@audited("stage", "done", "total", "attempt", "lease_until")
class LearningJob(SiteModel):
    """One job in the background, in slices of a few seconds: whatever a slice did is in rows, so
    that a killed worker loses one slice. ``attempt`` is the fencing token."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="learning_jobs")
    status = models.CharField(max_length=20, choices=LearningStatus, default=LearningStatus.WAITING)
    stage = models.CharField(max_length=20, choices=LearningStage, default=LearningStage.COLLECT)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True)
    requested_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    training_set = models.ForeignKey(
        TrainingSet, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            one_of("status", LearningStatus),
            one_of("stage", LearningStage),
            models.UniqueConstraint(
                fields=["plan"],
                condition=Q(status__in=["waiting", "running"]),
                name="learning_one_at_a_time_per_plan",
            ),
        ]


class PhotoReading(SiteModel):
    """What the shipped extractor (``base``: engine and version) said and saw of a photo under a
    defect catalogue; kept so that versions can be tried without asking it again."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="+")
    base = models.CharField(max_length=400)
    catalogue = models.CharField(max_length=64)
    extraction = models.JSONField()
    packed = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["photo", "base", "catalogue"], name="reading_once_per_photo_and_base"
            )
        ]


class ComparedUnit(SiteModel):
    """A judged unit under the old and the new version. ``verdict``: what people decided. ``old``,
    ``new``: what either says (``inspection.services.learning_replay.Answer`` as JSON).
    ``findings``: how many rejected findings came back, went, and how many confirmed ones were lost.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="compared")
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    part = models.CharField(max_length=10, choices=Part)
    verdict = models.CharField(max_length=20, choices=DispositionChoice)
    judged_at = models.DateTimeField()
    old = models.JSONField()
    new = models.JSONField()
    change = models.CharField(max_length=20, choices=Change)
    findings = models.JSONField(default=dict)

    class Meta:
        ordering = ["-judged_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "inspection"], name="compared_once_per_unit"
            ),
            one_of("part", Part),
            one_of("verdict", DispositionChoice),
            one_of("change", Change),
        ]


class ShadowResult(SiteModel):
    """What a version in the shadow said of a live run, beside what the live one said. Nothing acts
    on it. ``error``: why it said nothing."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="shadowed")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    live = models.JSONField(default=dict)
    shadow = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["version", "run"], name="shadow_once_per_run")
        ]
