"""Choosing what an inspection is compared with."""

from __future__ import annotations

from uuid import UUID

from inspection.models import Inspection


class EarlierRefusedError(Exception):
    """What was chosen can't be compared with; the message is for the person who chose."""


def choose_earlier(inspection: Inspection, earlier_id: UUID | None) -> None:
    """Compare with this inspection of the site from the next run on; None: find it by itself."""
    if earlier_id is not None:
        _check(inspection, earlier_id)
    Inspection.objects.filter(pk=inspection.pk).update(earlier=earlier_id)
    inspection.earlier_id = earlier_id


def _check(inspection: Inspection, earlier_id: UUID) -> None:
    if earlier_id == inspection.pk:
        raise EarlierRefusedError("An inspection is not its own earlier one. Choose another.")
    rows = Inspection.objects.for_site(inspection.site)
    if not rows.filter(pk=earlier_id).exists():
        raise EarlierRefusedError("There is no such inspection. Choose one of this site.")
