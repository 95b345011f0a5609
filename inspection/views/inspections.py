"""The list of inspections."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from inspection.access import MemberRequest, member_required
from inspection.models.choices import DispositionChoice, InspectionStatus, SeverityChoice
from inspection.selectors import inspections as reads
from inspection.selectors.behind import Behind
from inspection.selectors.plans import active_plans

MOST_LIVE = 60


@require_safe
@member_required()
def inspections(request: MemberRequest) -> HttpResponse:
    """Photos first, filtered by the address; only what is under way is asked for again."""
    site = request.membership.site
    wanted = reads.InspectionFilter.parse(request.GET.dict())
    counts = reads.status_counts(site)
    page = reads.list_inspections(site, wanted)
    context = {
        "wanted": wanted,
        "page": page,
        "tabs": _tabs(wanted, counts),
        "plans": active_plans(site),
        "dispositions": DispositionChoice.choices,
        "severities": SeverityChoice.choices,
        "to_review": counts.get(InspectionStatus.REVIEW, 0),
        "first_href": wanted.query(),
        "next_href": wanted.query(after=page.next_after),
        "unlike_href": wanted.query(like=None),
        "not_behind_href": wanted.query(behind=Behind()),
        "grid_href": wanted.query(view="grid"),
        "table_href": wanted.query(view="table"),
    }
    return render(request, "inspections/list.html", context)


def _tabs(wanted: reads.InspectionFilter, counts: dict[str, int]) -> list[dict[str, object]]:
    tabs: list[tuple[str, str]] = [("", "All"), *InspectionStatus.choices]
    return [
        {
            "label": label,
            "href": wanted.query(status=value),
            "current": wanted.status == value,
            "count": counts.get(value),
        }
        for value, label in tabs
        if value != InspectionStatus.RECEIVED
    ]


@require_safe
@member_required()
def live_cards(request: MemberRequest) -> HttpResponse:
    """The cards of inspections under way, to be put in place of those on the page."""
    wanted = reads.InspectionFilter.parse(request.GET.dict())
    asked = (reads.parse_id(text) for text in request.GET.get("ids", "").split(","))
    ids = [pk for pk in asked if pk is not None][:MOST_LIVE]
    rows = reads.cards(request.membership.site, ids)
    unfinished = [row.pk for row in rows if row.status in reads.UNFINISHED]
    context = {"wanted": wanted, "rows": rows, "unfinished": unfinished}
    return render(request, "inspections/live.html", context)


urlpatterns = [
    path("inspections/", inspections, name="inspections"),
    path("inspections/live/", live_cards, name="inspections-live"),
]
