"""What a dashboard shows, as its address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone

from inspection.models import UnitDay
from inspection.models.rollup import CONTEXT, Slice
from inspection.models.site import Site

DEFAULT_DAYS = 90
MOST_DAYS = 3660
OPTIONS_DAYS = 60
"""Lines, shifts, suppliers and products are offered that had units within so many days."""
SUBGROUPS = {"day": "by day", "week": "by week", "month": "by month"}
RULES = {"we": "Western Electric", "nelson": "Nelson"}


@dataclass(frozen=True)
class DashboardFilter:
    """``since`` and ``until`` are the first and the last day. ``problem`` says what of the address
    could not be used. ``by``: how days are put together, empty: as their number suggests."""

    since: date
    until: date
    plan: str = ""
    line: str = ""
    shift: str = ""
    supplier: str = ""
    product: str = ""
    type: str = ""
    by: str = ""
    rules: str = "we"
    limits: str = ""
    problem: str = field(default="", compare=False)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> DashboardFilter:
        since, until, problem = _dates(query)
        texts = {
            name: query.get(name, "").replace("\0", "").strip()[:64]
            for name in ("plan", *CONTEXT, "type")
        }
        return cls(
            since=since,
            until=until,
            **texts,
            by=query["by"] if query.get("by") in SUBGROUPS else "",
            rules="nelson" if query.get("rules") == "nelson" else "we",
            limits="laney" if query.get("limits") == "laney" else "",
            problem=problem,
        )

    def query(self, **changes: Any) -> str:
        """The address with some things changed."""
        new = replace(self, **changes)
        values = {"since": new.since.isoformat(), "until": new.until.isoformat()}
        for name in ("plan", *CONTEXT, "type", "by", "rules", "limits"):
            if (value := getattr(new, name)) and (name, value) != ("rules", "we"):
                values[name] = value
        return "?" + urlencode(values)

    @property
    def days(self) -> int:
        return (self.until - self.since).days + 1

    @property
    def subgroup(self) -> str:
        """Few enough points to read, many enough to see a pattern."""
        if self.by:
            return self.by
        return "day" if self.days <= 62 else "week" if self.days <= 800 else "month"

    @property
    def context(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in CONTEXT if getattr(self, name)}

    @property
    def is_narrowed(self) -> bool:
        return bool(self.plan or self.context)

    def units(self, **more: Any) -> dict[str, str]:
        """The same choice for the list of inspections; dates in ``more`` take the place of ours."""
        chosen: dict[str, Any] = {"since": self.since, "until": self.until, "plan": self.plan}
        chosen |= self.context | more
        return {name: str(value) for name, value in chosen.items() if value}


def _dates(query: Mapping[str, str]) -> tuple[date, date, str]:
    today = timezone.localdate()
    problems = []
    found = {}
    for name in ("since", "until"):
        text = query.get(name, "").strip()
        try:
            found[name] = _within_reason(date.fromisoformat(text)) if text else None
        except ValueError:
            found[name] = None
            problems.append(
                f"“{text[:20]}” is no date between 1970 and 2999. Write it like 2026-03-31."
            )
    until = found["until"] or today
    since = found["since"] or _before(until, DEFAULT_DAYS - 1)
    if since > until:
        since, until = until, since
        problems.append("The first day was after the last one, so they were exchanged.")
    if (until - since).days >= MOST_DAYS:
        since = _before(until, MOST_DAYS - 1)
        problems.append("Ten years at a time is the most.")
    return since, until, " ".join(problems)


def _within_reason(day: date) -> date:
    if not 1970 <= day.year <= 2999:
        raise ValueError
    return day


def _before(day: date, days: int) -> date:
    return day - timedelta(days=days)


def slice_of(wanted: DashboardFilter, split: str = "") -> Slice:
    """The smallest table that can answer: split by what is filtered and by ``split``."""
    needed = {*wanted.context, *([split] if split else [])}
    if not needed:
        return Slice.NONE
    return Slice[needed.pop().upper()] if len(needed) == 1 else Slice.ALL


def options(site: Site, wanted: DashboardFilter) -> dict[str, list[str]]:
    """Values to choose from, with the chosen one even where it has no units now."""
    rows = UnitDay.objects.for_site(site).filter(
        slice__in=[Slice.LINE, Slice.SHIFT, Slice.SUPPLIER, Slice.PRODUCT],
        day__range=(_before(wanted.until, OPTIONS_DAYS), wanted.until),
    )
    found = set(rows.values_list(*CONTEXT).distinct())
    return {
        name: sorted({row[place] for row in found if row[place]} | set(_chosen(wanted, name)))
        for place, name in enumerate(CONTEXT)
    }


def _chosen(wanted: DashboardFilter, name: str) -> list[str]:
    value = getattr(wanted, name)
    return [value] if value else []
