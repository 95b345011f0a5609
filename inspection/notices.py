"""The count of unread notices in the head of each page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from inspection.models import Membership
from inspection.selectors.comments import unread_count


def notices_context(request: HttpRequest) -> dict[str, Any]:
    """Template context: ``unread_notices``, asked for only by pages that have a head."""
    membership: Membership | None = getattr(request, "membership", None)
    count = SimpleLazyObject(lambda: unread_count(membership) if membership else 0)
    return {"unread_notices": count}
