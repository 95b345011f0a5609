"""Units as they go out of the house: what people left in force, and what the models had said.

On a unit whose words are sealed (``docs/decisions/0010-sealed-words.md``) and on one that is still
to be judged by a rule of second review, the models' word goes out, whoever asks, and no word of a
person: an export must not tell the second reviewer what the first one says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from inspection.models import (
    AttributeValue,
    Comment,
    ExportJob,
    Finding,
    GoldUnit,
    ImportedAnnotation,
    Inspection,
    JudgingRule,
    Photo,
    Plan,
    Review,
    Round,
    Site,
)
from inspection.models.choices import (
    FindingSourceChoice,
    FindingStatus,
    PhotoStatus,
    ReviewKind,
    RoundKind,
    RoundState,
    SeverityChoice,
)
from inspection.selectors.findings import is_standing, latest_of
from inspection.selectors.inspections import InspectionFilter, narrowed

SAID = (
    "type", "severity", "status", "x1", "y1", "x2", "y2", "mask_counts", "mask_height",
    "mask_width", "area_px", "area_mm2", "length_px", "length_mm",
)  # fmt: skip
"""Columns of a finding that people change."""
BY_MODELS = (FindingSourceChoice.VLM, FindingSourceChoice.GOLDEN, FindingSourceChoice.EARLIER)
RANK = {severity: rank for rank, severity in enumerate(SeverityChoice.values)}
CHOICES = {
    "standing": "All that count (not rejected)",
    "confirmed": "Only those that a person confirmed",
    "all": "Also those that a person rejected, marked as such",
}
"""Which findings go out."""


@dataclass
class OutFinding:
    """``row`` as people left it; ``models`` the same columns as the models had them, None for what
    they did not see; ``verdict`` the last one on it."""

    row: Finding
    models: dict[str, Any] | None
    verdict: Review | None = None
    imported: ImportedAnnotation | None = None


@dataclass
class OutPhoto:
    row: Photo
    findings: list[OutFinding] = field(default_factory=list)


@dataclass
class OutUnit:
    """``is_blind``: only the models' word is in it."""

    row: Inspection
    plan: str
    severity: str
    is_blind: bool
    photos: list[OutPhoto]
    verdicts: list[Review]
    comments: list[Comment]
    attributes: list[AttributeValue]


def exports_of(site: Site) -> QuerySet[ExportJob]:
    """Newest first."""
    rows: QuerySet[ExportJob] = ExportJob.objects.for_site(site).select_related("requested_by")
    return rows


def wanted_units(site: Site, wanted: InspectionFilter) -> QuerySet[Inspection]:
    """What the list shows under these filters, without copies that grade reviewers."""
    rows = narrowed(Inspection.objects.for_site(site), wanted)
    golden = Round.objects.filter(site=site, kind=RoundKind.GOLD)
    rows = rows.exclude(pk__in=GoldUnit.objects.filter(site=site).values("inspection"))
    return rows.exclude(pk__in=golden.values("inspection"))


def plans_of(rows: QuerySet[Inspection]) -> list[Plan]:
    """Plans of the units, by key."""
    ids = rows.order_by().values("plan").distinct()
    return list(Plan.objects.filter(pk__in=ids).select_related("current").order_by("key"))


def read_units(site: Site, ids: Sequence[UUID], which: str) -> list[OutUnit]:
    """The units, in the order of ``ids``, with the findings that ``which`` of ``CHOICES`` names."""
    rows = Inspection.objects.for_site(site).filter(pk__in=ids)
    found = {
        row.pk: row
        for row in rows.select_related("plan", "plan_version", "decided_by").defer("embedding")
    }
    about = _About.of(list(found))
    blind = _blind(found.values())
    return [_unit(found[pk], about, which, is_blind=pk in blind) for pk in ids if pk in found]


@dataclass
class _About:
    """Everything about some units, by unit."""

    photos: dict[UUID, list[Photo]] = field(default_factory=lambda: defaultdict(list))
    findings: dict[UUID, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    reviews: dict[UUID, list[Review]] = field(default_factory=lambda: defaultdict(list))
    comments: dict[UUID, list[Comment]] = field(default_factory=lambda: defaultdict(list))
    attributes: dict[UUID, list[AttributeValue]] = field(default_factory=lambda: defaultdict(list))
    imported: dict[UUID, ImportedAnnotation] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: Sequence[UUID]) -> _About:
        about, mine = cls(), Q(inspection__in=ids)
        ready = Photo.objects.filter(mine, status=PhotoStatus.READY)
        _put(ready.defer("embedding", "exif", "quality"), about.photos)
        in_time = Finding.objects.filter(mine, is_sealed=False).order_by("created_at", "id")
        _put(in_time, about.findings)
        said = Review.objects.filter(mine).select_related("reviewer", "undone_by")
        _put(said.order_by("created_at", "id"), about.reviews)
        written = Comment.objects.filter(mine).select_related("author", "resolved_by")
        _put(written.order_by("created_at", "id"), about.comments)
        _put(AttributeValue.objects.filter(mine).order_by("key"), about.attributes)
        origins = ImportedAnnotation.objects.filter(mine).select_related("job__requested_by")
        about.imported = {one.finding_id: one for one in origins}
        return about


