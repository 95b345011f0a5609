"""Reads of reports that were asked for, of layouts and of the logo."""

from __future__ import annotations

from django.db.models import QuerySet

from inspection.models import (
    Inspection,
    Membership,
    ReportDocument,
    ReportLayout,
    ReportMailing,
    ReportPart,
    Site,
    SiteLogo,
)
from inspection.models.background import JobStatus
from inspection.models.choices import Role
from inspection.selectors.reports.blocks import Block

UNITS_ON_PAGE = 10
NEWEST_OF_UNIT = 5
OPEN = (JobStatus.WAITING, JobStatus.RUNNING)


def reports_for(membership: Membership) -> QuerySet[ReportDocument]:
    """Reports that this person may read, newest first: on units all, on lots only managers."""
    rows: QuerySet[ReportDocument] = ReportDocument.objects.for_site(membership.site)
    if not membership.allows(Role.MANAGER):
        rows = rows.filter(inspection__isnull=False)
    return rows.select_related("requested_by", "inspection").defer("head", "units")


def report_of(membership: Membership) -> QuerySet[ReportDocument]:
    """The same with all that the page of one shows."""
    return reports_for(membership).defer(None).select_related("site")


def reports_of_unit(inspection: Inspection) -> list[ReportDocument]:
    """The newest reports on a unit alone."""
    rows = ReportDocument.objects.for_site(inspection.site).filter(inspection=inspection)
    return list(rows.defer("head", "units")[:NEWEST_OF_UNIT])


def is_open(document: ReportDocument) -> bool:
    """Whether it is still being made."""
    return document.status in OPEN


def page_count(document: ReportDocument) -> int:
    """Web pages of a report: a few units each."""
    return max(1, -(-len(document.units) // UNITS_ON_PAGE))


def units_on(document: ReportDocument, number: int, per_part: int) -> list[Block]:
    """What is said of the units of one web page, ``number`` from 1 on. A part holds a whole number
    of pages' units."""
    start = (number - 1) * UNITS_ON_PAGE
    part = ReportPart.objects.filter(document=document, number=1 + start // per_part).first()
    if part is None:
        return []
    first = start % per_part
    units: list[Block] = part.content["units"][first : first + UNITS_ON_PAGE]
    return units


def mailings_of(document: ReportDocument) -> list[ReportMailing]:
    """Newest first."""
    return list(document.mailings.select_related("requested_by"))


def layouts_of(site: Site) -> QuerySet[ReportLayout]:
    """By name; the one that is taken where nobody chooses comes first."""
    rows: QuerySet[ReportLayout] = ReportLayout.objects.for_site(site)
    return rows.order_by("-is_default", "name")


def chosen_layout(site: Site, key: str) -> ReportLayout | None:
    """The layout of an id, else the default one, None where the site has saved none."""
    rows = layouts_of(site)
    found = next((row for row in rows if str(row.pk) == key), None)
    return found or rows.filter(is_default=True).first()


def logo_of(site: Site) -> SiteLogo | None:
    found: SiteLogo | None = SiteLogo.objects.for_site(site).first()
    return found
