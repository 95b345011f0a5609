"""Counts of units and defects: over time, by type, by line, shift, supplier and product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Max, Min, QuerySet, Sum

from inspection.models import (
    DefectCost,
    DefectDay,
    HeatDay,
    Inspection,
    ReviewerDay,
    RollupState,
    TicketDay,
    UnitDay,
)
from inspection.models.choices import InspectionStatus, TicketStatus
from inspection.models.rollup import GRID, DayMark
from inspection.models.site import Site
from inspection.selectors.dashboards.filters import DashboardFilter, slice_of

COUNTS = tuple(
    field.name
    for field in UnitDay._meta.get_fields()
    if getattr(field, "get_internal_type", str)() == "PositiveIntegerField"
)
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Span:
    """Days that make one point of a chart."""

    first: date
    last: date
    counts: Counts


def of_dates(rows: QuerySet[Any], site: Site, wanted: DashboardFilter) -> QuerySet[Any]:
    """Rows of this site within the dates and the plan."""
    rows = rows.filter(site=site, day__range=(wanted.since, wanted.until))
    return rows.filter(plan__key=wanted.plan) if wanted.plan else rows


def _sliced(
    rows: QuerySet[Any], site: Site, wanted: DashboardFilter, split: str = ""
) -> QuerySet[Any]:
    chosen = of_dates(rows, site, wanted).filter(slice=slice_of(wanted, split))
    return chosen.filter(**wanted.context)


def total(site: Site, wanted: DashboardFilter) -> Counts:
    """All counts together."""
    rows = _sliced(UnitDay.objects.all(), site, wanted)
    told = rows.aggregate(**{name: Sum(name) for name in COUNTS})
    return {name: value or 0 for name, value in told.items()}


def over_time(site: Site, wanted: DashboardFilter) -> list[Span]:
    """A span for each day, week (from Monday) or month of the range, cut to it."""
    rows = _sliced(UnitDay.objects.all(), site, wanted)
    by_day = rows.order_by("day").values("day").annotate(**{f"n_{n}": Sum(n) for n in COUNTS})
    summed = [(row["day"], {name: row[f"n_{name}"] for name in COUNTS}) for row in by_day]
    return spans(summed, wanted)


def spans(by_day: Iterable[tuple[date, Counts]], wanted: DashboardFilter) -> list[Span]:
    """Put days together; spans without any row are there too, with empty counts."""
    found = {first: Span(first, last, {}) for first, last in _bounds(wanted)}
    for day, counts in by_day:
        into = found[max(_begin(day, wanted.subgroup), wanted.since)].counts
        for name, value in counts.items():
            into[name] = into.get(name, 0) + value
    return list(found.values())


def _begin(day: date, subgroup: str) -> date:
    if subgroup == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if subgroup == "month" else day


def _bounds(wanted: DashboardFilter) -> Iterable[tuple[date, date]]:
    first = wanted.since
    while first <= wanted.until:
        after = _next(first, wanted.subgroup)
        yield first, min(after - timedelta(days=1), wanted.until)
        first = after


def _next(day: date, subgroup: str) -> date:
    if subgroup == "week":
        return day + timedelta(days=7 - day.weekday())
    if subgroup == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=1)


def compared(site: Site, wanted: DashboardFilter, split: str) -> list[tuple[str, Counts]]:
    """Counts for each value of ``split``: line, shift, supplier, product or plan."""
    column = "plan__key" if split == "plan" else split
    rows = _sliced(UnitDay.objects.all(), site, wanted, "" if split == "plan" else split)
    names = ("units", "defective", "defects", "first", "first_passed")
    summed = rows.order_by().values(column).annotate(**{f"n_{n}": Sum(n) for n in names})
    return [(row[column] or "", {n: row[f"n_{n}"] for n in names}) for row in summed]


def by_type(site: Site, wanted: DashboardFilter) -> list[dict[str, Any]]:
    """Findings in force by plan and type, by severity, and what people said of the models' ones."""
    rows = _sliced(DefectDay.objects.all(), site, wanted)
    names = ("found", "minor", "major", "critical", "confirmed", "rejected")
    summed = rows.order_by().values("plan_id", "plan__key", "type")
    return list(summed.annotate(**{f"n_{name}": Sum(name) for name in names}))


def costs(site: Site) -> dict[tuple[Any, str], float]:
    """What a defect of a type of a plan costs."""
    rows = DefectCost.objects.for_site(site).values_list("plan_id", "type", "amount")
    return {(plan, type): float(amount) for plan, type, amount in rows}


