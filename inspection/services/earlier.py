"""Choosing what an inspection is compared with."""

from __future__ import annotations

from uuid import UUID

from inspection.models import Inspection, Site


class EarlierRefusedError(Exception):
    """What was chosen can't be compared with; the message is for the person who chose."""


def choose_earlier(inspection: Inspection, earlier_id: UUID | None) -> None:
    """Compare with this inspection of the site from the next run on; None: find it by itself."""
    if earlier_id == inspection.pk:
        raise EarlierRefusedError("An inspection is not its own earlier one. Choose another.")
    if earlier_id is not None:
        check_earlier(inspection.site, earlier_id)
    Inspection.objects.filter(pk=inspection.pk).update(earlier=earlier_id)
    inspection.earlier_id = earlier_id


def check_earlier(site: Site, earlier_id: UUID) -> None:
    """Raises EarlierRefusedError for what is no inspection of the site."""
    if not Inspection.objects.for_site(site).filter(pk=earlier_id).exists():
        raise EarlierRefusedError("There is no such inspection. Choose one of this site.")
