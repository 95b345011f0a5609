"""Drawn sample photos: the same every time, and the defects lie where they are said to."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from models_runtime.samples import DEFECTS, Kind, draw_sample

CASES = [(kind, defect) for kind in get_args(Kind) for defect in (None, *DEFECTS[kind])]


@pytest.mark.parametrize(("kind", "defect"), CASES)
def test_the_same_seed_draws_the_same_photo(kind: Kind, defect: str | None) -> None:
    first, marks = draw_sample(kind, defect, 5, (120, 160))
    second, again = draw_sample(kind, defect, 5, (120, 160))
    assert first.shape == (120, 160, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert [m.box for m in marks] == [m.box for m in again]
    other, _ = draw_sample(kind, defect, 6, (120, 160))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("kind", "defect"), [c for c in CASES if c[1]])
def test_drawn_defects_lie_inside_their_boxes_and_inside_the_photo(kind: Kind, defect: str) -> None:
    seen = 0
    for seed in range(8):
        _, marks = draw_sample(kind, defect, seed, (160, 200))
        for mark in marks:
            seen += 1
            assert mark.type == defect
            rows, columns = np.nonzero(mark.mask)
            assert mark.box.x1 == columns.min()
            assert mark.box.x2 == columns.max() + 1
            assert mark.box.y1 == rows.min()
            assert mark.box.y2 == rows.max() + 1 <= 160
    assert seen >= 8


def test_sound_photos_have_no_marks() -> None:
    for kind in get_args(Kind):
        assert draw_sample(kind, None, 1, (96, 96))[1] == []


def test_a_defect_that_kind_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="dark"):
        draw_sample("garment", "dark", 1)
