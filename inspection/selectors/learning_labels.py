"""Verdicts of people as labels: only the word in force counts, and every label knows its verdict.

A verdict that was taken back, overruled by a later one, or is still sealed in a round of blind
reviews is not the word in force: the unit's or finding's row says something else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from inspection.models import Finding, GoldUnit, Inspection, Photo, Plan, Review
from inspection.models.choices import (
    DispositionChoice,
    FindingHistory,
    FindingSourceChoice,
    FindingStatus,
    InspectionStatus,
    PhotoStatus,
    ReviewKind,
)
from inspection.models.learning import Part
from models_runtime.plans import SEVERITY_ORDER, PlanSpec, Severity
from models_runtime.risk.dial import part_of

MOST_UNITS = 5000
"""The newest judged units that one job looks at."""
HELD_BACK = 0.3
"""Share of the units, by a hash of the unit, that no version is fitted on."""
ABOUT_FINDINGS = (
    ReviewKind.CONFIRM_FINDING,
    ReviewKind.REJECT_FINDING,
    ReviewKind.CHANGE_FINDING,
)


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """``is_defective``: None where the verdicts don't tell."""

    id: UUID
    width: int
    height: int
    is_defective: bool | None


@dataclass(frozen=True, slots=True)
class JudgedFinding:
    """A finding of the extractor, as it had said it, and whether a person says that it is one."""

    row: Finding
    review: Review
    is_defect: bool


@dataclass(frozen=True, slots=True)
class JudgedUnit:
    """``key``: the same for all photos of one unit, so that they are in one part. ``review`` is
    None for a gold unit, whose answer is known. ``severity``: place of the true worst one among
    none, minor, major, critical; None where the verdicts don't tell."""

    inspection: Inspection
    key: str
    part: Part
    verdict: str
    judged_at: datetime
    review: Review | None
    photos: tuple[JudgedPhoto, ...]
    rows: tuple[Finding, ...]
    findings: tuple[JudgedFinding, ...]
    severity: int | None

    @property
    def is_defective(self) -> bool:
        return self.verdict != DispositionChoice.ACCEPT


@dataclass
class _Rows:
    """Everything about some units, by unit."""

    photos: dict[UUID, list[Photo]] = field(default_factory=lambda: defaultdict(list))
    findings: dict[UUID, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    decided: dict[UUID, Review] = field(default_factory=dict)
    judged: dict[UUID, Review] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: Sequence[UUID]) -> _Rows:
        rows = cls()
        ready = Photo.objects.filter(inspection__in=ids, status=PhotoStatus.READY)
        for photo in ready.defer("embedding", "exif", "quality"):
            rows.photos[photo.inspection_id].append(photo)
        for finding in Finding.objects.filter(inspection__in=ids).defer("mask_counts"):
            rows.findings[finding.inspection_id].append(finding)
        kinds = (ReviewKind.DISPOSITION, *ABOUT_FINDINGS)
        standing = Review.objects.filter(inspection__in=ids, undone_by__isnull=True)
        reviews = standing.filter(kind__in=kinds)
        for review in reviews.order_by("created_at", "id"):  # the latest of each stays
            if review.kind == ReviewKind.DISPOSITION:
                rows.decided[review.inspection_id] = review
            elif review.finding_id:
                rows.judged[review.finding_id] = review
        return rows


def judged_units(plan: Plan) -> list[JudgedUnit]:
    """Units of the plan with a verdict in force, newest first, and its gold units."""
    spec = _spec(plan)
    gold = {one.source_id: one for one in _gold(plan)}
    copies = GoldUnit.objects.filter(plan=plan).values("inspection")
    decided = Inspection.objects.filter(
        site=plan.site_id, plan=plan, status=InspectionStatus.DECIDED, decided_by__isnull=False
    ).exclude(pk__in=copies)
    units = list(_plain(decided.exclude(pk__in=list(gold)))[:MOST_UNITS])
    known = list(_plain(Inspection.objects.filter(site=plan.site_id, pk__in=list(gold))))
    rows = _Rows.of([unit.pk for unit in (*units, *known)])
    made = [_judged(unit, rows, spec) for unit in units]
    made += [_golden(unit, gold[unit.pk], rows, spec) for unit in known]
    return [one for one in made if one is not None and one.photos]


def part_of_unit(key: str) -> Part:
    """The same for ever for the same unit."""
    return Part.HELD if part_of(key, "learning") < HELD_BACK else Part.TRAIN


