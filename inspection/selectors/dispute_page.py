"""What the inspected party sees by a link: the findings meant for them, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from inspection.models import DisputeLink, Finding, Inspection, Photo, StepRun
from inspection.models.choices import FindingHistory, FindingStatus, StepName
from inspection.selectors.findings import current_findings, is_standing
from models_runtime.plans import DefectType, PlanSpec

BEFORE = {
    FindingHistory.NEW: "It is not on the earlier photo.",
    FindingHistory.PRE_EXISTING: "It was there before.",
    FindingHistory.WORSE: "It was there before and has become worse.",
    FindingHistory.FIXED: "It was there before; the place looks different now.",
}
NICE = (1, 2, 5)
BAR_SHARE = 0.3
"""Longest scale bar, as a share of the width of the picture."""
MARGIN = 0.6
"""Around the close-up, as a share of the longer side of the finding."""


@dataclass(frozen=True)
class Shot:
    """A photo and when the unit was inspected that it shows. Width and height in pixels."""

    id: UUID
    width: int
    height: int
    when: datetime

    @property
    def view(self) -> str:
        """The whole of it, as an SVG view box."""
        return f"0 0 {self.width} {self.height}"


@dataclass(frozen=True)
class Bar:
    """A scale bar: where it lies in pixels of the photo, and how long it is in words."""

    x: str
    y: str
    width: str
    height: str
    words: str


@dataclass(frozen=True)
class Drawn:
    """A part of a photo with what is drawn over it; all lengths in pixels of the photo, as text."""

    view: str
    stroke: str
    bar: Bar | None


@dataclass(frozen=True)
class ShownFinding:
    """One finding in plain words. ``mask`` is COCO RLE, drawn by the page. ``is_withdrawn``: the
    site no longer says so; ``is_gone``: the newest look at the unit doesn't show it."""

    number: int
    finding: Finding
    name: str
    definition: str
    limit: str
    size: str
    history: str
    is_withdrawn: bool
    is_gone: bool
    now: Shot | None
    before: Shot | None
    whole: Drawn | None
    close: Drawn | None
    box: dict[str, str] = field(default_factory=dict)
    mask: dict[str, Any] | None = None


@dataclass(frozen=True)
class Shown:
    """All that a link shows. ``others``: photos of the unit on which nothing was found, for a link
    to a unit without findings."""

    findings: list[ShownFinding]
    others: list[Shot]
    has_scale: bool

    @property
    def photo_ids(self) -> set[UUID]:
        """The only photos of the site that the link opens."""
        found = [shot for one in self.findings for shot in (one.now, one.before)]
        return {shot.id for shot in [*found, *self.others] if shot is not None}


def shown_by(link: DisputeLink) -> Shown:
    """Read it; in as many queries as there are findings and a few more."""
    rows = Inspection.objects.select_related("plan_version", "current_run", "site")
    unit: Inspection = rows.defer("embedding", "search").get(pk=link.inspection_id)
    spec = unit.plan_version.parsed() if unit.plan_version else None
    photos = {photo.pk: photo for photo in unit.photos.defer("embedding", "exif")}
    past = _Past(unit) if link.shows_earlier else None
    findings = [
        _shown(number, finding, unit, spec, photos.get(finding.photo_id), past)
        for number, finding in enumerate(_meant(link, unit), start=1)
    ]
    others = [] if findings else [_shot(photo, unit) for photo in photos.values() if photo.view_key]
    return Shown(findings, others, any(one.whole and one.whole.bar for one in findings))


def _meant(link: DisputeLink, unit: Inspection) -> Iterable[Finding]:
    if link.finding_id is not None:
        return Finding.objects.filter(pk=link.finding_id)
    return [finding for finding in current_findings(unit) if is_standing(finding)]


def _shown(
    number: int,
    finding: Finding,
    unit: Inspection,
    spec: PlanSpec | None,
    photo: Photo | None,
    past: _Past | None,
) -> ShownFinding:
    defect = spec.defect(finding.type) if spec else None
    now = _shot(photo, unit) if photo is not None and photo.view_key else None
    before = past.shot_of(finding, photo) if past and photo else None
    scale = _scale(finding, spec)
    is_known = finding.earlier_id is not None or before is not None
    return ShownFinding(
        number=number,
        finding=finding,
        name=defect.name if defect else finding.type.replace("_", " ").replace("-", " "),
        definition=defect.definition if defect else "",
        limit=_limit(defect),
        size=_size(finding, photo, scale),
        history=BEFORE[FindingHistory(finding.history)] if is_known else "",
        is_withdrawn=finding.status == FindingStatus.REJECTED,
        is_gone=finding.status == FindingStatus.OPEN
        and finding.run_id not in (None, unit.current_run_id),
        now=now,
        before=before,
        whole=_drawn(0, 0, now.width, now.height, scale) if now else None,
        close=_close(finding, now, scale) if now else None,
        box=_box(finding),
        mask=_mask(finding),
    )


def _shot(photo: Photo, unit: Inspection) -> Shot:
    return Shot(photo.pk, photo.width or 1, photo.height or 1, unit.created_at)


