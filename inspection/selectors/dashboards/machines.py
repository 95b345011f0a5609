"""Counts of what the engines did, how honest their chances are, and how photos drift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Avg, Sum
from pgvector.django import CosineDistance

from inspection.models import CalibrationDay, EngineDay, LatencyDay, PhotoDay
from inspection.models.rollup import BINS
from inspection.models.site import Site
from inspection.selectors.dashboards.counts import of_dates
from inspection.selectors.dashboards.filters import DashboardFilter
from models_runtime.spc.histogram import quantile

BASELINE_DAYS = 20
"""Days with photos that say how photos usually look."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine did in a step of the range; times in ms, cost in microdollars."""

    step: str
    rank: int
    architecture: str
    engine: str
    cases: int
    failed: int
    run_ms: float
    cost_microusd: int


def engines(site: Site, wanted: DashboardFilter) -> list[Engine]:
    """In order of step and place in the cascade."""
    rows = of_dates(EngineDay.objects.all(), site, wanted).order_by()
    summed = rows.values("step", "rank", "architecture", "engine").annotate(
        c=Sum("cases"), f=Sum("failed"), ms=Sum("run_ms"), usd=Sum("cost_microusd")
    )
    found = [
        Engine(r["step"], r["rank"], r["architecture"], r["engine"], r["c"], r["f"], r["ms"],
               r["usd"])
        for r in summed
    ]  # fmt: skip
    return sorted(found, key=lambda e: (e.step, e.rank, e.engine))


def latencies(site: Site, wanted: DashboardFilter) -> list[tuple[str, str, int, float, float]]:
    """(step, architecture, steps, p50, p95) in ms; of all plans, since it is kept by step only."""
    rows = LatencyDay.objects.filter(site=site, day__range=(wanted.since, wanted.until))
    found: dict[tuple[str, str], dict[int, int]] = {}
    for row in rows.order_by().values("step", "architecture", "bucket").annotate(n=Sum("steps")):
        found.setdefault((row["step"], row["architecture"]), {})[row["bucket"]] = row["n"]
    return [
        (*key, sum(counts.values()), quantile(counts, 0.5) or 0, quantile(counts, 0.95) or 0)
        for key, counts in sorted(found.items())
    ]


def calibration(site: Site, wanted: DashboardFilter, kind: str) -> list[tuple[int, int, float]]:
    """(cases, hits, sum of stated chances) of each bin that has any."""
    rows = of_dates(CalibrationDay.objects.filter(kind=kind), site, wanted).order_by("bin")
    summed = rows.values("bin").annotate(c=Sum("cases"), h=Sum("hits"), s=Sum("stated"))
    return [(row["c"], row["h"], row["s"]) for row in summed if row["bin"] < BINS]


def photos(site: Site, wanted: DashboardFilter) -> list[dict[str, Any]]:
    """Per day: photos, mean brightness, mean log sharpness, and the cosine distance of the mean
    embedding from that of the first days (None where photos have none)."""
    rows = of_dates(PhotoDay.objects.filter(is_total=not wanted.plan), site, wanted)
    first = rows.filter(embedded__gt=0).order_by("day").values_list("day", flat=True)
    days: list[date] = list(first[:BASELINE_DAYS])
    usual = rows.filter(day__in=days).aggregate(mean=Avg("embedding"))["mean"] if days else None
    if usual is not None:
        rows = rows.annotate(distance=CosineDistance("embedding", usual))
    return [
        {
            "day": row.day,
            "photos": row.photos,
            "brightness": row.brightness / row.photos,
            "log_sharpness": row.log_sharpness / row.photos,
            "distance": getattr(row, "distance", None),
        }
        for row in rows.order_by("day").defer("embedding")
    ]
