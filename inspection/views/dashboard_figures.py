"""Figures of quality: what is defective, by what and since when, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from inspection.models import Plan, Site
from inspection.selectors.dashboards import counts as reads
from inspection.selectors.dashboards.counts import Span
from inspection.selectors.dashboards.filters import DashboardFilter
from inspection.views.charts import (
    BarChart,
    Cell,
    Figure,
    Length,
    Table,
    TimeChart,
    Value,
    bar_chart,
    figure,
    time_chart,
)
from models_runtime.spc.control import ControlChart, p_chart, u_chart
from models_runtime.spc.rates import Rate, escapes, exact, pareto, vital_few, wilson
from models_runtime.spc.rules import RULES, signals

FEWEST_POINTS = 2
OVERDISPERSED = 1.2
"""From this factor on, the usual limits call too much an alarm (Laney 2002)."""
NO_UNITS = (
    "No unit has a verdict in these days. Choose other dates or fewer filters; new photos come in "
    "under Upload or through the HTTP API."
)


def units_href(wanted: DashboardFilter, **more: Any) -> str:
    """The list of the units behind a figure."""
    chosen = wanted.units(**more)
    return f"{reverse('inspections')}?{urlencode(chosen | {'view': 'table'})}"


def percent(share: float | None) -> str:
    return "–" if share is None else figure(share, "%")


def thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", " ")


def label_of(span: Span) -> str:
    """The first day of a point, short."""
    return f"{span.first.day} {span.first:%b %y}"


def defect_rate(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """p-chart: units that were not accepted, of all with a verdict."""
    return _control(
        wanted,
        spans,
        "defective",
        p_chart,
        "%",
        key="defect-rate",
        title="Share of defective units (p-chart)",
        question="Is the share of units that are not accepted stable, or did something change?",
        behind={"what": "defective"},
    )


def defects_per_unit(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """u-chart: findings in force per unit."""
    return _control(
        wanted,
        spans,
        "defects",
        u_chart,
        "",
        key="defects-per-unit",
        title="Defects per unit (u-chart)",
        question="Do units carry more defects than usual, even where they are still accepted?",
        behind={"what": "with_defects"},
    )


def _control(
    wanted: DashboardFilter,
    spans: Sequence[Span],
    hits: str,
    make: Any,
    unit: str,
    *,
    key: str,
    title: str,
    question: str,
    behind: dict[str, str],
) -> Figure:
    sizes = [span.counts.get("units", 0) for span in spans]
    if sum(size > 0 for size in sizes) < FEWEST_POINTS:
        return Figure(key, title, question, empty=_too_few(sizes))
    chart = make([span.counts.get(hits, 0) for span in spans], sizes, laney=bool(wanted.limits))
    spoken = signals([point.z for point in chart.points], RULES[wanted.rules])
    by_point: dict[int, list[str]] = {}
    for signal in spoken:
        by_point.setdefault(signal.index, []).append(signal.rule.key)
    values = _values(wanted, spans, chart, by_point, unit, behind)
    told = tuple(
        (
            s.rule.key,
            f"{label_of(spans[s.index])}: {s.rule.name}. {s.rule.meaning}",
            units_href(wanted, since=spans[s.first].first, until=spans[s.index].last, **behind),
        )
        for s in spoken
    )
    return Figure(
        key,
        title,
        question,
        chart=time_chart(values, unit, centre=chart.centre),
        table=_control_table(spans, chart, by_point, unit),
        notes=_notes(chart, wanted),
        signals=told,
    )


def _too_few(sizes: Sequence[int]) -> str:
    if not sum(sizes):
        return NO_UNITS
    return (
        "A control chart needs at least two points with units. Choose a longer time or smaller "
        "steps (by day)."
    )


def _values(
    wanted: DashboardFilter,
    spans: Sequence[Span],
    chart: ControlChart,
    by_point: dict[int, list[str]],
    unit: str,
    behind: dict[str, str],
) -> list[Value]:
    return [
        Value(
            label=label_of(span),
            value=point.value,
            text=f"{figure(point.value or 0, unit)} of {thousands(point.size)} units, limits "
            f"{figure(point.low, unit)} to {figure(point.high, unit)}",
            href=units_href(wanted, since=span.first, until=span.last, **behind),
            rules=",".join(by_point.get(place, ())),
            low=point.low if point.size else None,
            high=point.high if point.size else None,
        )
        for place, (span, point) in enumerate(zip(spans, chart.points, strict=True))
    ]


def _control_table(
    spans: Sequence[Span], chart: ControlChart, by_point: dict[int, list[str]], unit: str
) -> Table:
    rows = tuple(
        (
            Cell(span.first.isoformat()),
            Cell(span.last.isoformat()),
            Cell(int(point.size)),
            Cell(int(point.hits)),
            Cell(point.value, "" if point.value is None else figure(point.value, unit)),
            Cell(round(point.low, 6), figure(point.low, unit)),
            Cell(round(chart.centre, 6), figure(chart.centre, unit)),
            Cell(round(point.high, 6), figure(point.high, unit)),
            Cell(" ".join(by_point.get(place, ())), " ".join(by_point.get(place, ())) or " "),
        )
        for place, (span, point) in enumerate(zip(spans, chart.points, strict=True))
    )
    names = ("From", "To", "Units", "Count", "Value", "Lower limit", "Mean", "Upper limit", "Rules")
    return Table(names, rows)


def _notes(chart: ControlChart, wanted: DashboardFilter) -> tuple[str, ...]:
    limits = (
        "Dashed: limits of 3 standard deviations for as many units as each point has. Diamonds "
        "carry the number of the rule that they break."
    )
    if wanted.limits:
        return (
            limits,
            f"Limits after Laney, wider by {chart.spread:.2f}: days differ more than "
            "chance alone would let them.",
        )
    if chart.laney > OVERDISPERSED:
        return (
            limits,
            f"Days differ {chart.laney:.1f} times as much as chance alone would let "
            "them, so many alarms may be ordinary. Limits after Laney allow for that.",
        )
    return (limits,)


def by_count(site: Site, wanted: DashboardFilter) -> Figure:
    """Pareto of findings by type."""
    return _pareto(
        site,
        wanted,
        "pareto",
        "Defects by type (Pareto)",
        "Which few types make most of the defects?",
        None,
        "Nothing was found in these days, or nobody has looked yet.",
    )


def by_cost(site: Site, wanted: DashboardFilter) -> Figure:
    """Pareto of findings by type, each times what one costs."""
    return _pareto(
        site,
        wanted,
        "pareto-cost",
        "Defects by cost (Pareto)",
        "Which types cost most?",
        reads.costs(site),
        "No type of defect has a cost yet. Say under “Costs” what one scratch or dent costs you, "
        "and this shows where the money goes.",
    )


def _pareto(
    site: Site,
    wanted: DashboardFilter,
    key: str,
    title: str,
    question: str,
    costs: dict[tuple[Any, str], float] | None,
    empty: str,
) -> Figure:
    amounts: dict[str, float] = {}
    found: dict[str, int] = {}
    for row in reads.by_type(site, wanted):
        each = 1.0 if costs is None else costs.get((row["plan_id"], row["type"]), 0.0)
        amounts[row["type"]] = amounts.get(row["type"], 0.0) + each * row["n_found"]
        found[row["type"]] = found.get(row["type"], 0) + row["n_found"]
    shares = pareto(amounts.items())
    if not shares:
        return Figure(key, title, question, empty=empty)
    few = vital_few(shares)
    lengths = [
        Length(
            label=name_of(share.key),
            text=f"{thousands(share.amount)} · {percent(share.part)}",
            parts=((share.amount, "solid" if place < few else "hatched"),),
            href=units_href(wanted, type=share.key),
            together=share.together,
        )
        for place, share in enumerate(shares)
    ]
    rows = tuple(
        (
            Cell(share.key, name_of(share.key), units_href(wanted, type=share.key)),
            Cell(found[share.key], thousands(found[share.key])),
            Cell(round(share.amount, 2), thousands(share.amount)),
            Cell(round(share.part, 6), percent(share.part)),
            Cell(round(share.together, 6), percent(share.together)),
        )
        for share in shares
    )
    names = ("Type", "Findings", "Count" if costs is None else "Cost", "Share", "Together")
    note = (
        f"Solid: the {few} that make 80 %. The line is their share together, over the full width."
    )
    return Figure(
        key,
        title,
        question,
        chart=bar_chart(lengths),
        table=Table(names, rows),
        notes=(note,),
        wide=False,
    )


def name_of(key: str) -> str:
    """A key of the catalogue as people read it."""
    text = key.replace("_", " ").replace("-", " ")
    return text[:1].upper() + text[1:] if text else "not given"


SEVERITIES = (("minor", "dotted"), ("major", "hatched"), ("critical", "solid"))


def severity_mix(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """Units by their worst finding, and what became of them."""
    total = _sum(spans)
    title, question = "Severity and disposition", "How bad is what we find, and where does it go?"
    if not total.get("units"):
        return Figure("severity", title, question, empty=NO_UNITS, wide=False)
    rows = [
        (name.capitalize(), total.get(name, 0), pattern, {"severity": name})
        for name, pattern in SEVERITIES
    ]
    rows += [
        (name.capitalize(), total.get(name, 0), "outline", {"disposition": name})
        for name in ("rework", "reject", "hold")
    ]
    lengths = [
        Length(
            label,
            f"{thousands(n)} · {percent(n / total['units'])}",
            ((n, pattern),),
            units_href(wanted, **behind),
        )
        for label, n, pattern, behind in rows
    ]
    table = Table(
        ("Group", "Units", "Share of units"),
        tuple(
            (
                Cell(label, href=units_href(wanted, **behind)),
                Cell(n, thousands(n)),
                Cell(round(n / total["units"], 6), percent(n / total["units"])),
            )
            for label, n, _, behind in rows
        ),
    )
    note = (
        "Severity is that of a unit's worst finding; a unit is in one severity and one disposition."
    )
    return Figure(
        "severity",
        title,
        question,
        chart=bar_chart(lengths),
        table=table,
        notes=(note,),
        wide=False,
    )


def _sum(spans: Sequence[Span]) -> dict[str, int]:
    total: dict[str, int] = {}
    for span in spans:
        for name, value in span.counts.items():
            total[name] = total.get(name, 0) + value
    return total


def compared(site: Site, wanted: DashboardFilter, split: str) -> Figure:
    """Defect rate with intervals by line, shift, supplier, product or plan."""
    title = f"Defective units by {split}"
    question = f"Does a {split} stand out, or is the difference within chance?"
    rows = [
        (name, wilson(n["defective"], n["units"]))
        for name, n in reads.compared(site, wanted, split)
    ]
    rated = sorted(
        ((name, rate) for name, rate in rows if rate), key=lambda row: (-row[1].mean, row[0])
    )[:40]
    if not rated:
        return Figure(f"by-{split}", title, question, empty=NO_UNITS, wide=False)
    if split != "plan" and not any(name for name, _ in rated):
        return Figure(
            f"by-{split}",
            title,
            question,
            wide=False,
            empty=f"No unit says its {split}. Fill in “{split.capitalize()}” under Upload, or send "
            f"“{split}” with the photos through the HTTP API.",
        )
    mean = sum(rate.hits for _, rate in rated) / sum(rate.cases for _, rate in rated)
    return Figure(
        f"by-{split}",
        title,
        question,
        chart=_rated_bars(wanted, split, rated, mean),
        table=_rated_table(wanted, split, rated),
        notes=(
            "Whiskers are 95 % Wilson intervals; the dashed line is the mean of all. One whose "
            "whisker stays clear of the line differs from the rest.",
        ),
        wide=False,
    )


def _rated_bars(
    wanted: DashboardFilter, split: str, rated: Sequence[tuple[str, Rate]], mean: float
) -> BarChart:
    lengths = [
        Length(
            label=name_of(name) if split == "plan" else name or "not given",
            text=f"{percent(rate.mean)} of {thousands(rate.cases)}",
            parts=((rate.mean, "solid" if rate.low > mean else "hatched"),),
            href=units_href(wanted, **{split: name, "what": "defective"}) if name else "",
            interval=(rate.low, rate.high),
        )
        for name, rate in rated
    ]
    return bar_chart(lengths, mean=mean)


def _rated_table(wanted: DashboardFilter, split: str, rated: Sequence[tuple[str, Rate]]) -> Table:
    rows = tuple(
        (
            Cell(
                name,
                name or "not given",
                units_href(wanted, **{split: name, "what": "defective"}) if name else "",
            ),
            *_rate_cells(rate),
        )
        for name, rate in rated
    )
    return Table((split.capitalize(), "Units", "Defective", "Share", "Low", "High"), rows)


def _rate_cells(rate: Rate) -> tuple[Cell, ...]:
    return (
        Cell(rate.cases, thousands(rate.cases)),
        Cell(rate.hits, thousands(rate.hits)),
        Cell(round(rate.mean, 6), percent(rate.mean)),
        Cell(round(rate.low, 6), percent(rate.low)),
        Cell(round(rate.high, 6), percent(rate.high)),
    )


def first_pass(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """First-pass yield over time."""
    return _rates_over_time(
        wanted,
        spans,
        "first_passed",
        "first",
        wilson,
        Figure(
            "first-pass-yield",
            "First-pass yield",
            "How many units are right the first time they are inspected?",
            empty=NO_UNITS,
            notes=(
                "Units accepted at their first inspection, of all that were inspected the "
                "first time; a unit that comes again under the same reference and plan does "
                "not count again. Whiskers: 95 % Wilson intervals.",
            ),
        ),
    )


def escape_rate(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """Escapes, estimated from the units that were drawn for a check."""
    total = _sum(spans)
    found = escapes(total.get("escaped", 0), total.get("checked", 0), total.get("alone", 0))
    notes = [
        "Units that would have passed without a person and were drawn at random for one: the "
        "share that was not accepted. Whiskers: 95 % Clopper–Pearson intervals."
    ]
    if found:
        notes.append(
            f"Together {found.rate.hits} of {thousands(found.rate.cases)} checked: "
            f"{percent(found.rate.mean)} ({percent(found.rate.low)} to "
            f"{percent(found.rate.high)}). "
            f"Of {thousands(found.passed)} units that passed unseen about "
            f"{thousands(found.expected)} escaped ({thousands(found.low)} to "
            f"{thousands(found.high)})."
        )
    return _rates_over_time(
        wanted,
        spans,
        "escaped",
        "checked",
        exact,
        Figure(
            "escape-rate",
            "Escape rate",
            "How much that is defective goes out unseen?",
            notes=tuple(notes),
            empty="No unit that would pass by itself was checked by a person in these days. "
            "Set the risk dial of a plan: it draws a share of passing units for a check, from "
            "which the escape rate follows.",
        ),
        behind={"what": "checked"},
    )


def overkill(site: Site, wanted: DashboardFilter, spans: Sequence[Span]) -> Figure:
    """Good units that the models would not accept."""
    return _rates_over_time(
        wanted,
        spans,
        "overkill",
        "refused",
        wilson,
        Figure(
            "overkill",
            "Overkill",
            "How often would the models turn down a unit that a person accepts?",
            notes=(
                "Units that a person accepted, of those that the models would not accept and "
                "a person judged. Whiskers: 95 % Wilson intervals.",
            ),
            empty="No person has judged a unit that the models would not accept. Review a few, "
            "and this shows how often they were wrong.",
        ),
        behind={"what": "by_person"},
    )


def _rates_over_time(
    wanted: DashboardFilter,
    spans: Sequence[Span],
    hits: str,
    cases: str,
    rate_of: Any,
    plain: Figure,
    behind: dict[str, str] | None = None,
) -> Figure:
    rates = [rate_of(span.counts.get(hits, 0), span.counts.get(cases, 0)) for span in spans]
    if not any(rates):
        return Figure(plain.key, plain.title, plain.question, empty=plain.empty)
    values = [
        Value(
            label=label_of(span),
            value=rate.mean if rate else None,
            text=f"{percent(rate.mean)} ({rate.hits} of {thousands(rate.cases)})" if rate else "",
            href=units_href(wanted, since=span.first, until=span.last, **(behind or {})),
            whisker=(rate.low, rate.high) if rate else None,
        )
        for span, rate in zip(spans, rates, strict=True)
    ]
    whole = sum(r.hits for r in rates if r) / sum(r.cases for r in rates if r)
    rows = tuple(
        (Cell(span.first.isoformat()), Cell(span.last.isoformat()), *_rate_cells(rate))
        for span, rate in zip(spans, rates, strict=True)
        if rate
    )
    table = Table(("From", "To", "Cases", "Hits", "Share", "Low", "High"), rows)
    chart: TimeChart = time_chart(values, "%", centre=whole)
    return Figure(
        plain.key, plain.title, plain.question, chart=chart, table=table, notes=plain.notes
    )


def false_alarms(site: Site, wanted: DashboardFilter) -> Figure:
    """Findings of the models that people rejected, by type."""
    title = "False alarms by type"
    question = "Which types do the models see that are not there?"
    sums: dict[str, list[int]] = {}
    for row in reads.by_type(site, wanted):
        told = sums.setdefault(row["type"], [0, 0])
        told[0] += row["n_rejected"]
        told[1] += row["n_rejected"] + row["n_confirmed"]
    rated = [(name, rate) for name, (no, all_) in sums.items() if (rate := wilson(no, all_))]
    rated.sort(key=lambda row: (-row[1].mean, row[0]))
    if not rated:
        return Figure(
            "false-alarms",
            title,
            question,
            empty="No finding was confirmed or rejected by a person in these days.",
        )
    lengths = [
        Length(
            name_of(name),
            f"{percent(rate.mean)} of {thousands(rate.cases)}",
            ((rate.mean, "hatched"),),
            units_href(wanted, type=name, what="rejected_findings"),
            (rate.low, rate.high),
        )
        for name, rate in rated
    ]
    rows = tuple((Cell(name, name_of(name)), *_rate_cells(rate)) for name, rate in rated)
    table = Table(("Type", "Judged", "Rejected", "Share", "Low", "High"), rows)
    return Figure(
        "false-alarms",
        title,
        question,
        chart=bar_chart(lengths),
        table=table,
        notes=("Findings that a person rejected, of those that a person judged.",),
    )


def plan_of(site: Site, wanted: DashboardFilter) -> Plan | None:
    found: Plan | None = Plan.objects.for_site(site).filter(key=wanted.plan).first()
    return found
