"""Dashboards for quality managers: pictures that answer a question, and the units behind them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.costs import CostsForm
from inspection.models import Site
from inspection.models.choices import Role
from inspection.selectors.dashboards import counts as reads
from inspection.selectors.dashboards.filters import (
    RULES,
    SUBGROUPS,
    DashboardFilter,
    options,
)
from inspection.selectors.plans import active_plans
from inspection.services.costs import set_costs
from inspection.views import dashboard_figures as quality
from inspection.views import dashboard_machines as machines
from inspection.views import dashboard_trust as trust
from inspection.views.charts import Figure
from models_runtime.spc.rates import escapes, wilson

FIRST_PAGE = "quality"
PRESETS = (("30 days", 30), ("90 days", 90), ("a year", 365), ("two years", 730))


@dataclass(frozen=True, slots=True)
class Page:
    """``context``: whether line, shift, supplier and product narrow it."""

    title: str
    lede: str
    figures: Callable[[Site, DashboardFilter], list[Figure]]
    context: bool = True


def _quality(site: Site, wanted: DashboardFilter) -> list[Figure]:
    spans = reads.over_time(site, wanted)
    return [
        quality.defect_rate(site, wanted, spans),
        quality.defects_per_unit(site, wanted, spans),
        quality.by_count(site, wanted),
        quality.by_cost(site, wanted),
        quality.severity_mix(site, wanted, spans),
    ]


def _compared(site: Site, wanted: DashboardFilter) -> list[Figure]:
    splits = ("line", "shift", "supplier", "product", "plan")
    return [quality.compared(site, wanted, split) for split in splits]


def _passing(site: Site, wanted: DashboardFilter) -> list[Figure]:
    spans = reads.over_time(site, wanted)
    return [
        quality.first_pass(site, wanted, spans),
        quality.escape_rate(site, wanted, spans),
        quality.overkill(site, wanted, spans),
        quality.false_alarms(site, wanted),
    ]


PAGES: dict[str, Page] = {
    "quality": Page("Quality", "What is defective, since when, and by what.", _quality),
    "compare": Page("Compare", "Lines, shifts, suppliers and products side by side.", _compared),
    "passing": Page(
        "Passing", "What passes at once, what escapes, what is turned down for nothing.", _passing
    ),
    "places": Page("Places", "Where on the part defects sit.", machines.places, context=False),
    "people": Page(
        "People", "How much reviewers judge, and how fast.", machines.people, context=False
    ),
    "engines": Page(
        "Engines",
        "Which model answers, how long it takes, and what it costs.",
        machines.engines,
        context=False,
    ),
    "trust": Page(
        "Trust",
        "Whether stated chances are honest, and whether photos drift.",
        trust.trust,
        context=False,
    ),
    "tickets": Page(
        "Tickets", "Whether they arrive, and what is stuck.", machines.tickets, context=False
    ),
}


@require_safe
@member_required(Role.MANAGER)
def dashboards(request: MemberRequest) -> HttpResponse:
    """The first page."""
    return HttpResponseRedirect(reverse("dashboard", args=[FIRST_PAGE]))


@require_safe
@member_required(Role.MANAGER)
def dashboard(request: MemberRequest, page: str) -> HttpResponse:
    """One page of figures, by the dates and filters of the address."""
    chosen, site = _page(page), request.membership.site
    wanted = DashboardFilter.parse(request.GET.dict())
    figures = chosen.figures(site, wanted)
    counted_at, is_behind = reads.freshness(site)
    context = {
        "page": chosen,
        "key": page,
        "tabs": [
            (reverse("dashboard", args=[k]) + wanted.query(), p.title, k == page)
            for k, p in PAGES.items()
        ],
        "wanted": wanted,
        "figures": [
            (f, reverse("dashboard-csv", args=[page, f.key]) + wanted.query()) for f in figures
        ],
        "alarms": [text for f in figures for text in f.alarms],
        "tiles": _tiles(site, wanted) if page == FIRST_PAGE else [],
        "waiting": reads.waiting(site) if page == "people" else None,
        "types": reads.heat_types(site, wanted) if page == "places" and wanted.plan else [],
        "plans": active_plans(site),
        "options": options(site, wanted) if chosen.context else {},
        "subgroups": SUBGROUPS,
        "rules": RULES,
        "presets": _presets(wanted),
        "counted_at": counted_at,
        "is_behind": is_behind,
    }
    return render(request, "dashboards/page.html", context)


def _page(key: str) -> Page:
    if key not in PAGES:
        raise Http404
    return PAGES[key]


def _presets(wanted: DashboardFilter) -> list[tuple[str, str, bool]]:
    today = timezone.localdate()
    return [
        (
            name,
            wanted.query(since=today - timedelta(days=days - 1), until=today),
            (wanted.days, wanted.until) == (days, today),
        )
        for name, days in PRESETS
    ]


def _tiles(site: Site, wanted: DashboardFilter) -> list[dict[str, Any]]:
    """The figures that people ask for first, each with its interval."""
    n = reads.total(site, wanted)
    if not n["units"]:
        return []
    escaped = escapes(n["escaped"], n["checked"], n["alone"])
    rated = [
        ("Defective", wilson(n["defective"], n["units"]), "of units", {"what": "defective"}),
        ("First-pass yield", wilson(n["first_passed"], n["first"]), "of first inspections", {}),
        (
            "Escapes",
            escaped.rate if escaped else None,
            "of checked units that would pass",
            {"what": "checked"},
        ),
        (
            "Overkill",
            wilson(n["overkill"], n["refused"]),
            "of units the models turned down",
            {"what": "by_person"},
        ),
    ]
    tiles = [
        {
            "name": "Units",
            "value": quality.thousands(n["units"]),
            "href": quality.units_href(wanted),
            "note": f"{quality.thousands(n['alone'])} passed without a "
            f"person, {quality.thousands(n['by_person'])} decided by one",
        }
    ]
    for name, rate, of, behind in rated:
        note = "nothing to count yet"
        if rate:
            note = f"{quality.percent(rate.low)} to {quality.percent(rate.high)} {of}"
        tiles.append(
            {
                "name": name,
                "value": quality.percent(rate.mean if rate else None),
                "href": quality.units_href(wanted, **behind),
                "note": note,
            }
        )
    return tiles


@require_safe
@member_required(Role.MANAGER)
def dashboard_csv(request: MemberRequest, page: str, figure: str) -> HttpResponse:
    """The table of one figure."""
    wanted = DashboardFilter.parse(request.GET.dict())
    found = next(
        (f for f in _page(page).figures(request.membership.site, wanted) if f.key == figure), None
    )
    if found is None:
        raise Http404
    name = f"{figure}-{wanted.since}-{wanted.until}.csv"
    answer = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    writer = csv.writer(answer)
    if found.table:
        writer.writerow(found.table.columns)
        writer.writerows([_plain(cell.value) for cell in row] for row in found.table.rows)
    return answer


def _plain(value: Any) -> Any:
    """A spreadsheet must not take a name for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def costs(request: MemberRequest) -> HttpResponse:
    """What one defect of each type costs; the Pareto by cost is made of it."""
    site = request.membership.site
    form = CostsForm(request.POST or None, plans=active_plans(site), known=reads.costs(site))
    status = 200
    if request.method == "POST":
        if form.is_valid():
            set_costs(request.membership, form.costs())
            return HttpResponseRedirect(reverse("dashboard", args=[FIRST_PAGE]))
        status = 422
    return render(request, "dashboards/costs.html", {"form": form}, status=status)


urlpatterns = [
    path("dashboards/", dashboards, name="dashboards"),
    path("dashboards/costs/", costs, name="dashboard-costs"),
    path("dashboards/<slug:page>/", dashboard, name="dashboard"),
    path("dashboards/<slug:page>/<slug:figure>.csv", dashboard_csv, name="dashboard-csv"),
]
