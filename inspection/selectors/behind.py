"""The units behind a figure of a dashboard, as a filter of the list of inspections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from inspection.models import Finding, Ticket
from inspection.models.choices import DispositionChoice, FindingStatus, InspectionStatus
from inspection.selectors.findings import STANDING

_JUDGED = Q(status__in=[InspectionStatus.REVIEW, InspectionStatus.DECIDED])
_OF_UNIT = Finding.objects.filter(inspection=OuterRef("pk"), is_sealed=False)
WHAT: Mapping[str, tuple[str, Q]] = {
    "defective": ("not accepted", _JUDGED & ~Q(disposition=DispositionChoice.ACCEPT)),
    "alone": ("passed without a person",
              Q(status=InspectionStatus.DECIDED, decided_at__isnull=True,
                disposition=DispositionChoice.ACCEPT)),
    "by_person": ("decided by a person", Q(decided_at__isnull=False)),
    "checked": ("drawn for a check and judged",
                Q(decided_at__isnull=False, risk_gate__is_drawn=True, risk_gate__is_below=True)),
    "with_defects": ("with a finding", _JUDGED & Q(Exists(_OF_UNIT.filter(STANDING)))),
    "rejected_findings": ("with a finding that a person rejected",
                          Q(Exists(_OF_UNIT.filter(status=FindingStatus.REJECTED)))),
    "with_ticket": ("with a ticket", Q(Exists(Ticket.objects.filter(inspection=OuterRef("pk"))))),
}  # fmt: skip


@dataclass(frozen=True)
class Behind:
    """Dates (both in), where the unit comes from, the type of a finding, who decided, and one of
    ``WHAT``."""

    since: date | None = None
    until: date | None = None
    line: str = ""
    shift: str = ""
    supplier: str = ""
    product: str = ""
    type: str = ""
    decided_by: str = ""
    what: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Behind:
        """Unknown values are left out."""
        texts = {
            name: query.get(name, "").replace("\0", "").strip()[:150]
            for name in ("line", "shift", "supplier", "product", "type", "decided_by")
        }
        what = query.get("what", "")
        return cls(
            since=_date(query.get("since")),
            until=_date(query.get("until")),
            what=what if what in WHAT else "",
            **texts,
        )

    def values(self) -> dict[str, str]:
        """As in an address."""
        return {f.name: str(value) for f in fields(self) if (value := getattr(self, f.name))}

    def narrowing(self) -> Q:
        """Of inspections."""
        wanted = Q()
        if self.since:
            wanted &= Q(created_at__gte=_midnight(self.since))
        if self.until:
            wanted &= Q(created_at__lt=_midnight(self.until) + timedelta(days=1))
        for name in ("line", "shift", "supplier", "product"):
            if value := getattr(self, name):
                wanted &= Q(**{name: value})
        if self.type:
            wanted &= Q(Exists(self._of_type()))
        if self.decided_by:
            wanted &= Q(decided_by__username=self.decided_by)
        return wanted & WHAT[self.what][1] if self.what else wanted

    def _of_type(self) -> QuerySet[Finding]:
        rows: QuerySet[Finding] = _OF_UNIT.filter(type=self.type)
        return rows if self.what == "rejected_findings" else rows.filter(STANDING)

    def words(self) -> list[str]:
        """For people."""
        told = []
        if self.since or self.until:
            told.append(f"{_day(self.since) or 'the beginning'} to {_day(self.until) or 'today'}")
        for name in ("line", "shift", "supplier", "product"):
            if value := getattr(self, name):
                told.append(f"{name} {value}")
        if self.type:
            told.append(f"with {self.type.replace('_', ' ')}")
        if self.decided_by:
            told.append(f"decided by {self.decided_by}")
        return [*told, *([WHAT[self.what][0]] if self.what else [])]


def _day(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else ""


def _date(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 1900 <= day.year <= 9000 else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))
