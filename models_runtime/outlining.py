"""From what was pointed at to findings with pixels: box prompts, masks, ids, areas and lengths."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_runtime import masks
from models_runtime.contracts import (
    Box,
    Comparison,
    DefectCandidate,
    Finding,
    FindingSource,
    Mask,
    MaskCandidate,
    PhotoPixels,
    Prompt,
    Segmenter,
)
from models_runtime.plans import Severity
from models_runtime.scaling import WorkingCopy, box_iou, clipped

DEVIATION = "deviation"
"""Type of a finding that differs from golden photos, or from the earlier one, and that the
catalogue has no word for."""

HOPELESS_IOU = 0.3
"""Below this predicted IoU a mask misleads more than the box it came from."""

MOST_FINDINGS = 50

_SAME_PLACE = 0.3
_SAME_MASK = 0.8
_AS_GOOD = 0.02
"""Predicted IoUs that differ by less tell nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Pointed:
    """A candidate, with the coarse pixels of a comparison where it came from one."""

    candidate: DefectCandidate
    pixels: NDArray[np.bool_] | None = None


def merge_candidates(
    candidates: Sequence[DefectCandidate], *comparisons: Comparison | None
) -> tuple[Pointed, ...]:
    """Join what the extractor and the comparisons point at, surest first, at most 50.

    Where both point at the same place, the extractor's word for it stands, and two witnesses make
    it surer: 1 - (1 - p)(1 - q).
    """
    merged = [Pointed(c) for c in candidates]
    for comparison in comparisons:
        if comparison is not None:
            _join(merged, comparison)
    merged.sort(key=lambda p: -p.candidate.confidence)
    return tuple(merged[:MOST_FINDINGS])


def _join(merged: list[Pointed], comparison: Comparison) -> None:
    """Add a comparison's deviations, each to the candidate in its place or as one of its own. That
    a place has changed makes the defect there no likelier: it may have changed for the better."""
    changed = comparison.source is FindingSource.EARLIER
    for deviation in comparison.deviations:
        twin = _twin([p for p in merged if changed or p.pixels is None], deviation.box)
        if twin is None:
            candidate = DefectCandidate(
                type=DEVIATION,
                box=deviation.box,
                confidence=deviation.score,
                severity=Severity.MAJOR,
                source=comparison.source,
            )
            merged.append(Pointed(candidate, deviation.mask))
        elif not changed:
            surer = 1 - (1 - twin.candidate.confidence) * (1 - deviation.score)
            both = twin.candidate.model_copy(update={"confidence": surer})
            merged[merged.index(twin)] = Pointed(both, deviation.mask)


def outline_candidates(
    segmenter: Segmenter,
    photo: PhotoPixels,
    pointed: Sequence[Pointed],
    mm_per_px: float | None,
) -> tuple[Finding, ...]:
    """Segment all candidates of one photo with one embedding; doubles of a type are dropped."""
    copy = WorkingCopy.of(photo)
    inside = [(p, box) for p in pointed if (box := copy.box_in_copy(p.candidate.box))]
    if not inside:
        return ()
    embedding = segmenter.embed(copy.photo)
    answers = segmenter.decode(embedding, [Prompt(box=box) for _, box in inside])
    findings: list[Finding] = []
    for (point, _), choices in zip(inside, answers, strict=True):
        mask, sure = _best_mask(choices, copy, point.pixels)
        finding = measured(photo, point.candidate, mask, sure, mm_per_px)
        if not any(_is_double(finding, other) for other in findings):
            findings.append(finding)
    return tuple(findings)


def finding_id(photo_sha256: str, candidate: DefectCandidate) -> str:
    """Twelve hex digits that are the same for the same photo, type, source and box (whole px)."""
    box = candidate.box
    corners = ",".join(str(round(v)) for v in (box.x1, box.y1, box.x2, box.y2))
    text = f"{photo_sha256}:{candidate.type}:{candidate.source}:{corners}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _twin(among: Sequence[Pointed], box: Box) -> Pointed | None:
    """The one of them that points at the same place."""
    best = max(among, key=lambda p: box_iou(p.candidate.box, box), default=None)
    return best if best and box_iou(best.candidate.box, box) >= _SAME_PLACE else None


def _tightest_of_the_best(choices: Sequence[MaskCandidate]) -> MaskCandidate | None:
    """Of masks that the segmenter thinks as good as each other, the one with the fewest pixels: a
    mask that fills its box says no more than the box."""
    top = max((c.predicted_iou for c in choices), default=0.0)
    level = [c for c in choices if c.area > 0 and c.predicted_iou >= top - _AS_GOOD]
    return min(level, key=lambda c: c.area, default=None)


def _best_mask(
    choices: Sequence[MaskCandidate], copy: WorkingCopy, coarse: NDArray[np.bool_] | None
) -> tuple[Mask | None, float | None]:
    """The segmenter's best mask; else the comparison's coarse one; else none."""
    best = _tightest_of_the_best(choices)
    if best is not None and best.predicted_iou >= HOPELESS_IOU:
        pixels = masks.tidied(masks.decode(best.mask))
        in_photo = pixels if copy.scale == 1.0 else copy.mask_in_photo(pixels)
        return masks.encode(in_photo), best.predicted_iou
    if coarse is not None and coarse.any():
        return masks.encode(coarse), None
    return None, None


def measured(
    photo: PhotoPixels,
    candidate: DefectCandidate,
    mask: Mask | None,
    sure: float | None,
    mm_per_px: float | None,
) -> Finding:
    """A finding of this candidate and mask, with its id, area and length."""
    inside = clipped(candidate.box, photo.width, photo.height) or candidate.box
    area = masks.area(mask) if mask else round(inside.area)
    length = masks.length(mask) if mask else max(inside.x2 - inside.x1, inside.y2 - inside.y1)
    return Finding(
        id=finding_id(photo.sha256, candidate),
        type=candidate.type,
        box=(masks.bounding_box(mask) if mask else None) or inside,
        mask=mask,
        area_px=area,
        area_mm2=None if mm_per_px is None else round(area * mm_per_px**2, 4),
        length_px=round(length, 2),
        length_mm=None if mm_per_px is None else round(length * mm_per_px, 4),
        severity=candidate.severity,
        confidence=candidate.confidence,
        mask_confidence=sure,
        source=candidate.source,
    )


def _is_double(finding: Finding, other: Finding) -> bool:
    if finding.id == other.id:
        return True
    if finding.mask is None or other.mask is None or finding.type != other.type:
        return False
    return masks.iou(finding.mask, other.mask) >= _SAME_MASK
