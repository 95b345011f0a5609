"""Findings know their past: new, pre-existing, worse or fixed, on photos of the same asset."""

from __future__ import annotations

import numpy as np
import pytest

from models_runtime import masks
from models_runtime.compare.earlier import Change, EarlierPhoto, compare_earlier
from models_runtime.compare.history import with_history
from models_runtime.contracts import Box, Finding, FindingHistory, FindingSource, PhotoPixels
from models_runtime.plans import Severity

SMALL, LARGE = (60, 60, 90, 90), (50, 50, 120, 110)
Square = tuple[int, int, int, int]


def plate(square: Square | None = None, shift: int = 0) -> PhotoPixels:
    """A speckled plate with marks, and a dark square where asked; shifted to the right."""
    numbers = np.random.default_rng(3)
    coarse = numbers.integers(110, 200, (30, 30)).repeat(8, 0).repeat(8, 1)
    pixels = np.repeat(coarse[..., None], 3, 2).astype(np.uint8)
    if square is not None:
        x1, y1, x2, y2 = square
        pixels[y1:y2, x1:x2] = 10
    return PhotoPixels(np.ascontiguousarray(np.roll(pixels, shift, 1)), "0" * 64)


def finding(square: Square, name: str = "f1", **changes: object) -> Finding:
    x1, y1, x2, y2 = square
    mask = np.zeros((240, 240), bool)
    mask[y1:y2, x1:x2] = True
    made = Finding(
        id=name,
        type="hole",
        box=Box(x1=x1, y1=y1, x2=x2, y2=y2),
        mask=masks.encode(mask),
        area_px=int(mask.sum()),
        severity=Severity.MAJOR,
        confidence=0.8,
    )
    return made.model_copy(update=changes)


def change(now: PhotoPixels, before: EarlierPhoto) -> Change:
    found = compare_earlier(now, before)
    assert found is not None
    return found


def histories(found: tuple[Finding, ...]) -> list[FindingHistory | None]:
    return [one.history for one in found]


def test_what_was_not_there_is_new() -> None:
    seen = change(plate(SMALL), EarlierPhoto(plate()))
    assert histories(with_history([finding(SMALL)], seen)) == [FindingHistory.NEW]


def test_what_was_there_is_pre_existing_and_names_the_earlier_one() -> None:
    before = EarlierPhoto(plate(SMALL), (finding(SMALL, "old"),))
    (found,) = with_history([finding(SMALL)], change(plate(SMALL), before))
    assert (found.history, found.earlier_id) == (FindingHistory.PRE_EXISTING, "old")


def test_what_has_grown_is_worse() -> None:
    before = EarlierPhoto(plate(SMALL), (finding(SMALL, "old"),))
    (found,) = with_history([finding(LARGE)], change(plate(LARGE), before))
    assert found.history is FindingHistory.WORSE


def test_what_has_gone_is_fixed() -> None:
    before = EarlierPhoto(plate(SMALL), (finding(SMALL, "old"),))
    (found,) = with_history([], change(plate(), before))
    assert (found.history, found.earlier_id) == (FindingHistory.FIXED, "old")


def test_a_mere_change_in_the_place_of_a_repair_is_the_repair_and_nothing_worse() -> None:
    before = EarlierPhoto(plate(SMALL), (finding(SMALL, "old"),))
    seen_as_change = finding(LARGE, "c1", source=FindingSource.EARLIER)
    found = with_history([seen_as_change], change(plate(), before))
    assert histories(found) == [FindingHistory.FIXED]


def test_what_a_person_dismissed_may_go_without_being_told() -> None:
    before = EarlierPhoto(plate(SMALL), (), (finding(SMALL, "no defect"),))
    seen_as_change = finding(SMALL, "c1", source=FindingSource.EARLIER)
    assert with_history([seen_as_change], change(plate(), before)) == ()


@pytest.mark.parametrize("shift", [0, 6, 14])
def test_the_same_photo_taken_from_the_side_has_nothing_new(shift: int) -> None:
    before = EarlierPhoto(plate(SMALL), (finding(SMALL, "old"),))
    x1, y1, x2, y2 = SMALL
    moved = finding((x1 + shift, y1, x2 + shift, y2))
    found = with_history([moved], change(plate(SMALL, shift), before))
    assert histories(found) == [FindingHistory.PRE_EXISTING]
