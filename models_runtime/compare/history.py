"""New, pre-existing, worse or fixed: findings of today against those on an earlier photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_runtime import masks
from models_runtime.compare.earlier import Change, place_of
from models_runtime.contracts import DefectCandidate, Finding, FindingHistory, FindingSource
from models_runtime.outlining import measured
from models_runtime.plans import Severity

GROWN = 1.25
"""A defect is worse where its area is this many times what it was, and its rim has changed."""

_SAME_PLACE, _SAME_EXTENT = 0.5, 0.3
"""Two findings of one type are the same where this share of the smaller one lies inside the other;
of two types, where their IoU is this much."""

_SAME_CHANGE = 0.5
_CERTAIN = 1.0
_RANK = {Severity.MINOR: 0, Severity.MAJOR: 1, Severity.CRITICAL: 2}

Place = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Here:
    """A finding and its place on the present photo."""

    finding: Finding
    place: Place


def with_history(
    findings: Sequence[Finding], change: Change, mm_per_px: float | None = None
) -> tuple[Finding, ...]:
    """Mark each finding of the present photo, and add what the earlier one had besides.

    What is not found again but looks as before is still there; what looks different is fixed. A
    finding of the earlier photo that lies outside the present one is left out: nothing is known.
    """
    earlier = _carried(change)
    here = [_Here(finding, place_of(finding, change.photo)) for finding in findings]
    matches = [None if _is_change(one) else _match(one, earlier) for one in here]
    met = {match.finding.id for match in matches if match is not None}
    rest = [_left_over(one, change, mm_per_px) for one in earlier if one.finding.id not in met]
    known = [one.place for one in here if not _is_change(one)]
    known += [change.carried(finding) for finding in change.earlier.dismissed]
    known += [place_of(f, change.photo) for f in rest if f.history is FindingHistory.FIXED]
    marked = [
        _marked(one, match, change)
        for one, match in zip(here, matches, strict=True)
        if not _told_already(one, known)
    ]
    return (*marked, *rest)


def _carried(change: Change) -> list[_Here]:
    """The defects of the earlier photo as they lie on the present one, where both show them."""
    defects = [f for f in change.earlier.findings if f.history is not FindingHistory.FIXED]
    carried = [_Here(finding, change.carried(finding)) for finding in defects]
    return [one for one in carried if change.is_shown(one.place)]


def _is_change(here: _Here) -> bool:
    """Was it found only because it looks different than before? Then it may as well be a repair:
    it is not the earlier defect."""
    return here.finding.source is FindingSource.EARLIER


def _match(here: _Here, earlier: Sequence[_Here]) -> _Here | None:
    """The earlier finding in the same place; one of the same type before all others."""
    best: tuple[tuple[bool, float], _Here] | None = None
    for one in earlier:
        alike = one.finding.type == here.finding.type
        share = _shared(here.place, one.place) if alike else _iou(here.place, one.place)
        enough = share >= (_SAME_PLACE if alike else _SAME_EXTENT)
        if enough and (best is None or (alike, share) > best[0]):
            best = ((alike, share), one)
    return best[1] if best else None


def _shared(left: Place, right: Place) -> float:
    """The share of the smaller one that lies inside the other."""
    smaller = min(int(left.sum()), int(right.sum()))
    return float((left & right).sum()) / smaller if smaller else 0.0


def _iou(left: Place, right: Place) -> float:
    either = int((left | right).sum())
    return float((left & right).sum()) / either if either else 0.0


def _marked(here: _Here, match: _Here | None, change: Change) -> Finding:
    finding, place = here.finding, here.place
    if match is None:
        return finding.model_copy(update={"history": _unmatched(place, change)})
    grown = int(place.sum()) >= GROWN * int(match.place.sum())
    graver = _RANK[finding.severity] > _RANK[match.finding.severity]
    rim = place & ~match.place if grown else place
    worse = (grown or graver) and change.has_changed(rim)
    history = FindingHistory.WORSE if worse else FindingHistory.PRE_EXISTING
    return finding.model_copy(update={"history": history, "earlier_id": match.finding.id})


def _unmatched(place: Place, change: Change) -> FindingHistory | None:
    if not change.is_shown(place):
        return None
    return FindingHistory.NEW if change.has_changed(place) else FindingHistory.PRE_EXISTING


def _left_over(one: _Here, change: Change, mm_per_px: float | None) -> Finding:
    """An earlier finding that was not found again, carried over onto the present photo."""
    is_fixed = change.has_changed(one.place)
    before, mask = one.finding, masks.encode(one.place)
    # Not found again, it is half as sure as it was; what a person has confirmed stays certain.
    unsure = not is_fixed and before.confidence < _CERTAIN
    candidate = DefectCandidate(
        type=before.type,
        box=masks.bounding_box(mask) or before.box,
        confidence=before.confidence / 2 if unsure else before.confidence,
        severity=before.severity,
        source=FindingSource.EARLIER,
    )
    history = FindingHistory.FIXED if is_fixed else FindingHistory.PRE_EXISTING
    found = measured(change.photo, candidate, mask, None, mm_per_px)
    return found.model_copy(update={"history": history, "earlier_id": before.id})


def _told_already(here: _Here, known: Sequence[Place]) -> bool:
    """Whether a change was seen just where a defect was found, or was repaired."""
    if not _is_change(here):
        return False
    return any(_shared(here.place, place) >= _SAME_CHANGE for place in known)