def heat(site: Site, wanted: DashboardFilter) -> tuple[list[int], int]:
    """Boxes that touch each cell, and how many there are; whole months from their own rows."""
    rows = HeatDay.objects.filter(site=site, plan__key=wanted.plan, type=wanted.type)
    cells, findings = [0] * (GRID * GRID), 0
    for is_month, first, last in _months_and_days(wanted.since, wanted.until):
        told = rows.filter(is_month=is_month, day__range=(first, last))
        for row_cells, count in told.values_list("cells", "findings"):
            cells = [one + more for one, more in zip(cells, row_cells, strict=True)]
            findings += count
    return cells, findings


def _months_and_days(since: date, until: date) -> list[tuple[bool, date, date]]:
    """The range as (whole months?, first, last): days, then months, then days."""
    begin = since if since.day == 1 else _next(since, "month")
    end = (until + timedelta(days=1)).replace(day=1)
    if begin >= end:
        return [(False, since, until)]
    edges = [(False, since, begin - timedelta(days=1)), (False, end, until)]
    whole = [(True, begin, end - timedelta(days=1))]
    return whole + [edge for edge in edges if edge[1] <= edge[2]]


def heat_types(site: Site, wanted: DashboardFilter) -> list[str]:
    """Types that were found on units of the plan."""
    rows = HeatDay.objects.filter(site=site, plan__key=wanted.plan, is_month=True)
    return list(rows.exclude(type="").order_by("type").values_list("type", flat=True).distinct())


def reviewers(site: Site, wanted: DashboardFilter) -> list[dict[str, Any]]:
    """What each person judged, and in how many seconds of work."""
    names = ("units", "findings", "changed", "timed", "active_s")
    rows = of_dates(ReviewerDay.objects.all(), site, wanted).order_by()
    summed = rows.values("reviewer__username").annotate(**{f"n_{n}": Sum(n) for n in names})
    return sorted(summed, key=lambda row: (-row["n_units"], row["reviewer__username"]))


def review_load(site: Site, wanted: DashboardFilter) -> list[Span]:
    """Units decided by people over time."""
    rows = of_dates(ReviewerDay.objects.all(), site, wanted).order_by("day")
    by_day = rows.values("day").annotate(n=Sum("units"))
    return spans([(row["day"], {"units": row["n"]}) for row in by_day], wanted)


def waiting(site: Site) -> tuple[int, Any]:
    """Units that wait for a person now, and since when the oldest one does."""
    rows = Inspection.objects.for_site(site).filter(status=InspectionStatus.REVIEW)
    return rows.count(), rows.aggregate(oldest=Min("created_at"))["oldest"]


def tickets(site: Site, wanted: DashboardFilter) -> list[dict[str, Any]]:
    """Tickets by destination and state."""
    rows = of_dates(TicketDay.objects.all(), site, wanted).order_by()
    summed = rows.values("connector__name", "status")
    return list(summed.annotate(n=Sum("tickets"), took=Sum("took"), seconds=Sum("took_s")))


def undelivered(site: Site, wanted: DashboardFilter) -> list[tuple[date, int]]:
    """Days from which tickets still wait, of all time up to the last day."""
    rows = TicketDay.objects.filter(site=site, day__lte=wanted.until)
    if wanted.plan:
        rows = rows.filter(plan__key=wanted.plan)
    rows = rows.exclude(status=TicketStatus.DELIVERED).order_by("day")
    return list(rows.values_list("day").annotate(n=Sum("tickets")))


def tickets_over_time(site: Site, wanted: DashboardFilter) -> list[Span]:
    rows = of_dates(TicketDay.objects.all(), site, wanted).order_by("day")
    by_day = rows.values("day").annotate(n=Sum("tickets"))
    return spans([(row["day"], {"tickets": row["n"]}) for row in by_day], wanted)


def freshness(site: Site) -> tuple[Any, bool]:
    """When the counts were last brought up to date, and whether changes wait to be counted."""
    when = RollupState.objects.filter(site=site).values_list("counted_at", flat=True).first()
    return when, DayMark.objects.filter(site=site).exists()


def range_of(site: Site) -> tuple[date | None, date | None]:
    """First and last day with units, of all plans."""
    rows = UnitDay.objects.for_site(site).filter(slice=0)
    told = rows.aggregate(first=Min("day"), last=Max("day"))
    return told["first"], told["last"]
