"""Helpers for disputes: a decided unit, a link to it, and what the party sends."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from screen_world import Screens, jpeg

from inspection.models import DisputeLink, Finding, Inspection
from inspection.services import reviews
from inspection.services.disputes import links


def decided(screens: Screens, who: str = "manager", disposition: str = "reject") -> Inspection:
    """The unit of the site, decided by somebody."""
    fresh = Inspection.objects.get(pk=screens.inspection.pk)
    reviews.decide(screens.memberships[who], fresh, disposition, uuid.uuid4().hex)
    screens.inspection.refresh_from_db()
    return screens.inspection


def linked(
    screens: Screens, finding: Finding | None = None, **values: Any
) -> tuple[DisputeLink, str]:
    """A link and its token."""
    if screens.inspection.status != "decided":
        decided(screens)
    return links.make_link(
        screens.memberships["reviewer"], screens.inspection, finding=finding, **values
    )


def over(link: DisputeLink) -> None:
    """Let the time to write have ended a minute ago."""
    DisputeLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    link.refresh_from_db()


def photo(name: str = "mine.jpg", seed: int = 3, data: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, jpeg(seed=seed) if data is None else data)


def form(**values: Any) -> dict[str, Any]:
    """As the page's form sends it."""
    return {"draft": str(uuid.uuid4()), "body": "It was like this before.", "name": ""} | values
