"""The party's statement: kept once, with its photos, and put before a reviewer."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inspection.models import DisputeLink, DisputePhoto, DisputeStatement, Inspection, User
from inspection.models.choices import PhotoStatus, ReviewReason
from inspection.models.dispute import LONGEST_STATEMENT
from inspection.selectors.disputes import due_at, name_of
from inspection.services import queue
from inspection.services.disputes.links import check_may_write, lock_link
from inspection.services.disputes.refusals import DisputeRefusedError
from inspection.services.inspections import storable
from inspection.services.judging import reviewers_besides

MOST_STATEMENTS = 10
READABLE = timedelta(days=60)
"""So long after the promised answer, and after an answer, the party can read."""
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without letters that are taken for figures (Crockford's base 32)."""


@transaction.atomic
def state(link: DisputeLink, draft: UUID, body: str, name: str = "") -> DisputeStatement:
    """Take a statement with the photos of its draft; the same draft again is the same statement.

    Raises LinkClosedError where the time to write has ended, DisputeRefusedError for a statement
    that can't be taken.
    """
    text = storable(body)
    locked = lock_link(link)
    known: DisputeStatement | None = locked.statements.filter(draft=draft).first()
    if known is not None:
        return known
    check_may_write(locked)
    _check(text, locked)
    now = timezone.now()
    statement: DisputeStatement = DisputeStatement.objects.create(
        site_id=locked.site_id,
        link=locked,
        number=locked.statements.count() + 1,
        reference=_new_reference(),
        name=storable(name)[:100],
        body=text,
        draft=draft,
        due_at=now + timedelta(days=settings.DISPUTE_ANSWER_DAYS),
    )
    photos = DisputePhoto.objects.filter(link=locked, draft=draft)
    photos.exclude(status=PhotoStatus.UNUSABLE).update(statement=statement)
    until = max(locked.expires_at, statement.due_at + READABLE)
    DisputeLink.objects.filter(pk=locked.pk).update(readable_until=until)
    _ask_for_answer(locked, statement)
    return statement


def _check(text: str, link: DisputeLink) -> None:
    if not text:
        raise DisputeRefusedError("Write what you want to say first.")
    if len(text) > LONGEST_STATEMENT:
        raise DisputeRefusedError(
            f"A statement may have {LONGEST_STATEMENT:,} characters; this one has {len(text):,}. "
            "Shorten it."
        )
    if link.statements.count() >= MOST_STATEMENTS:
        raise DisputeRefusedError(
            "No more statements are taken by this link. Ask whoever sent it to you for a new one."
        )


def _new_reference() -> str:
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"D-{letters[:4]}-{letters[4:]}"


def _ask_for_answer(link: DisputeLink, statement: DisputeStatement) -> None:
    """Into the queue of reviews, due when the oldest statement without an answer is; for somebody
    else than who decided, where there is somebody."""
    unit = Inspection.objects.defer("embedding", "search").get(pk=link.inspection_id)
    decider = unit.decided_by
    queue.enqueue(
        unit,
        ReviewReason.DISPUTE,
        due_at=due_at(link),
        not_for=decider if decider and _is_somebody_else(unit, decider) else None,
        note=f"{statement.reference}: {name_of(link)}",
    )


def _is_somebody_else(unit: Inspection, decider: User) -> bool:
    return reviewers_besides(unit.site_id, {decider.pk})
