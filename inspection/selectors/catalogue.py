"""The defect catalogue with examples, and what reviewers rejected as no defect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.urls import reverse

from inspection.models import Finding, GoldenPhoto, Inspection, PlanVersion, Review, Site
from inspection.models.choices import FindingStatus, RejectReason, ReviewKind
from inspection.selectors.rounds import IN_FORCE
from models_runtime.plans import DefectType

EXAMPLES = 4
GOLDEN = 4
ROOM = 0.35
"""So much of a crop's longer side is shown around the box."""
PAGE = 24


@dataclass(frozen=True)
class Crop:
    """A part of a photo, drawn by the browser: ``view`` is x y width height in pixels of a photo of
    ``width`` × ``height``; ``box`` the finding in it."""

    address: str
    width: int
    height: int
    view: str
    box: tuple[float, float, float, float]
    href: str
    label: str

    @property
    def stroke(self) -> float:
        """A line of about a hundredth of the crop."""
        return max(0.5, float(self.view.split()[2]) / 90)


@dataclass
class Entry:
    """A class of the catalogue. ``bad``: confirmed findings; ``good``: places that look like it but
    were rejected, with the reason."""

    defect: DefectType
    bad: list[Crop] = field(default_factory=list)
    good: list[Crop] = field(default_factory=list)


@dataclass(frozen=True)
class Catalogue:
    """What counts as a defect by a plan's version."""

    version: PlanVersion
    entries: list[Entry]
    golden: list[GoldenPhoto]
    mm_per_px: float | None


def catalogue_of(inspection: Inspection, selected: str = "") -> Catalogue | None:
    """The catalogue by which a unit is judged, the selected class first; None without a plan.

    Examples come from other units of the plan on which no word is sealed, so that they can't tell
    anything of this one.
    """
    version = inspection.plan_version
    if version is None:
        return None
    spec = version.parsed()
    ordered = sorted(spec.defects, key=lambda defect: defect.key != selected)
    entries = [_entry(inspection, defect) for defect in ordered]
    golden = list(
        GoldenPhoto.objects.filter(plan=inspection.plan_id).order_by("created_at")[:GOLDEN]
    )
    return Catalogue(version, entries, golden, spec.mm_per_px)


def _entry(inspection: Inspection, defect: DefectType) -> Entry:
    rows = Finding.objects.filter(
        IN_FORCE, inspection__plan=inspection.plan_id, type=defect.key, photo__view_key__gt=""
    ).exclude(inspection=inspection.pk)
    related = rows.select_related("photo").order_by("-created_at")
    bad = related.filter(status=FindingStatus.CONFIRMED)[:EXAMPLES]
    good = list(related.filter(status=FindingStatus.REJECTED)[:EXAMPLES])
    why = _reasons(finding.pk for finding in good)
    return Entry(
        defect,
        [crop_of(finding, "") for finding in bad],
        [crop_of(finding, why.get(finding.pk, "")) for finding in good],
    )


def _reasons(findings: Iterable[UUID]) -> dict[UUID, str]:
    rows = Review.objects.filter(finding__in=list(findings), kind=ReviewKind.REJECT_FINDING)
    found = rows.order_by("created_at").values_list("finding", "reason")
    return {finding: RejectReason(reason).label for finding, reason in found if reason}


def crop_of(finding: Finding, label: str) -> Crop:
    """A square around the finding, within the photo."""
    photo = finding.photo
    width, height = photo.width or 1, photo.height or 1
    longer = max(finding.x2 - finding.x1, finding.y2 - finding.y1)
    side = min(max(longer * (1 + 2 * ROOM), 48), width, height)
    x = min(max(0, (finding.x1 + finding.x2 - side) / 2), width - side)
    y = min(max(0, (finding.y1 + finding.y2 - side) / 2), height - side)
    return Crop(
        address=reverse("photo-file", args=[photo.pk, "view"]),
        width=width,
        height=height,
        view=f"{x:.1f} {y:.1f} {side:.1f} {side:.1f}",
        box=(finding.x1, finding.y1, finding.x2 - finding.x1, finding.y2 - finding.y1),
        href=f"{reverse('inspection', args=[finding.inspection_id])}#finding-{finding.pk}",
        label=label,
    )


@dataclass(frozen=True)
class Rejection:
    """A finding that a person rejected, and why."""

    review: Review
    crop: Crop | None
    name: str


def rejections(site: Site, reason: str = "", plan: str = "", page: int = 1) -> list[Rejection]:
    """One page and one row more, newest first."""
    rows = _rejections(site, plan)
    if reason:
        rows = rows.filter(reason=reason)
    start = (page - 1) * PAGE
    related = rows.select_related("finding__photo", "inspection__plan_version", "reviewer")
    return [_rejection(row) for row in related.order_by("-created_at")[start : start + PAGE + 1]]


def _rejection(review: Review) -> Rejection:
    finding = review.finding
    if finding is None:
        return Rejection(review, None, "")
    version = review.inspection.plan_version
    defect = version.parsed().defect(finding.type) if version else None
    crop = crop_of(finding, "") if finding.photo.view_key else None
    return Rejection(review, crop, defect.name if defect else finding.type)


def _rejections(site: Site, plan: str) -> QuerySet[Review]:
    rows: QuerySet[Review] = Review.objects.filter(
        IN_FORCE, site=site, kind=ReviewKind.REJECT_FINDING
    )
    return rows.filter(inspection__plan__key=plan) if plan else rows


def rejection_counts(site: Site, plan: str = "") -> dict[str, int]:
    """How many by reason; "" for those from before there were reasons."""
    counted: Any = _rejections(site, plan).order_by().values_list("reason").annotate(Count("pk"))
    return dict(counted)