def _scale(finding: Finding, spec: PlanSpec | None) -> float | None:
    """Millimetres per pixel: by which the finding was measured, else the plan's."""
    if finding.length_mm and finding.length_px:
        return float(finding.length_mm / finding.length_px)
    return spec.mm_per_px if spec else None


def _limit(defect: DefectType | None) -> str:
    if defect is None or defect.max_area_mm2 is None:
        return ""
    return f"Up to {defect.max_area_mm2:g} mm² is tolerated."


def _size(finding: Finding, photo: Photo | None, scale: float | None) -> str:
    """In millimetres where they were measured, else by the box, else against the photo."""
    told = []
    if finding.length_mm is not None:
        told.append(f"{_number(finding.length_mm)} mm long")
    if finding.area_mm2 is not None:
        told.append(f"{_number(finding.area_mm2)} mm²")
    if told:
        return ", ".join(told)
    if scale is not None:
        width, height = finding.x2 - finding.x1, finding.y2 - finding.y1
        return f"{_number(width * scale)} × {_number(height * scale)} mm, by its frame"
    if photo is None or not photo.width:
        return ""
    share = (finding.x2 - finding.x1) / photo.width
    words = "less than 1" if share < 0.01 else f"about {share * 100:.0f}"
    return f"{words} % of the width of the photo; its scale in mm is not known"


def _number(value: float) -> str:
    return f"{value:,.1f}".replace(",", " ") if value >= 1 else f"{value:.2g}"


def _box(finding: Finding) -> dict[str, str]:
    return {
        "x": _px(finding.x1),
        "y": _px(finding.y1),
        "width": _px(finding.x2 - finding.x1),
        "height": _px(finding.y2 - finding.y1),
    }


def _mask(finding: Finding) -> dict[str, Any] | None:
    if not finding.mask_counts:
        return None
    size = [finding.mask_height, finding.mask_width]
    return {"size": size, "counts": finding.mask_counts}


def _close(finding: Finding, shot: Shot, scale: float | None) -> Drawn | None:
    """The finding with its surroundings; nothing where that is most of the photo anyway."""
    longer = max(finding.x2 - finding.x1, finding.y2 - finding.y1, 24.0)
    x1, y1 = max(0.0, finding.x1 - MARGIN * longer), max(0.0, finding.y1 - MARGIN * longer)
    x2 = min(float(shot.width), finding.x2 + MARGIN * longer)
    y2 = min(float(shot.height), finding.y2 + MARGIN * longer)
    if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) > 0.6 * shot.width * shot.height:
        return None
    return _drawn(x1, y1, x2 - x1, y2 - y1, scale)


def _drawn(x: float, y: float, width: float, height: float, scale: float | None) -> Drawn:
    view = " ".join(map(_px, (x, y, width, height)))
    return Drawn(view, _px(max(width, height) / 160), scale_bar(x, y, width, height, scale))


def scale_bar(x: float, y: float, width: float, height: float, scale: float | None) -> Bar | None:
    """A bar of 1, 2 or 5 times a power of ten mm, at most BAR_SHARE of the picture's width."""
    if scale is None or width <= 0:
        return None
    most = width * BAR_SHARE * scale
    power = 10.0 ** math.floor(math.log10(most))
    mm = max(step * power for step in NICE if step * power <= most * (1 + 1e-9))
    thick, inset = max(width, height) / 90, max(width, height) / 30
    return Bar(
        x=_px(x + inset),
        y=_px(y + height - inset - thick),
        width=_px(mm / scale),
        height=_px(thick),
        words=f"{mm / 1000:g} m" if mm >= 1000 else f"{mm:g} mm",
    )


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class _Past:
    """The earlier inspection that the current run compared with, read when first asked for."""

    def __init__(self, unit: Inspection) -> None:
        self._unit = unit
        self._read = False
        self._photos: list[tuple[Photo, Inspection]] = []
        self._placed: set[str] = set()

    def shot_of(self, finding: Finding, photo: Photo) -> Shot | None:
        """The photo on which the finding was before, else the one most like this photo among
        those that could be laid onto it."""
        if finding.earlier_id is not None:
            rows = Finding.objects.select_related("photo", "inspection")
            earlier = rows.filter(pk=finding.earlier_id, site=self._unit.site_id).first()
            if earlier is not None and earlier.photo.view_key:
                return _shot(earlier.photo, earlier.inspection)
        self._look()
        if str(photo.pk) not in self._placed or not self._photos:
            return None
        return _shot(*min(self._photos, key=lambda pair: _unlike(pair[0], photo)))

    def _look(self) -> None:
        if self._read:
            return
        self._read = True
        steps = StepRun.objects.filter(run=self._unit.current_run_id, step=StepName.SEGMENT)
        output = steps.values_list("output", flat=True).first() or {}
        said = output.get("earlier") or {}
        units = Inspection.objects.for_site(self._unit.site).defer("embedding", "search")
        unit = units.filter(pk=said.get("inspection")).first() if said else None
        if unit is None:
            return
        self._placed = set(said.get("photos", {}))
        photos = unit.photos.exclude(view_key="").defer("embedding", "exif")
        self._photos = [(photo, unit) for photo in photos]


def _unlike(left: Photo, right: Photo) -> int:
    if left.perceptual_hash is None or right.perceptual_hash is None:
        return 32
    return ((left.perceptual_hash ^ right.perceptual_hash) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
