"""Which units make up a lot: those of the list of inspections under a filter, without copies."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from inspection.models import GoldUnit, Inspection, Plan, Site
from inspection.models.choices import DispositionChoice, InspectionStatus, SeverityChoice
from inspection.selectors.inspections import InspectionFilter, narrowed

MOST_UNITS = 1000


def lot_rows(site: Site, wanted: InspectionFilter) -> QuerySet[Inspection]:
    """The units, oldest first. Gold units are copies of units: nobody delivered them."""
    copies = GoldUnit.objects.for_site(site).values("inspection")
    rows = narrowed(Inspection.objects.for_site(site), wanted).exclude(pk__in=copies)
    return rows.order_by("created_at", "id")


def lot_units(site: Site, wanted: InspectionFilter) -> list[UUID]:
    """Their ids; one more than there may be where they are too many."""
    return list(lot_rows(site, wanted).values_list("pk", flat=True)[: MOST_UNITS + 1])


def words_of(site: Site, wanted: InspectionFilter) -> list[str]:
    """The filter, for people."""
    said = []
    if wanted.plan:
        plan = Plan.objects.for_site(site).filter(key=wanted.plan).first()
        said.append(f"plan {plan.name if plan else wanted.plan}")
    for value, choices in (
        (wanted.status, InspectionStatus),
        (wanted.disposition, DispositionChoice),
        (wanted.severity, SeverityChoice),
    ):
        if value:
            said.append(str(choices(value).label).lower())
    if wanted.q:
        said.append(f"“{wanted.q}”")
    return [*said, *wanted.behind.words()]