def _put(rows: Iterable[Any], into: dict[UUID, list[Any]]) -> None:
    for row in rows:
        into[row.inspection_id].append(row)


def _blind(units: Iterable[Inspection]) -> set[UUID]:
    """Units of which no person's word may be told: one is sealed, or a second one may be asked."""
    rows = list(units)
    sealed = Round.objects.filter(inspection__in=[unit.pk for unit in rows])
    told = set(sealed.exclude(state=RoundState.FINAL).values_list("inspection", flat=True))
    off = Q(share=0, severity_from="", new_days__isnull=True, new_units__isnull=True)
    rules = JudgingRule.objects.filter(plan__in={unit.plan_id for unit in rows if unit.plan_id})
    ruled = set(rules.exclude(off).values_list("plan", flat=True))
    return told | {u.pk for u in rows if u.decided_by_id is None and u.plan_id in ruled}


def _unit(unit: Inspection, about: _About, which: str, *, is_blind: bool) -> OutUnit:
    reviews = about.reviews[unit.pk]
    before = _before(reviews)
    rows = [row for row in about.findings[unit.pk] if _is_current(row, unit)]
    rows = latest_of(rows, unit.current_run_id)
    if is_blind:
        seen = [row for row in rows if row.run_id in (unit.current_run_id, None)]
        rows = [_as_the_models_said(row, before) for row in seen if not _is_drawn(row)]
        reviews = []
    last = {review.finding_id: review for review in reviews if _counts(review)}
    photos = {photo.pk: OutPhoto(photo) for photo in about.photos[unit.pk]}
    for row in rows:
        if row.photo_id in photos and _is_chosen(row, which):
            photos[row.photo_id].findings.append(
                OutFinding(row, _models(row, before), last.get(row.pk), about.imported.get(row.pk))
            )
    return OutUnit(
        row=unit,
        plan=unit.plan.key if unit.plan else "",
        severity=_severity(rows) if is_blind else unit.severity,
        is_blind=is_blind,
        photos=list(photos.values()),
        verdicts=reviews,
        comments=[] if is_blind else about.comments[unit.pk],
        attributes=[a for a in about.attributes[unit.pk] if a.run_id == unit.current_run_id],
    )


def _is_current(row: Finding, unit: Inspection) -> bool:
    """As ``current_findings`` asks the database."""
    return row.run_id in (unit.current_run_id, None) or row.status != FindingStatus.OPEN


def _is_drawn(row: Finding) -> bool:
    return bool(row.source == FindingSourceChoice.PERSON)


def _counts(review: Review) -> bool:
    taken_back = getattr(review, "undone_by", None) is not None
    return bool(review.finding_id and review.kind != ReviewKind.UNDO and not taken_back)


def _before(reviews: Iterable[Review]) -> dict[UUID, dict[str, Any]]:
    """By finding, each changed column as it was before its first verdict."""
    first: dict[UUID, dict[str, Any]] = defaultdict(dict)
    for review in reviews:
        if review.finding_id:
            known = first[review.finding_id]
            for name, value in review.before.items():
                if name in SAID:
                    known.setdefault(name, value)
    return first


def _as_the_models_said(row: Finding, before: dict[UUID, dict[str, Any]]) -> Finding:
    for name, value in before.get(row.pk, {}).items():
        setattr(row, name, value)
    return row


def _models(row: Finding, before: dict[UUID, dict[str, Any]]) -> dict[str, Any] | None:
    if row.source not in BY_MODELS:
        return None
    said = {name: getattr(row, name) for name in SAID} | before.get(row.pk, {})
    said["type"] = row.model_type or said["type"]
    said["severity"] = row.model_severity or said["severity"]
    return said | {"confidence": row.confidence}


def _is_chosen(row: Finding, which: str) -> bool:
    if which == "all":
        return True
    if which == "confirmed":
        return bool(row.status == FindingStatus.CONFIRMED)
    return is_standing(row)


def _severity(rows: Iterable[Finding]) -> str:
    severities = [row.severity for row in rows if is_standing(row)]
    return max(severities, key=RANK.__getitem__, default="")
