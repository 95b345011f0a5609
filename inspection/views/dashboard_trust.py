"""Figures of trust: are chances honest, and are photos still like those that the models know?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspection.models import Site
from inspection.selectors.dashboards import machines
from inspection.selectors.dashboards.filters import DashboardFilter
from inspection.views.charts import Cell, Figure, Table, Value, figure, time_chart
from inspection.views.dashboard_figures import percent, thousands, units_href
from inspection.views.risk_charts import reliability_diagram
from models_runtime.spc.control import individuals_chart
from models_runtime.spc.rates import exact
from models_runtime.spc.rules import WESTERN_ELECTRIC, signals

FEWEST_DAYS = 10
"""Days with photos from which limits of drift can be told."""


def trust(site: Site, wanted: DashboardFilter) -> list[Figure]:
    """Are the chances honest, and are photos still like those that the models know?"""
    return [
        _reliability(
            site,
            wanted,
            "finding",
            "Are confidences of findings honest?",
            "A finding counts as true where a person confirmed it. Only judged findings "
            "are here, so confident ones that nobody questions are missing.",
        ),
        _reliability(
            site,
            wanted,
            "unit",
            "Are chances of a defect honest?",
            "A unit counts as defective where a person did not accept it. Units go to a "
            "person mostly because a model doubts; those drawn at random correct for "
            "that only in part.",
        ),
        *_drift(site, wanted),
    ]


def _reliability(site: Site, wanted: DashboardFilter, kind: str, title: str, note: str) -> Figure:
    question = "Of what is stated at 80 %, do four of five come true?"
    bins = machines.calibration(site, wanted, kind)
    if not bins:
        return Figure(
            f"reliability-{kind}s",
            title,
            question,
            wide=False,
            empty="Nobody has judged any in these days. Each verdict of a person adds a point.",
        )
    rated = [(stated / cases, exact(hits, cases)) for cases, hits, stated in bins]
    cases = sum(n for n, _, _ in bins)
    error = sum(n * abs(h / n - s / n) for n, h, s in bins) / cases
    rows = tuple(
        (
            Cell(round(mean, 6), percent(mean)),
            Cell(rate.cases),
            Cell(rate.hits),
            Cell(round(rate.mean, 6), percent(rate.mean)),
            Cell(round(rate.low, 6), percent(rate.low)),
            Cell(round(rate.high, 6), percent(rate.high)),
        )
        for mean, rate in rated
        if rate
    )
    diagram = reliability_diagram(
        [[mean, r.mean, r.low, r.high, r.cases] for mean, r in rated if r]
    )
    told = (
        f"On the dashed line is honest; whiskers are 95 % Clopper–Pearson intervals. "
        f"{thousands(cases)} cases, expected calibration error {percent(error)}."
    )
    return Figure(
        f"reliability-{kind}s",
        title,
        question,
        chart=Diagram(diagram),
        table=Table(("Stated", "Cases", "True", "Share", "Low", "High"), rows),
        notes=(told, note),
        wide=False,
    )


class Diagram:
    """The reliability diagram of the risk page, here with words of its own."""

    template = "dashboards/chart_reliability.html"

    def __init__(self, chart: Any) -> None:
        self.chart = chart


DRIFTS = (
    (
        "brightness",
        "Brightness of photos",
        "brightness",
        "Has the light changed?",
        "Mean brightness (0 to 255) of a day's photos.",
    ),
    (
        "sharpness",
        "Sharpness of photos",
        "log_sharpness",
        "Has the lens become dirty or loose?",
        "Mean logarithm of sharpness: variance of the Laplacian by that of brightness. Lower is "
        "more blurred.",
    ),
    (
        "likeness",
        "Distance from usual photos",
        "distance",
        "Do photos still show what the models know?",
        f"Cosine distance of the day's mean embedding from that of the first "
        f"{machines.BASELINE_DAYS} days.",
    ),
)


def _drift(site: Site, wanted: DashboardFilter) -> list[Figure]:
    days = machines.photos(site, wanted)
    return [_drifting(days, wanted, *told) for told in DRIFTS]


def _drifting(
    days: Sequence[dict[str, Any]],
    wanted: DashboardFilter,
    key: str,
    title: str,
    column: str,
    question: str,
    note: str,
) -> Figure:
    there = [day for day in days if day[column] is not None]
    if len(there) < FEWEST_DAYS:
        return Figure(
            key,
            title,
            question,
            empty=f"Needs at least {FEWEST_DAYS} days with photos; "
            f"these dates have {len(there)}. Choose a longer time.",
        )
    series = [float(day[column]) for day in there]
    # The last days are what may have drifted: limits come from those before.
    chart = individuals_chart(series, baseline=max(FEWEST_DAYS // 2, len(series) * 2 // 3))
    spoken = signals([point.z for point in chart.points], WESTERN_ELECTRIC)
    outside = {s.index for s in spoken if s.rule.key == "1"}
    values = [
        Value(
            label=f"{day['day'].day} {day['day']:%b %y}",
            value=point.value,
            text=figure(point.value or 0, ""),
            href=units_href(wanted, since=day["day"], until=day["day"]),
            rules="1" if place in outside else "",
            low=point.low,
            high=point.high,
        )
        for place, (day, point) in enumerate(zip(there, chart.points, strict=True))
    ]
    rows = tuple(
        (
            Cell(day["day"].isoformat()),
            Cell(day["photos"]),
            Cell(round(point.value or 0, 6)),
            Cell(round(point.low, 6)),
            Cell(round(point.high, 6)),
            Cell("yes" if place in outside else "no"),
        )
        for place, (day, point) in enumerate(zip(there, chart.points, strict=True))
    )
    return Figure(
        key,
        title,
        question,
        chart=time_chart(values, "", centre=chart.centre, zero=False),
        table=Table(("Day", "Photos", "Value", "Lower limit", "Upper limit", "Alarm"), rows),
        notes=(
            note + " Limits of single values (mean ± 3 times the mean moving range ÷ 1.128) from "
            "the first two thirds of the days.",
        ),
        alarms=_alarms(there, spoken, title),
    )


def _alarms(days: Sequence[dict[str, Any]], spoken: Sequence[Any], title: str) -> tuple[str, ...]:
    """Told only where the newest days are concerned: what is over is in the chart."""
    late = [s for s in spoken if s.index >= len(days) - 3]
    if not late:
        return ()
    rules = sorted({signal.rule.name for signal in late})
    return (
        f"{title}: the last days differ from those before ({'; '.join(rules)}). Look at their "
        "photos before you trust the models' verdicts.",
    )
