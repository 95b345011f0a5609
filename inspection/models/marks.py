"""Triggers that mark the days whose counts are to be made again, bulk changes included.

A mark is written in the transaction of the change, so whoever sees the mark sees the change. Marks
are only added, never updated: two workers that change units of the same day don't wait for each
other.
"""

from __future__ import annotations

import pgtrigger
from django.db.models import Model

from inspection.models.action import Ticket
from inspection.models.finding import Finding
from inspection.models.inspection import Inspection, Photo
from inspection.models.review import Review
from inspection.models.risk import RiskGate
from inspection.models.rollup import MarkKind
from inspection.models.run import StepRun

MARK = """
INSERT INTO inspection_daymark (site_id, kind, hour)
SELECT DISTINCT marked.site_id, '{kind}', date_trunc('hour', marked.created_at)
FROM ({rows}) AS marked;
RETURN NULL;
"""
OWN = "SELECT site_id, created_at FROM {rows}"
OF_UNIT = """
SELECT unit.site_id, unit.created_at FROM {rows} AS changed
JOIN inspection_inspection AS unit ON unit.id = changed.inspection_id"""
OF_STEP = """
SELECT unit.site_id, unit.created_at FROM {rows} AS changed
JOIN inspection_run AS run ON run.id = changed.run_id
JOIN inspection_inspection AS unit ON unit.id = run.inspection_id
WHERE changed.finished_at IS NOT NULL"""
# Which unit of a reference is the first one hangs on all of them.
SAME_REFERENCE = """
SELECT other.site_id, other.created_at FROM {rows} AS changed
JOIN inspection_inspection AS other ON other.site_id = changed.site_id
AND other.plan_id = changed.plan_id AND other.reference = changed.reference
WHERE changed.reference <> ''"""
RENAMED = """
SELECT changed.site_id, changed.plan_id, changed.reference
FROM new_rows AS changed JOIN old_rows AS before ON before.id = changed.id
WHERE (before.plan_id, before.reference) IS DISTINCT FROM (changed.plan_id, changed.reference)
UNION ALL
SELECT before.site_id, before.plan_id, before.reference
FROM new_rows AS changed JOIN old_rows AS before ON before.id = changed.id
WHERE (before.plan_id, before.reference) IS DISTINCT FROM (changed.plan_id, changed.reference)"""


def _trigger(
    name: str, operation: pgtrigger.Operation, kind: MarkKind, rows: str
) -> pgtrigger.Trigger:
    tables = {
        "new": "new_rows" if operation != pgtrigger.Delete else None,
        "old": "old_rows" if operation != pgtrigger.Insert else None,
    }
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=operation,
        referencing=pgtrigger.Referencing(**tables),  # type: ignore[no-untyped-call]
        func=MARK.format(kind=kind.value, rows=rows),
    )


def _marked(model: type[Model], rows: str, kind: MarkKind = MarkKind.UNIT) -> None:
    """Mark on insert and update."""
    new = rows.format(rows="new_rows")
    pgtrigger.register(
        _trigger("marks_day_of_new", pgtrigger.Insert, kind, new),
        _trigger("marks_day_of_changed", pgtrigger.Update, kind, new),
    )(model)


def _marked_when_deleted(model: type[Model], rows: str, kind: MarkKind = MarkKind.UNIT) -> None:
    gone = rows.format(rows="old_rows")
    pgtrigger.register(_trigger("marks_day_of_deleted", pgtrigger.Delete, kind, gone))(model)


def _units() -> None:
    """The unit itself, and on a new name also the others that bear the old or the new one."""
    new, gone = OWN.format(rows="new_rows"), OWN.format(rows="old_rows")
    renamed = f"{new} UNION ALL {SAME_REFERENCE.format(rows=f'({RENAMED})')}"
    deleted = f"{gone} UNION ALL {SAME_REFERENCE.format(rows='old_rows')}"
    pgtrigger.register(
        _trigger("marks_day_of_new", pgtrigger.Insert, MarkKind.UNIT, new),
        _trigger("marks_day_of_changed", pgtrigger.Update, MarkKind.UNIT, renamed),
        _trigger("marks_day_of_deleted", pgtrigger.Delete, MarkKind.UNIT, deleted),
    )(Inspection)


_units()
_marked(Finding, OF_UNIT)
_marked_when_deleted(Finding, OF_UNIT)
_marked(Photo, OF_UNIT)
_marked(RiskGate, OF_UNIT)
_marked(StepRun, OF_STEP)
_marked(Review, OWN, MarkKind.REVIEW)
_marked(Ticket, OWN, MarkKind.TICKET)
_marked_when_deleted(Ticket, OWN, MarkKind.TICKET)
