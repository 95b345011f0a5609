"""The earlier inspection of the same unit, as something to compare with."""

from __future__ import annotations

from django.db.models import QuerySet

from inspection.models import Inspection
from inspection.models.choices import InspectionStatus

JUDGED = (InspectionStatus.REVIEW, InspectionStatus.DECIDED)
CHOICES = 12


def earlier_inspection(inspection: Inspection) -> Inspection | None:
    """What a person chose, else the newest one before it of the same unit."""
    if inspection.earlier_id is not None:
        chosen: Inspection | None = _of_site(inspection).filter(pk=inspection.earlier_id).first()
        return chosen
    found: Inspection | None = _of_the_unit(inspection).first()
    return found


def earlier_choices(inspection: Inspection) -> list[Inspection]:
    """The inspections of the same unit before this one, newest first, and the one chosen."""
    found = list(_of_the_unit(inspection)[:CHOICES])
    if inspection.earlier_id is None or inspection.earlier_id in {row.pk for row in found}:
        return found
    return [*_of_site(inspection).filter(pk=inspection.earlier_id), *found]


def _of_site(inspection: Inspection) -> QuerySet[Inspection]:
    rows = Inspection.objects.for_site(inspection.site).filter(status__in=JUDGED)
    return rows.exclude(pk=inspection.pk).defer("embedding", "search")


def _of_the_unit(inspection: Inspection) -> QuerySet[Inspection]:
    """Of the same reference and plan; a unit without a reference is nobody's twin."""
    if not inspection.reference or inspection.plan_id is None:
        return Inspection.objects.none()
    return (
        _of_site(inspection)
        .filter(
            plan=inspection.plan_id,
            reference=inspection.reference,
            is_sample=inspection.is_sample,
            created_at__lt=inspection.created_at,
        )
        .order_by("-created_at", "-id")
    )
