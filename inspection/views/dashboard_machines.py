"""Figures of the work itself: where defects sit, people, engines and tickets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from inspection.models import GoldenPhoto, Site
from inspection.models.rollup import GRID
from inspection.selectors.dashboards import counts as reads
from inspection.selectors.dashboards import machines
from inspection.selectors.dashboards.filters import DashboardFilter
from inspection.views.charts import (
    Cell,
    Figure,
    Length,
    Table,
    Value,
    bar_chart,
    heat_chart,
    time_chart,
)
from inspection.views.dashboard_figures import (
    NO_UNITS,
    label_of,
    percent,
    plan_of,
    thousands,
    units_href,
)

NAMES = {
    "slm": "Small language model",
    "mlm": "Sentence encoder",
    "vlm": "Vision-language model",
    "sam": "Segmentation",
    "llm": "Report writer",
    "lam": "Action planner",
    "rules": "Rules",
}


def places(site: Site, wanted: DashboardFilter) -> list[Figure]:
    """Where on the part defects sit."""
    title, question = "Where defects sit", "Is there a place on the part where defects gather?"
    plan = plan_of(site, wanted)
    if plan is None:
        return [
            Figure(
                "places",
                title,
                question,
                empty="Choose a plan above: its units are "
                "photographed alike, so that places can be laid over each other.",
            )
        ]
    cells, findings = reads.heat(site, wanted)
    if not findings:
        return [Figure("places", title, question, empty=NO_UNITS)]
    golden = GoldenPhoto.objects.for_site(site).filter(plan=plan).order_by("created_at").first()
    photo = reverse("golden-file", args=[plan.key, golden.pk]) if golden else ""
    rows = tuple(
        (
            Cell(n % GRID + 1),
            Cell(n // GRID + 1),
            Cell(hits),
            Cell(round(hits / findings, 6), percent(hits / findings)),
        )
        for n, hits in enumerate(cells)
        if hits
    )
    notes = [
        f"{thousands(findings)} findings; the larger a dot, the more of them touch that place. "
        "Boxes are laid over each other by their place in the photo, which fits where all photos "
        "are taken from the same side. Line, shift, supplier and product are not kept here."
    ]
    if not golden:
        notes.append("Give the plan a golden photo, and the dots lie on it.")
    return [
        Figure(
            "places",
            title,
            question,
            chart=heat_chart(cells, GRID, photo),
            table=Table(("Column", "Row", "Findings", "Share"), rows),
            notes=tuple(notes),
        )
    ]


def people(site: Site, wanted: DashboardFilter) -> list[Figure]:
    """Who judged how much, and how fast."""
    rows = reads.reviewers(site, wanted)
    empty = "Nobody has judged a unit in these days. Reviewers find theirs under Inspections."
    if not rows:
        return [Figure("reviewers", "Reviewers", "Who carries the load?", empty=empty)]
    lengths = [
        Length(
            label=row["reviewer__username"],
            text=f"{thousands(row['n_units'])} units",
            parts=((row["n_units"], "solid"),),
            href=units_href(wanted, decided_by=row["reviewer__username"]),
        )
        for row in rows
    ]
    table = Table(
        (
            "Reviewer",
            "Units",
            "Findings judged",
            "Disposition changed",
            "Hours at work",
            "Units per hour",
        ),
        tuple(_reviewer_cells(row, wanted) for row in rows),
    )
    load = reads.review_load(site, wanted)
    values = [
        Value(label_of(s), float(s.counts.get("units", 0)), f"{s.counts.get('units', 0)} units")
        for s in load
    ]
    load_table = Table(
        ("From", "To", "Units"),
        tuple(
            (Cell(s.first.isoformat()), Cell(s.last.isoformat()), Cell(s.counts.get("units", 0)))
            for s in load
        ),
    )
    note = (
        "Hours at work are the times between two verdicts of a person, without pauses of more "
        "than five minutes. Speed alone says little: look at agreement too."
    )
    return [
        Figure(
            "reviewers",
            "Reviewers",
            "Who carries the load, and at what speed?",
            chart=bar_chart(lengths),
            table=table,
            notes=(note,),
        ),
        Figure(
            "review-load",
            "Units decided by people",
            "Does the load grow?",
            chart=time_chart(values, ""),
            table=load_table,
        ),
    ]


def _reviewer_cells(row: dict[str, Any], wanted: DashboardFilter) -> tuple[Cell, ...]:
    hours = row["n_active_s"] / 3600
    speed = row["n_timed"] / hours if hours else None
    name = row["reviewer__username"]
    return (
        Cell(name, href=units_href(wanted, decided_by=name)),
        Cell(row["n_units"]),
        Cell(row["n_findings"]),
        Cell(row["n_changed"]),
        Cell(round(hours, 3), f"{hours:.1f}"),
        Cell(None if speed is None else round(speed, 2), "–" if speed is None else f"{speed:.0f}"),
    )


def engines(site: Site, wanted: DashboardFilter) -> list[Figure]:
    """The 80/20 picture: who answers, how long it takes, what it costs."""
    rows = machines.engines(site, wanted)
    if not rows:
        return [
            Figure(
                "architectures", "Which architecture answers", "Who does the work?", empty=NO_UNITS
            )
        ]
    return [_architectures(rows), _escalation(rows), _latency(site, wanted)]


def _architectures(rows: Sequence[machines.Engine]) -> Figure:
    sums: dict[str, list[float]] = {}
    for row in rows:
        told = sums.setdefault(row.architecture, [0, 0, 0, 0])
        for place, value in enumerate((row.cases, row.run_ms, row.cost_microusd, row.failed)):
            told[place] += value
    cases, spent = sum(t[0] for t in sums.values()), sum(t[2] for t in sums.values())
    order = sorted(sums.items(), key=lambda item: -item[1][0])
    lengths = [
        Length(
            name_of_engine(name),
            f"{percent(t[0] / cases)} · {dollars(t[2])}",
            ((t[0] / cases, "solid"),),
        )
        for name, t in order
    ]
    table = Table(
        (
            "Architecture",
            "Cases",
            "Share of cases",
            "Time in s",
            "Cost in $",
            "Share of cost",
            "Failed",
        ),
        tuple(
            (
                Cell(name, name_of_engine(name)),
                Cell(int(t[0]), thousands(t[0])),
                Cell(round(t[0] / cases, 6), percent(t[0] / cases)),
                Cell(round(t[1] / 1000, 3), thousands(t[1] / 1000)),
                Cell(t[2] / 1e6, dollars(t[2])),
                Cell(
                    round(t[2] / spent, 6) if spent else None,
                    percent(t[2] / spent) if spent else "–",
                ),
                Cell(int(t[3])),
            )
            for name, t in order
        ),
    )
    return Figure(
        "architectures",
        "Which architecture answers",
        "How much of the work do small models do, and what does it cost?",
        chart=bar_chart(lengths),
        table=table,
        notes=("A case is a photo where a step has a cascade, else a unit.",),
    )


def name_of_engine(key: str) -> str:
    return NAMES.get(key, key.upper())


def dollars(microusd: float) -> str:
    return f"$ {microusd / 1e6:,.2f}" if microusd >= 10_000 else f"{microusd / 10_000:.3f} ¢"


def _escalation(rows: Sequence[machines.Engine]) -> Figure:
    """Cost as it was, and as it would have been with the last engine of each cascade alone."""
    title = "Escalation and what it saves"
    question = "How much goes on to the larger model, and what would it cost to ask it always?"
    cascades = {row.step: [r for r in rows if r.step == row.step] for row in rows if row.rank > 1}
    told = [_saving(step, engines) for step, engines in cascades.items()]
    if not told:
        return Figure(
            "escalation",
            title,
            question,
            empty="No step has a second engine. Name two "
            "in one setting, such as LOUPE_VLM, small one first: units of which it is "
            "unsure then go on to the larger one, and this compares the costs.",
        )
    lengths = []
    for step, cases, escalated, cost, alone in told:
        share = escalated / cases if cases else 0
        lengths.append(
            Length(
                f"{step.capitalize()}: as it was",
                f"{dollars(cost)} · {percent(share)} on",
                ((cost, "solid"),),
            )
        )
        lengths.append(Length("larger model alone", dollars(alone), ((alone, "hatched"),)))
    table = Table(
        (
            "Step",
            "Cases",
            "Escalated",
            "Share escalated",
            "Cost in $",
            "Larger model alone in $",
            "Saved",
        ),
        tuple(
            (
                Cell(step),
                Cell(cases),
                Cell(esc),
                Cell(round(esc / cases, 6), percent(esc / cases)),
                Cell(cost / 1e6, dollars(cost)),
                Cell(alone / 1e6, dollars(alone)),
                Cell(
                    round(1 - cost / alone, 6) if alone else None,
                    percent(1 - cost / alone) if alone else "–",
                ),
            )
            for step, cases, esc, cost, alone in told
        ),
    )
    note = (
        "“Alone” takes what the last engine of the cascade cost per case that it was asked "
        "about, times all cases. Cases that escalate are the harder ones, so it is an "
        "estimate."
    )
    return Figure(
        "escalation", title, question, chart=bar_chart(lengths), table=table, notes=(note,)
    )


def _saving(step: str, engines: Sequence[machines.Engine]) -> tuple[str, int, int, float, float]:
    """(step, cases, escalated, cost, cost of the last engine alone), in microdollars."""
    first = [engine for engine in engines if engine.rank == 1]
    second = [engine for engine in engines if engine.rank == 2]
    last = [engine for engine in engines if engine.rank == max(e.rank for e in engines)]
    cases, asked = sum(e.cases for e in first), sum(e.cases for e in last)
    each = sum(e.cost_microusd for e in last) / asked if asked else 0.0
    cost = sum(e.cost_microusd for e in engines)
    return step, cases, sum(e.cases for e in second), cost, each * cases


def _latency(site: Site, wanted: DashboardFilter) -> Figure:
    rows = machines.latencies(site, wanted)
    title, question = "Run time by step", "Where does the time go, and how bad is the slow end?"
    if not rows:
        return Figure("latency", title, question, empty=NO_UNITS)
    lengths = [
        Length(
            f"{step.capitalize()} ({name_of_engine(kind)})"[:30],
            f"{milliseconds(p50)} · {milliseconds(p95)}",
            ((p50, "solid"), (p95 - p50, "dotted")),
        )
        for step, kind, _, p50, p95 in rows
    ]
    table = Table(
        ("Step", "Architecture", "Steps", "p50 in ms", "p95 in ms"),
        tuple(
            (
                Cell(step),
                Cell(kind, name_of_engine(kind)),
                Cell(n, thousands(n)),
                Cell(round(p50, 2), milliseconds(p50)),
                Cell(round(p95, 2), milliseconds(p95)),
            )
            for step, kind, n, p50, p95 in rows
        ),
    )
    return Figure(
        "latency",
        title,
        question,
        chart=bar_chart(
            lengths,
            legend=(("solid", "half are faster (p50)"), ("dotted", "19 of 20 are faster (p95)")),
        ),
        table=table,
        notes=("From counts in steps of 20 %, so a figure may be off by that much. Of all plans.",),
    )


def milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


AGES = (("today", 1), ("1 to 7 days", 7), ("8 to 30 days", 30), ("older", 100_000))
WORDS = {"pending": "On their way", "delivered": "Delivered", "failed": "Not delivered"}
PATTERNS = {"pending": "dotted", "delivered": "solid", "failed": "hatched"}


def tickets(site: Site, wanted: DashboardFilter) -> list[Figure]:
    """Tickets by destination, over time, and how long the open ones wait."""
    rows = reads.tickets(site, wanted)
    empty = (
        "No ticket was written in these days. A plan's playbook says when one is, and an admin "
        "connects the system that takes it."
    )
    waiting = reads.undelivered(site, wanted)
    if not rows and not waiting:
        return [Figure("tickets", "Tickets by destination", "Do tickets arrive?", empty=empty)]
    return [_destinations(rows), _ages(waiting), _tickets_over_time(site, wanted)]


def _destinations(rows: Sequence[dict[str, Any]]) -> Figure:
    names = sorted({row["connector__name"] for row in rows})
    of = {(row["connector__name"], row["status"]): row for row in rows}
    lengths, cells = [], []
    for name in names:
        counts = {s: of[name, s]["n"] if (name, s) in of else 0 for s in WORDS}
        done = of.get((name, "delivered"))
        took = done["seconds"] / done["took"] if done and done["took"] else None
        lengths.append(
            Length(
                name,
                f"{thousands(sum(counts.values()))} tickets",
                tuple((n, PATTERNS[s]) for s, n in counts.items() if n),
            )
        )
        cells.append(
            (
                Cell(name),
                *(Cell(n) for n in counts.values()),
                Cell(
                    None if took is None else round(took, 1),
                    "–" if took is None else duration(took),
                ),
            )
        )
    legend = tuple((PATTERNS[s], word) for s, word in WORDS.items())
    return Figure(
        "tickets",
        "Tickets by destination",
        "Do tickets arrive, and how fast?",
        chart=bar_chart(lengths, legend=legend),
        table=Table(("Destination", *WORDS.values(), "Mean seconds to deliver"), tuple(cells)),
        empty="" if names else "No ticket was written in these days.",
    )


def duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _ages(waiting: Sequence[tuple[Any, int]]) -> Figure:
    title, question = "Age of tickets that have not arrived", "Is something stuck?"
    if not waiting:
        return Figure("ticket-age", title, question, wide=False, empty="Every ticket has arrived.")
    today, counts = timezone.localdate(), [0] * len(AGES)
    for day, n in waiting:
        age = (today - day) / timedelta(days=1)
        counts[next(place for place, (_, most) in enumerate(AGES) if age < most)] += n
    lengths = [
        Length(word, thousands(n), ((n, "solid"),), reverse("deliveries"))
        for (word, _), n in zip(AGES, counts, strict=True)
    ]
    rows = tuple((Cell(word), Cell(n)) for (word, _), n in zip(AGES, counts, strict=True))
    return Figure(
        "ticket-age",
        title,
        question,
        chart=bar_chart(lengths),
        table=Table(("Age", "Tickets"), rows),
        wide=False,
    )


def _tickets_over_time(site: Site, wanted: DashboardFilter) -> Figure:
    spans = reads.tickets_over_time(site, wanted)
    values = [
        Value(
            label_of(s),
            float(s.counts.get("tickets", 0)),
            f"{s.counts.get('tickets', 0)}",
            units_href(wanted, since=s.first, until=s.last, what="with_ticket"),
        )
        for s in spans
    ]
    rows = tuple(
        (Cell(s.first.isoformat()), Cell(s.last.isoformat()), Cell(s.counts.get("tickets", 0)))
        for s in spans
    )
    return Figure(
        "tickets-over-time",
        "Tickets written",
        "How many tickets do we write?",
        chart=time_chart(values, ""),
        table=Table(("From", "To", "Tickets"), rows),
        wide=False,
    )
