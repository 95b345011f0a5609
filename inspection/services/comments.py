"""Comments on a unit, pinned to a place of a photo or not, with threads and mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from inspection.models import Comment, Inspection, Membership, Mention, Photo, User
from inspection.models.choices import MentionKind, Role
from inspection.services.inspections import storable

LONGEST = 2000
NAMED = re.compile(r"(?<![\w@])@([\w.+-]*\w)")
"""An @ at the beginning of a word, and a user name; a full stop after it ends the sentence."""


class CommentRefusedError(Exception):
    """It can't be kept so; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where on a photo, as shares (0..1) of its width and height."""

    photo: Photo
    x: float
    y: float


@transaction.atomic
def add_comment(
    membership: Membership,
    inspection: Inspection,
    body: str,
    client_key: str,
    *,
    place: Place | None = None,
    thread: Comment | None = None,
) -> Comment:
    """Keep what somebody says, and tell those who are named; the same key again changes nothing."""
    text = storable(body)
    _check(membership, inspection, text, client_key, place, thread)
    known: Comment | None = Comment.objects.filter(
        inspection=inspection, client_key=client_key
    ).first()
    if known is not None:
        return known
    comment, is_new = Comment.objects.get_or_create(
        inspection=inspection,
        client_key=client_key,
        defaults={
            "site_id": membership.site_id,
            "photo": place.photo if place else None,
            "x": place.x if place else None,
            "y": place.y if place else None,
            "thread": thread,
            "author": membership.user,
            "body": text,
        },
    )
    if is_new:
        _tell(comment)
    return comment


def _check(
    membership: Membership,
    inspection: Inspection,
    text: str,
    client_key: str,
    place: Place | None,
    thread: Comment | None,
) -> None:
    if inspection.site_id != membership.site_id:
        raise CommentRefusedError("This inspection belongs to another site.")
    if not text:
        raise CommentRefusedError("Write something first.")
    if len(text) > LONGEST:
        raise CommentRefusedError(f"A comment may have {LONGEST} characters. Shorten it.")
    if not 0 < len(client_key) <= 64:
        raise CommentRefusedError("The request has no key of its own. Reload the page.")
    if place is not None:
        _check_place(inspection, place, thread)
    if thread is not None and (thread.inspection_id != inspection.pk or thread.thread_id):
        raise CommentRefusedError("What you answer is gone. Reload the page.")


def _check_place(inspection: Inspection, place: Place, thread: Comment | None) -> None:
    on_photo = all(isfinite(side) and 0 <= side <= 1 for side in (place.x, place.y))
    if thread is not None or place.photo.inspection_id != inspection.pk or not on_photo:
        raise CommentRefusedError("Put the pin on a photo of this unit.")


def _tell(comment: Comment) -> None:
    """Whoever is named, and who takes part in the thread; nobody hears of their own words."""
    named = set(named_in(comment.body, comment.site_id))
    part = set(_taking_part(comment)) - named
    Mention.objects.bulk_create(
        Mention(site_id=comment.site_id, comment=comment, user_id=user, kind=kind)
        for users, kind in ((named, MentionKind.MENTION), (part, MentionKind.REPLY))
        for user in users
        if user != comment.author_id
    )


def named_in(text: str, site_id: UUID) -> Iterable[int]:
    """Ids of the site's members who are named; others are just words."""
    names = {name.lower() for name in NAMED.findall(text)}
    if not names:
        return []
    rows = User.objects.filter(memberships__site=site_id, is_active=True)
    return [pk for pk, name in rows.values_list("pk", "username") if name.lower() in names]


def _taking_part(comment: Comment) -> Iterable[int]:
    if comment.thread is None:
        return []
    answers = Comment.objects.filter(thread=comment.thread)
    return [comment.thread.author_id, *answers.values_list("author", flat=True)]


def set_resolved(membership: Membership, comment: Comment, is_resolved: bool) -> None:
    """Close a thread, or open it again: its author, and reviewers."""
    if comment.site_id != membership.site_id or comment.thread_id:
        raise CommentRefusedError("Only a thread of this site is resolved.")
    if comment.author_id != membership.user_id and not membership.allows(Role.REVIEWER):
        raise CommentRefusedError("Only its author and reviewers may resolve this.")
    Comment.objects.filter(pk=comment.pk).update(
        resolved_at=timezone.now() if is_resolved else None,
        resolved_by=membership.user if is_resolved else None,
    )


def mark_read(membership: Membership, ids: Iterable[object] | None = None) -> int:
    """Mark one's own notices as read: those named, or all; how many were unread."""
    rows = Mention.objects.filter(
        site=membership.site_id, user=membership.user, read_at__isnull=True
    )
    if ids is not None:
        rows = rows.filter(pk__in=list(ids))
    return int(rows.update(read_at=timezone.now()))
