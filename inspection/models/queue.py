"""The queue of reviews: what waits for a person and why, who has it, and until when."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Ln
from django.utils import timezone

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of
from inspection.models.choices import ReviewReason, TaskStatus
from inspection.models.inspection import Inspection
from inspection.models.plan import Plan
from inspection.models.review import Review

PERSON = settings.AUTH_USER_MODEL
DOUBLES_AFTER_S = 86_400.0
"""A review is worth twice as much for each day that it waits."""

FIRST_LOOK = (
    ReviewReason.LOW_CONFIDENCE,
    ReviewReason.DISAGREEMENT,
    ReviewReason.OUT_OF_DISTRIBUTION,
    ReviewReason.SEVERITY,
    ReviewReason.SAMPLED,
)
"""Reasons for the review of a unit that nobody has decided yet: one task, whatever they are."""

_OPEN = Q(status=TaskStatus.OPEN)
_SECONDS = Func(
    F("waits_since"),
    template="extract(epoch from %(expressions)s - to_timestamp(0))::double precision",
    output_field=models.FloatField(),
)


@audited("rank", "held_by", "held_until", "claim", "passed_by", "passed_until")
class ReviewTask(SiteModel):
    """One review to be done. ``reason`` is the queue it lies in, ``also`` the other reasons.

    A review is worth ``risk`` × ``uncertainty`` × 2^(days waited). The order that this gives does
    not change as time goes by, so that ``rank`` (its binary logarithm without the common part) is
    kept in an index. ``held_by`` has it until ``held_until``, ``claim`` counts how often it was
    taken. ``assigned_to``: for this person only. ``not_for``: whose word it is to be compared with.
    ``passed_by`` doesn't want it before ``passed_until``. ``settled_with`` is the verdict that
    ended it, empty where it ended otherwise.
    """

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="tasks")
    plan = models.ForeignKey(Plan, null=True, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=20, choices=ReviewReason)
    also = models.JSONField(default=list)
    status = models.CharField(max_length=20, choices=TaskStatus, default=TaskStatus.OPEN)
    risk = models.FloatField()
    uncertainty = models.FloatField()
    waits_since = models.DateTimeField(default=timezone.now)
    rank = models.GeneratedField(
        expression=Ln(F("risk") * F("uncertainty")) / Value(0.6931471805599453)
        - _SECONDS / Value(DOUBLES_AFTER_S),
        output_field=models.FloatField(),
        db_persist=True,
    )
    due_at = models.DateTimeField(null=True)
    assigned_to = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    assigned_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    not_for = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    held_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    held_until = models.DateTimeField(null=True)
    claim = models.PositiveIntegerField(default=0)
    passed_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    passed_until = models.DateTimeField(null=True)
    done_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    done_at = models.DateTimeField(null=True)
    settled_with = models.ForeignKey(
        Review, null=True, on_delete=models.PROTECT, related_name="tasks"
    )

    class Meta:
        ordering = ["-rank"]
        constraints = [
            one_of("reason", ReviewReason),
            one_of("status", TaskStatus),
            models.CheckConstraint(
                condition=Q(risk__gt=0, risk__lte=1, uncertainty__gt=0, uncertainty__lte=1),
                name="task_worth_is_of_shares",
            ),
            models.CheckConstraint(
                condition=(Q(status="done") & Q(done_at__isnull=False))
                | (~Q(status="done") & Q(done_at__isnull=True)),
                name="task_done_has_a_time",
            ),
            models.UniqueConstraint(
                fields=["inspection"],
                condition=Q(
                    status__in=["open", "paused"], reason__in=[r.value for r in FIRST_LOOK]
                ),
                name="task_one_first_look",
            ),
            models.UniqueConstraint(
                fields=["inspection", "reason"],
                condition=Q(status="open", reason__in=["second_review", "dispute", "asked"]),
                name="task_once_per_reason",
            ),
            models.UniqueConstraint(
                fields=["inspection", "assigned_to"],
                condition=Q(status="open", reason="gold"),
                name="task_gold_once_per_person",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "-rank"], name="task_worth", condition=_OPEN),
            models.Index(
                fields=["site", "plan", "-rank"], name="task_worth_of_plan", condition=_OPEN
            ),
            models.Index(
                fields=["site", "reason", "-rank"], name="task_worth_of_reason", condition=_OPEN
            ),
            models.Index(
                fields=["site", "assigned_to", "-rank"],
                name="task_of_person",
                condition=_OPEN & Q(assigned_to__isnull=False),
            ),
            models.Index(
                fields=["site", "held_by"],
                name="task_held",
                condition=_OPEN & Q(held_by__isnull=False),
            ),
            models.Index(
                fields=["site", "due_at"],
                name="task_due",
                condition=_OPEN & Q(due_at__isnull=False),
            ),
        ]


class KeyMap(models.Model):
    """The keys that a person chose for acts of the pages: ``{act: [key, …]}``, see ``keys.js``."""

    user = models.OneToOneField(
        PERSON, primary_key=True, on_delete=models.CASCADE, related_name="key_map"
    )
    bindings = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)
