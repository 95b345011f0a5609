"""Which findings are in force."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from inspection.models import Finding, Inspection
from inspection.models.choices import FindingHistory, FindingStatus

STANDING = (
    ~Q(status=FindingStatus.REJECTED)
    & ~Q(history=FindingHistory.FIXED, status=FindingStatus.OPEN)
    & Q(is_sealed=False)
)
"""Rows that are defects of today: nobody rejected them, none is fixed by the model's word, and none
belongs to a word that is sealed."""


def is_standing(finding: Finding) -> bool:
    """The same of a row in memory."""
    if finding.is_sealed:
        return False
    if finding.history == FindingHistory.FIXED and finding.status == FindingStatus.OPEN:
        return False
    return bool(finding.status != FindingStatus.REJECTED)


def current_findings(inspection: Inspection) -> list[Finding]:
    """What the current run or a person sees, and what a person judged in an earlier run.

    A judged finding that the current run has seen again (same ``identity``) is there once.
    """
    mine = Q(run_id=inspection.current_run_id) | Q(run__isnull=True)
    rows: QuerySet[Finding] = Finding.objects.filter(inspection=inspection, is_sealed=False).filter(
        mine | ~Q(status=FindingStatus.OPEN)
    )
    return latest_of(rows.order_by("created_at", "id"), inspection.current_run_id)


def latest_of(rows: Iterable[Finding], run_id: UUID | None) -> list[Finding]:
    """Each identity once, what this run has seen before what an earlier one saw; ``rows`` of one
    unit in order of time."""
    in_force: dict[object, Finding] = {}
    for finding in rows:
        kept = in_force.get(finding.identity)
        if kept is None or finding.run_id in (run_id, None):
            in_force[finding.identity] = finding
    return sorted(in_force.values(), key=_worst_first)


def _worst_first(finding: Finding) -> tuple[int, float, str]:
    """By what the model said, so that the list keeps its order while a person works on it."""
    severity = finding.model_severity or finding.severity
    rank = {"critical": 0, "major": 1, "minor": 2}.get(severity, 3)
    return (rank, -finding.confidence, str(finding.pk))
