"""Reads of comments and of one's own notices. Nobody sees those of people whose word is sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from inspection.models import Comment, Inspection, Membership, Mention, User
from inspection.selectors.rounds import sealed_author

NEWEST = 100


@dataclass
class Thread:
    """A comment with its answers. ``number``: of its pin, 0 where it has no place."""

    comment: Comment
    number: int = 0
    replies: list[Comment] = field(default_factory=list)


def threads_of(inspection: Inspection, viewer: User) -> list[Thread]:
    """Oldest first; resolved ones at the end."""
    rows = Comment.objects.filter(inspection=inspection).select_related("author", "resolved_by")
    visible = rows.filter(Q(author=viewer) | ~sealed_author())
    threads: dict[object, Thread] = {}
    for comment in visible.order_by("created_at", "id"):
        if comment.thread_id is None:
            threads[comment.pk] = Thread(comment)
        elif comment.thread_id in threads:
            threads[comment.thread_id].replies.append(comment)
    ordered = sorted(threads.values(), key=lambda thread: thread.comment.resolved_at is not None)
    for number, thread in enumerate((t for t in ordered if t.comment.photo_id), start=1):
        thread.number = number
    return ordered


def pins(threads: list[Thread]) -> list[dict[str, Any]]:
    """What the viewer shows of them."""
    return [
        {
            "id": str(thread.comment.pk),
            "photo": str(thread.comment.photo_id),
            "x": thread.comment.x,
            "y": thread.comment.y,
            "number": thread.number,
            "text": thread.comment.body[:120],
            "resolved": thread.comment.resolved_at is not None,
        }
        for thread in threads
        if thread.comment.photo_id
    ]


def notices_of(membership: Membership) -> QuerySet[Mention]:
    """Who named me or answered me, newest first."""
    rows: QuerySet[Mention] = Mention.objects.filter(
        site=membership.site_id, user=membership.user_id
    )
    visible = rows.filter(~sealed_author("comment__author", "comment__inspection"))
    return visible.select_related("comment__author", "comment__inspection__plan")


def unread_count(membership: Membership) -> int:
    return notices_of(membership).filter(read_at__isnull=True).count()


def members_to_name(membership: Membership) -> list[str]:
    """User names of the site that can be mentioned."""
    rows = User.objects.filter(memberships__site=membership.site_id, is_active=True)
    names: QuerySet[Any] = rows.exclude(pk=membership.user_id).order_by("username")
    return list(names.values_list("username", flat=True)[:500])
