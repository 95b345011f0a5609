"""More than one person's word on a unit: second review, adjudication, gold units, comments."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of, share
from inspection.models.choices import (
    DispositionChoice,
    JudgementPart,
    MentionKind,
    RoundKind,
    RoundState,
    SeverityChoice,
)
from inspection.models.inspection import Inspection, Photo
from inspection.models.plan import Plan
from inspection.models.review import Review

PERSON = settings.AUTH_USER_MODEL


@audited()
class JudgingRule(SiteModel):
    """When a second reviewer looks at units of a plan, and how many gold units are mixed in.

    ``share`` of all units; units as bad as ``severity_from``; units that a reviewer decides who is
    newer than ``new_days`` days at the site or has decided fewer than ``new_units`` units there.
    ``gold_share``: of 1 unit that a reviewer is given, so much is a gold unit.
    """

    plan = models.OneToOneField(Plan, on_delete=models.CASCADE, related_name="judging_rule")
    share = models.FloatField(default=0.0)
    severity_from = models.CharField(max_length=20, choices=SeverityChoice, blank=True)
    new_days = models.PositiveIntegerField(null=True, blank=True)
    new_units = models.PositiveIntegerField(null=True, blank=True)
    gold_share = models.FloatField(default=0.0)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            share("share"),
            share("gold_share"),
            one_of("severity_from", SeverityChoice, empty=True),
        ]


@audited()
class Round(SiteModel):
    """A unit on which one person's word is not enough. While it is open the rows of the unit carry
    the models' word, and each judgement is sealed: only the one who gave it sees it.

    ``reasons``: why, as values of ``SecondReviewReason``. ``holder``: who is giving the word that
    is due, until ``holder_until``; two who judge at once meet here. ``is_agreed``: whether the two
    blind words were one.
    """

    inspection = models.OneToOneField(Inspection, on_delete=models.CASCADE, related_name="round")
    plan = models.ForeignKey(Plan, null=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=20, choices=RoundKind)
    state = models.CharField(max_length=20, choices=RoundState)
    reasons = models.JSONField(default=list)
    holder = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    holder_until = models.DateTimeField(null=True)
    is_agreed = models.BooleanField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            one_of("kind", RoundKind),
            one_of("state", RoundState),
            models.CheckConstraint(
                condition=Q(state="final", closed_at__isnull=False)
                | (~Q(state="final") & Q(closed_at__isnull=True)),
                name="round_final_is_closed",
            ),
            models.CheckConstraint(
                condition=(Q(kind="gold") & Q(state__in=["gold", "final"]))
                | (Q(kind="second") & ~Q(state="gold")),
                name="round_state_fits_kind",
            ),
            models.CheckConstraint(
                condition=~Q(state="adjudication") | Q(is_agreed=False),
                name="round_adjudicated_only_where_two_differ",
            ),
            models.CheckConstraint(
                condition=Q(holder__isnull=True) | Q(holder_until__isnull=False),
                name="round_holder_has_an_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["site", "state", "created_at"],
                name="round_open",
                condition=~Q(state="final"),
            )
        ]


@audited("findings")
class Judgement(SiteModel):
    """One person's whole word on a unit, as it was when they decided: ``findings`` is a list of
    ``inspection.services.sealing.Word``. Written once; one that its author took back keeps its row.
    """

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="judgements")
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="judgement")
    part = models.CharField(max_length=20, choices=JudgementPart)
    disposition = models.CharField(max_length=20, choices=DispositionChoice)
    findings = models.JSONField(default=list)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            one_of("part", JudgementPart),
            one_of("disposition", DispositionChoice),
            models.UniqueConstraint(
                fields=["round", "reviewer"],
                condition=Q(withdrawn_at__isnull=True) & ~Q(part="adjudication"),
                name="judgement_once_per_reviewer",
            ),
            models.UniqueConstraint(
                fields=["round", "part"],
                condition=Q(withdrawn_at__isnull=True) & ~Q(part="gold"),
                name="judgement_once_per_part",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="judgements_are_written_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "round", "inspection", "reviewer", "review", "part", "disposition", "findings"
                ),
            )
        ]


class Agreement(SiteModel):
    """Two blind words on the same unit, side by side. ``classes``: for each defect that either saw
    the class that each gave it, "" where it is none for them; ``ious``: of the masks that both
    have. ``reviewer_a`` is the one with the smaller id, so that a pair is always in one order."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="agreements")
    plan = models.ForeignKey(Plan, null=True, on_delete=models.SET_NULL, related_name="+")
    judgement_a = models.ForeignKey(Judgement, on_delete=models.CASCADE, related_name="+")
    judgement_b = models.ForeignKey(Judgement, on_delete=models.CASCADE, related_name="+")
    reviewer_a = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    reviewer_b = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    disposition_a = models.CharField(max_length=20, choices=DispositionChoice)
    disposition_b = models.CharField(max_length=20, choices=DispositionChoice)
    classes = models.JSONField(default=list)
    ious = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["judgement_a", "judgement_b"], name="agreement_once_per_pair"
            ),
            models.CheckConstraint(
                condition=Q(reviewer_a__lt=models.F("reviewer_b")),
                name="agreement_is_in_one_order",
            ),
        ]
        indexes = [models.Index(fields=["site", "created_at"], name="agreement_newest")]