def _gold(plan: Plan) -> Iterable[GoldUnit]:
    rows: Iterable[GoldUnit] = GoldUnit.objects.filter(plan=plan, is_active=True)
    return rows


def _plain(rows: QuerySet[Inspection]) -> QuerySet[Inspection]:
    return rows.defer("embedding", "search").order_by("-decided_at", "-id")


def _spec(plan: Plan) -> PlanSpec:
    if plan.current is None:
        raise ValueError(f"plan {plan.pk} has no version")
    return plan.current.parsed()


def _judged(unit: Inspection, rows: _Rows, spec: PlanSpec) -> JudgedUnit | None:
    review = rows.decided.get(unit.pk)
    if review is None or not _in_force(unit, review):
        return None
    key = _key(unit, rows)
    return _unit(unit, rows, spec, key, part_of_unit(key), unit.disposition, review)


def _golden(unit: Inspection, gold: GoldUnit, rows: _Rows, spec: PlanSpec) -> JudgedUnit:
    return _unit(unit, rows, spec, _key(unit, rows), Part.GOLD, gold.disposition, None)


def _in_force(unit: Inspection, review: Review) -> bool:
    said = review.after.get("disposition")
    return bool(said == unit.disposition and review.reviewer_id == unit.decided_by_id)


def _key(unit: Inspection, rows: _Rows) -> str:
    """By what people call the unit, else by its photos: the same file sent twice is one unit."""
    if unit.reference.strip():
        return unit.reference.strip().casefold()
    return min((photo.sha256 for photo in rows.photos[unit.pk]), default=str(unit.pk))


def _unit(
    unit: Inspection,
    rows: _Rows,
    spec: PlanSpec,
    key: str,
    part: Part,
    verdict: str,
    review: Review | None,
) -> JudgedUnit:
    found = rows.findings[unit.pk]
    standing = [row for row in found if _stands(row)]
    photos = tuple(
        JudgedPhoto(
            photo.pk,
            photo.width or 1,
            photo.height or 1,
            _photo_truth(photo, standing, spec, verdict, alone=len(rows.photos[unit.pk]) == 1),
        )
        for photo in rows.photos[unit.pk]
    )
    return JudgedUnit(
        inspection=unit,
        key=key,
        part=part,
        verdict=verdict,
        judged_at=review.created_at if review else unit.created_at,
        review=review,
        photos=photos,
        rows=tuple(found),
        findings=tuple(_judged_findings(found, rows)),
        severity=_severity(standing, spec, verdict),
    )


def _stands(row: Finding) -> bool:
    if row.status == FindingStatus.OPEN and row.history == FindingHistory.FIXED:
        return False
    return bool(row.status != FindingStatus.REJECTED)


def _photo_truth(
    photo: Photo, standing: Sequence[Finding], spec: PlanSpec, verdict: str, *, alone: bool
) -> bool | None:
    """Of a unit that was not accepted, it is known which photo shows why only by its findings."""
    here = [row for row in standing if row.photo_id == photo.pk]
    if any(row.status == FindingStatus.CONFIRMED or _by_person(row) for row in here):
        return True
    if verdict == DispositionChoice.ACCEPT:
        return None if any(_accepted(row, spec) for row in here) else False
    if verdict == DispositionChoice.HOLD:
        return None
    return True if alone else None


def _by_person(row: Finding) -> bool:
    return bool(row.source in (FindingSourceChoice.PERSON, FindingSourceChoice.IMPORT))


def _accepted(row: Finding, spec: PlanSpec) -> bool:
    """Whether the plan accepts a unit with this finding: then "accept" does not deny it."""
    return bool(getattr(spec.policy, row.severity) == "accept")


def _judged_findings(found: Sequence[Finding], rows: _Rows) -> Iterable[JudgedFinding]:
    for row in found:
        review = rows.judged.get(row.pk)
        if review is None or row.source != FindingSourceChoice.VLM:
            continue
        if review.after.get("status") == row.status:
            same = row.model_type in ("", row.type)
            yield JudgedFinding(row, review, row.status == FindingStatus.CONFIRMED and same)


def _severity(standing: Sequence[Finding], spec: PlanSpec, verdict: str) -> int | None:
    if verdict == DispositionChoice.ACCEPT:
        return 0
    if verdict == DispositionChoice.HOLD:
        return None
    places = [1 + SEVERITY_ORDER.index(Severity(row.severity)) for row in standing]
    if places:
        return max(places)
    fitting = [s for s in SEVERITY_ORDER if getattr(spec.policy, s.value) == verdict]
    return 1 + SEVERITY_ORDER.index(fitting[0]) if fitting else None
