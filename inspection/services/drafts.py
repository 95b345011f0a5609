"""Drafts of drawings: kept after every stroke, one per person and photo.

The page that draws counts its strokes, and the rows know the last one: a stroke that comes late or
twice changes nothing. A second page of the same person is told, and may take the draft over.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from inspection.models import Draft, Finding, Membership, Photo


class OtherPageError(Exception):
    """Another page of the same person has this draft."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("You are drawing on this photo in another window. Go on in one of them.")
        self.draft = draft


def draft_of(membership: Membership, photo: Photo) -> Draft | None:
    """What this person has not saved on this photo."""
    rows = Draft.objects.filter(user=membership.user, photo=photo, content__isnull=False)
    found: Draft | None = rows.first()
    return found


@transaction.atomic
def keep(
    membership: Membership,
    photo: Photo,
    *,
    session: str,
    sequence: int,
    content: dict[str, Any],
    finding: UUID | None = None,
    replaces: str | None = None,
) -> Draft:
    """Keep a stroke. OtherPageError where another page draws and is not taken over."""
    draft = _locked(membership, photo, session)
    is_new_page = draft.session != session
    if is_new_page and draft.content is not None and replaces != draft.session:
        raise OtherPageError(draft)
    if not is_new_page and sequence <= draft.sequence:
        return draft
    values = {
        "session": session,
        "sequence": sequence,
        "content": content,
        "finding_id": _known(photo, finding),
        "updated_at": timezone.now(),
    }
    Draft.objects.filter(pk=draft.pk).update(**values)
    draft.refresh_from_db()
    return draft


def _locked(membership: Membership, photo: Photo, session: str) -> Draft:
    """The person's row for this photo, for us alone; made where there is none."""
    row = Draft(site_id=photo.site_id, user=membership.user, photo=photo, session=session)
    Draft.objects.bulk_create([row], ignore_conflicts=True)
    found: Draft = Draft.objects.select_for_update().get(user=membership.user, photo=photo)
    return found


def _known(photo: Photo, finding: UUID | None) -> UUID | None:
    """The finding, unless models that looked again have dropped it: the strokes are kept."""
    if finding is None:
        return None
    rows = Finding.objects.filter(pk=finding, photo=photo)
    known: UUID | None = rows.values_list("pk", flat=True).first()
    return known


@transaction.atomic
def end(membership: Membership, photo: Photo, session: str = "", sequence: int = 0) -> bool:
    """Throw the draft away, or note that it is saved. What the page had sent up to ``sequence``
    and is still under way will not bring it back. False where it is another page's."""
    draft = Draft.objects.select_for_update().filter(user=membership.user, photo=photo).first()
    if draft is None and not session:
        return True
    if draft is None:
        draft = _locked(membership, photo, session)
    if session and draft.session != session and draft.content is not None:
        return False
    is_same = not session or draft.session == session
    Draft.objects.filter(pk=draft.pk).update(
        content=None,
        finding=None,
        session=session or draft.session,
        sequence=max(draft.sequence, sequence) if is_same else sequence,
        updated_at=timezone.now(),
    )
    return True