@audited("findings")
class GoldUnit(SiteModel):
    """A unit whose right answer is known. ``inspection`` is a copy of ``source`` that looks as if
    nobody had judged it; the answer is only here, never in the copy's rows."""

    source = models.ForeignKey(Inspection, on_delete=models.PROTECT, related_name="+")
    inspection = models.OneToOneField(Inspection, on_delete=models.PROTECT, related_name="gold")
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="+")
    disposition = models.CharField(max_length=20, choices=DispositionChoice)
    findings = models.JSONField(default=list)
    note = models.TextField(blank=True, max_length=2000)
    is_active = models.BooleanField(default=True)
    created_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            one_of("disposition", DispositionChoice),
            models.UniqueConstraint(
                fields=["source"], condition=Q(is_active=True), name="gold_once_per_source"
            ),
        ]


class Grade(SiteModel):
    """How a judgement of a gold unit compares with the known answer: ``found`` of its defects,
    ``missed``, ``misclassed`` (found, but as another class), and ``overcalled`` beyond them."""

    judgement = models.OneToOneField(Judgement, on_delete=models.CASCADE, related_name="grade")
    gold = models.ForeignKey(GoldUnit, on_delete=models.CASCADE, related_name="grades")
    reviewer = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    is_right = models.BooleanField()
    found = models.PositiveSmallIntegerField()
    missed = models.PositiveSmallIntegerField()
    misclassed = models.PositiveSmallIntegerField()
    overcalled = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["site", "reviewer", "-created_at"], name="grade_newest")]


@audited()
class Comment(SiteModel):
    """What somebody said about a unit, pinned to a place of a photo or not. ``x`` and ``y`` are
    shares (0..1) of the photo's width and height. A reply has a ``thread``, the comment that it
    answers; only that one has a place and is resolved."""

    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE, related_name="comments")
    photo = models.ForeignKey(Photo, null=True, on_delete=models.CASCADE, related_name="comments")
    x = models.FloatField(null=True)
    y = models.FloatField(null=True)
    thread = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="replies")
    author = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    body = models.TextField(max_length=2000)
    client_key = models.CharField(max_length=64)
    resolved_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["inspection", "client_key"], name="comment_once_per_request"
            ),
            share("x"),
            share("y"),
            models.CheckConstraint(
                condition=Q(x__isnull=True, y__isnull=True, photo__isnull=True)
                | Q(x__isnull=False, y__isnull=False, photo__isnull=False),
                name="comment_place_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(thread__isnull=True) | Q(x__isnull=True, resolved_at__isnull=True),
                name="comment_reply_has_no_place",
            ),
        ]


class Mention(SiteModel):
    """Somebody was named in a comment, or their thread was answered. Unread until ``read_at``."""

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="mentions")
    user = models.ForeignKey(PERSON, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=MentionKind)
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["comment", "user"], name="mention_once"),
            one_of("kind", MentionKind),
        ]
        indexes = [
            models.Index(
                fields=["user", "site"], name="mention_unread", condition=Q(read_at__isnull=True)
            ),
            models.Index(fields=["user", "site", "-created_at"], name="mention_newest"),
        ]
