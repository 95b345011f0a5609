"""What the drawing page of one photo shows: findings as shapes, what it may be compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.urls import reverse

from inspection.models import Finding, GoldenPhoto, Inspection, Photo, Review, StepRun
from inspection.models.choices import PhotoStatus, RejectReason, SeverityChoice, StepName
from inspection.selectors.earlier import earlier_inspection
from inspection.selectors.findings import current_findings
from models_runtime.plans import PlanSpec

PALETTE = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988",
    "#cc3311", "#33bbee", "#ee3377", "#999933",
)  # fmt: skip
"""Paul Tol's bright and vibrant colours: told apart by colour-blind people too."""
UNKNOWN = "#bbbbbb"
MOST_GOLDEN = 12

Shape = dict[str, Any]


def spec_of(inspection: Inspection) -> PlanSpec | None:
    """The plan by which the unit is judged."""
    version = inspection.plan_version
    return version.parsed() if version else None


def types_of(spec: PlanSpec | None) -> list[dict[str, str]]:
    """The catalogue's classes, each with its colour."""
    return [
        {
            "name": defect.key,
            "label": defect.name,
            "color": PALETTE[place % len(PALETTE)],
            "definition": defect.definition,
            "severity": defect.severity.value,
        }
        for place, defect in enumerate(spec.defects if spec else ())
    ]


def named(choices: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "label": label} for name, label in choices]


SEVERITIES = named(SeverityChoice.choices)
REASONS = named(RejectReason.choices)


def shapes(inspection: Inspection, photo: Photo, *, masks: bool = True) -> list[Shape]:
    """The findings of a photo, numbered as on the unit's page."""
    colours = {one["name"]: one["color"] for one in types_of(spec_of(inspection))}
    rows = enumerate(current_findings(inspection), start=1)
    return [
        _shape(number, row, colours, masks=masks)
        for number, row in rows
        if row.photo_id == photo.pk
    ]


def _shape(number: int, row: Finding, colours: dict[str, str], *, masks: bool) -> Shape:
    shape = {
        "id": str(row.pk),
        "number": number,
        "type": row.type,
        "severity": row.severity,
        "status": row.status,
        "history": row.history,
        "source": row.source,
        "confidence": row.confidence,
        "box": box_of(row),
        "has_mask": bool(row.mask_counts),
        "was": fingerprint(row),
        "color": colours.get(row.type, UNKNOWN),
    }
    return shape | {"mask": mask_of(row)} if masks else shape


def box_of(row: Finding) -> list[float]:
    """x, y, width and height in pixels of the photo."""
    return [row.x1, row.y1, row.x2 - row.x1, row.y2 - row.y1]


def mask_of(row: Finding) -> dict[str, Any] | None:
    if not row.mask_counts:
        return None
    return {"size": [row.mask_height, row.mask_width], "counts": row.mask_counts}


def fingerprint(row: Finding) -> str:
    """Changes with everything that a person can change of a finding: who saves says by it what
    they had before them."""
    said = [row.type, row.severity, row.status, box_of(row), row.mask_counts]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]


GIVEN = (
    "type", "severity", "x1", "y1", "x2", "y2", "mask_counts", "mask_height", "mask_width",
)  # fmt: skip
"""Columns that the models give and a person may change."""


def models_word(finding: Finding) -> dict[str, Any] | None:
    """Class, severity, box and mask as the models gave them, where the row says something else."""
    said: dict[str, Any] = {}
    rows = Review.objects.filter(finding=finding).order_by("created_at", "id")
    for before in rows.values_list("before", flat=True):
        said = before | said
    now = {name: getattr(finding, name) for name in GIVEN}
    given = {name: said.get(name, value) for name, value in now.items()}
    if finding.run_id is None or given == now:
        return None
    model = Finding(**given)
    return {
        "type": model.type,
        "severity": model.severity,
        "box": box_of(model),
        "mask": mask_of(model),
    }


def earlier_shapes(inspection: Inspection, photo: Photo) -> dict[str, Any] | None:
    """The photo of the unit's earlier inspection that looks most like this one, with what is said
    of it; None where the unit has no past."""
    before = earlier_inspection(inspection)
    if before is None:
        return None
    rows = before.photos.filter(status=PhotoStatus.READY).exclude(view_key="")
    found = min(
        rows.defer("embedding", "exif"),
        key=lambda other: _unlike(photo.perceptual_hash, other.perceptual_hash),
        default=None,
    )
    if found is None:
        return None
    return {
        "photo": {
            "id": str(found.pk),
            "view_url": view_url(found),
            "width": found.width,
            "height": found.height,
        },
        "findings": shapes(before, found),
        "taken_at": before.created_at.isoformat(),
    }


def _unlike(left: int | None, right: int | None) -> int:
    """Bits that differ between two hashes, half of them where one is unknown."""
    if left is None or right is None:
        return 32
    return ((left ^ right) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def golden_views(inspection: Inspection) -> list[dict[str, str]]:
    """Photos of sound units to lay beside this one."""
    if inspection.plan is None:
        return []
    rows = GoldenPhoto.objects.filter(site=inspection.site_id, plan=inspection.plan_id)
    return [
        {"view_url": _golden_url(inspection.plan.key, row.pk), "label": row.name}
        for row in rows.order_by("created_at")[:MOST_GOLDEN]
    ]


def _golden_url(plan: str, pk: UUID) -> str:
    return reverse("golden-file", args=[plan, pk])


def heat_key(inspection: Inspection, photo: Photo) -> str:
    """Where the picture lies of what differs from the golden photos, "" where there is none."""
    steps = StepRun.objects.filter(run=inspection.current_run_id, step=StepName.SEGMENT)
    output = steps.values_list("output", flat=True).first() or {}
    return str((output.get("heat") or {}).get(str(photo.pk), ""))


def view_url(photo: Photo) -> str:
    return reverse("photo-file", args=[photo.pk, "view"])
