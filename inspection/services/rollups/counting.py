"""Take the marks, and make the counts of their days again.

A mark and the change that it stands for are committed together. Marks are taken first and the days
counted afterwards, each statement on what is committed when it begins; a change that comes later
has a mark of its own, which the next pass finds. One pass at a time (an advisory lock), so that an
older count never replaces a newer one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from inspection.models import RollupState, Site
from inspection.models.rollup import MarkKind
from inspection.services.rollups import queries

LOCK = 0x10_09E_C0
"""The number of the advisory lock."""
MOST_DAYS = 31
"""Days that are counted in one statement, and at most in one transaction per site."""
REST = 9.0
"""A pass rests so many times as long as it took, so that counting takes a tenth of the time."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    MarkKind.UNIT: (
        ("inspection_unitday", queries.UNITS),
        ("inspection_defectday", queries.DEFECTS),
        ("inspection_engineday", queries.ENGINES),
        ("inspection_latencyday", queries.LATENCIES),
        ("inspection_calibrationday", queries.CALIBRATION),
        ("inspection_photoday", queries.PHOTOS),
        ("inspection_heatday", queries.HEAT),
    ),
    MarkKind.REVIEW: (("inspection_reviewerday", queries.REVIEWERS),),
    MarkKind.TICKET: (("inspection_ticketday", queries.TICKETS),),
}
_rests_until = 0.0


@dataclass(frozen=True, slots=True)
class Days:
    """Days of one site in a row, whose counts of one kind are to be made again."""

    site_id: UUID
    kind: str
    first: date
    last: date


def count_when_rested() -> int:
    """A pass, unless the last one was too short a while ago. How many days were counted."""
    global _rests_until
    begun = time.monotonic()
    if begun < _rests_until:
        return 0
    counted = count_marked()
    _rests_until = time.monotonic() + REST * (time.monotonic() - begun)
    return counted


def count_marked() -> int:
    """Count the marked days of one batch; call again until it says 0. How many days it were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        # Compiling these statements takes longer than running them.
        cursor.execute("SET LOCAL jit = off")
        marked = _take_marks()
        for days in _in_a_row(marked):
            _count(days)
        _told({site_id for site_id, _, _ in marked})
    return len(marked)


def mark_everything(site: Site) -> None:
    """Have all counts of a site made again."""
    with connection.cursor() as cursor:
        for kind, table in (
            (MarkKind.UNIT, "inspection_inspection"),
            (MarkKind.REVIEW, "inspection_review"),
            (MarkKind.TICKET, "inspection_ticket"),
        ):
            cursor.execute(
                f"""INSERT INTO inspection_daymark (site_id, kind, hour)
                SELECT DISTINCT site_id, %s, date_trunc('hour', created_at) FROM {table}
                WHERE site_id = %s""",  # noqa: S608  names of our own tables
                [kind.value, site.pk],
            )


def _take_marks() -> set[tuple[UUID, str, date]]:
    """The oldest marked days, whose marks are gone when this transaction is through."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM inspection_daymark AS mark USING (
             SELECT DISTINCT site_id, kind, hour FROM inspection_daymark
             ORDER BY site_id, kind, hour LIMIT %s) AS oldest
            WHERE (mark.site_id, mark.kind, mark.hour) = (oldest.site_id, oldest.kind, oldest.hour)
            RETURNING mark.site_id, mark.kind, mark.hour""",
            [MOST_DAYS * 24],
        )
        taken = set(cursor.fetchall())
    return {(site_id, kind, day) for site_id, kind, hour in taken for day in _days_of(hour)}


def _days_of(hour: datetime) -> set[date]:
    """Where a zone is off by half an hour, one hour may belong to two days."""
    here = ZoneInfo(settings.TIME_ZONE)
    last = hour + HOUR - timedelta(microseconds=1)
    return {hour.astimezone(here).date(), last.astimezone(here).date()}


def _in_a_row(marked: Iterable[tuple[UUID, str, date]]) -> Iterator[Days]:
    """Days that follow each other, together."""
    run: Days | None = None
    for site_id, kind, day in sorted(marked):
        if run and (run.site_id, run.kind, run.last + DAY) == (site_id, kind, day):
            run = Days(site_id, kind, run.first, day)
            continue
        if run:
            yield run
        run = Days(site_id, kind, day, day)
    if run:
        yield run


def _count(days: Days) -> None:
    here = ZoneInfo(settings.TIME_ZONE)
    told: dict[str, Any] = {
        "site": days.site_id,
        "tz": settings.TIME_ZONE,
        "first": days.first,
        "last": days.last,
        "start": datetime.combine(days.first, datetime.min.time(), here),
        "end": datetime.combine(days.last + DAY, datetime.min.time(), here),
    }
    with connection.cursor() as cursor:
        for table, query in TABLES[days.kind]:
            of_days = " AND NOT is_month" if table == "inspection_heatday" else ""
            cursor.execute(
                f"DELETE FROM {table} WHERE site_id = %(site)s "  # noqa: S608  our own tables
                f"AND day BETWEEN %(first)s AND %(last)s{of_days}",
                told,
            )
            cursor.execute(query, told)
        if days.kind == MarkKind.UNIT:
            _sum_up_months(cursor, told)


def _sum_up_months(cursor: Any, told: dict[str, Any]) -> None:
    cursor.execute(
        """DELETE FROM inspection_heatday WHERE site_id = %(site)s AND is_month
        AND day >= date_trunc('month', %(first)s::date) AND day <= %(last)s""",
        told,
    )
    cursor.execute(queries.HEAT_OF_MONTHS, told)


def _told(site_ids: set[UUID]) -> None:
    rows = [RollupState(site_id=site_id, counted_at=timezone.now()) for site_id in site_ids]
    RollupState.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["site"], update_fields=["counted_at"]
    )
