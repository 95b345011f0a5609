"""What the inspected party is shown by a link, what they say to it, and what they are answered."""

from __future__ import annotations

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from inspection.models.audit import audited
from inspection.models.base import SiteModel, one_of
from inspection.models.choices import PhotoStatus
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection

PERSON = settings.AUTH_USER_MODEL
LONGEST_STATEMENT = 4000
LONGEST_ANSWER = 4000

WRITTEN_ONCE = pgtrigger.Update | pgtrigger.Delete


class DisputeOutcome(models.TextChoices):
    UPHELD = "upheld", "Upheld"
    WITHDRAWN = "withdrawn", "Withdrawn"
    CHANGED = "changed", "Changed"


@audited("digest")
class DisputeLink(SiteModel):
    """A link by which the inspected party sees one finding, or with no ``finding`` the whole unit.

    Only the SHA-256 of its token is stored (``digest``). Until ``expires_at`` the party may write;
    ``readable_until`` is set once they have written, so that they can read the answer after that.
    ``label``: whom it is for, in the site's own words. ``email``: where it was sent, if it was.
    """

    inspection = models.ForeignKey(
        Inspection, on_delete=models.PROTECT, related_name="dispute_links"
    )
    finding = models.ForeignKey(Finding, null=True, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    shows_earlier = models.BooleanField(default=True)
    expires_at = models.DateTimeField()
    readable_until = models.DateTimeField(null=True)
    made_by = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(PERSON, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="dispute_link_is_revoked_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(readable_until__isnull=True) | Q(readable_until__gte=F("expires_at")),
                name="dispute_link_is_read_as_long_as_written",
            ),
        ]
        indexes = [models.Index(fields=["site", "-created_at"], name="dispute_link_newest")]


class DisputeLook(SiteModel):
    """The page of a link was opened. ``device`` tells devices apart and is no address: a keyed
    hash. ``user``: somebody signed in at the site, who is not the party."""

    link = models.ForeignKey(DisputeLink, on_delete=models.PROTECT, related_name="looks")
    device = models.CharField(max_length=16)
    user = models.ForeignKey(PERSON, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["created_at", "id"]
        triggers = [pgtrigger.Protect(name="looks_are_written_once", operation=WRITTEN_ONCE)]
        indexes = [models.Index(fields=["link", "created_at"], name="dispute_look_of_link")]


@audited()
class DisputeStatement(SiteModel):
    """What the party says. ``reference`` is what they are told to keep, ``due_at`` until when they
    are promised an answer, ``draft`` the form it came from, which counts once."""

    link = models.ForeignKey(DisputeLink, on_delete=models.PROTECT, related_name="statements")
    number = models.PositiveSmallIntegerField()
    reference = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100, blank=True)
    body = models.TextField(max_length=LONGEST_STATEMENT)
    draft = models.UUIDField()
    due_at = models.DateTimeField()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["link", "number"], name="statement_number_once"),
            models.UniqueConstraint(fields=["link", "draft"], name="statement_once_per_form"),
            models.CheckConstraint(condition=~Q(body=""), name="statement_says_something"),
        ]
        triggers = [pgtrigger.Protect(name="statements_are_written_once", operation=WRITTEN_ONCE)]


@audited()
class DisputePhoto(SiteModel):
    """A photo that the party added; without a ``statement`` it belongs to a form that is still
    being filled in. Only re-encoded copies without EXIF are served."""

    link = models.ForeignKey(DisputeLink, on_delete=models.PROTECT, related_name="photos")
    statement = models.ForeignKey(
        DisputeStatement, null=True, on_delete=models.PROTECT, related_name="photos"
    )
    draft = models.UUIDField(default=uuid.uuid4)
    client_key = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    status = models.CharField(max_length=20, choices=PhotoStatus, default=PhotoStatus.RECEIVED)
    message = models.TextField(blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    original_key = models.CharField(max_length=200)
    view_key = models.CharField(max_length=200, blank=True)
    thumb_key = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["link", "draft", "client_key"], name="dispute_photo_once_per_request"
            ),
            one_of("status", PhotoStatus),
            models.CheckConstraint(
                condition=~Q(status="ready")
                | (Q(width__gt=0, height__gt=0) & ~Q(view_key="") & ~Q(thumb_key="")),
                name="dispute_photo_ready_is_served",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="dispute_photo_unread",
                condition=Q(status="received"),
            ),
            models.Index(
                fields=["created_at"],
                name="dispute_photo_of_draft",
                condition=Q(statement__isnull=True),
            ),
        ]


@audited()
class DisputeAnswer(SiteModel):
    """The site's answer to the statements up to ``statement``. ``reviews``: ids of the verdicts
    that were given with it; ``told``: what the party is told of them, as it was then."""

    link = models.ForeignKey(DisputeLink, on_delete=models.PROTECT, related_name="answers")
    statement = models.OneToOneField(
        DisputeStatement, on_delete=models.PROTECT, related_name="answer"
    )
    outcome = models.CharField(max_length=20, choices=DisputeOutcome)
    body = models.TextField(max_length=LONGEST_ANSWER)
    reviews = models.JSONField(default=list)
    told = models.JSONField(default=list)
    reviewer = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            one_of("outcome", DisputeOutcome),
            models.CheckConstraint(condition=~Q(body=""), name="answer_says_something"),
        ]
        triggers = [pgtrigger.Protect(name="answers_are_written_once", operation=WRITTEN_ONCE)]


class TryCount(models.Model):
    """How often something was tried in a minute, by all processes together. ``key`` is a keyed
    hash of who tried what; rows of minutes that are over are deleted."""

    key = models.CharField(max_length=64)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "minute"], name="try_count_once")]
        indexes = [models.Index(fields=["minute"], name="try_count_old")]
