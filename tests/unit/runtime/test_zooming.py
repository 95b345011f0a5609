"""A closer look: the window holds what is meant, and masks come back to where they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_runtime import masks, rle, zooming
from models_runtime.contracts import Box, Click, Mask, MaskCandidate, PhotoPixels, Prompt
from models_runtime.zooming import Window

SIZE = (3000, 4000)


@given(
    st.integers(1, 1500), st.integers(1, 1500), st.floats(0, 2499), st.floats(0, 1499),
    st.sampled_from([256, 320, 1024]),
)  # fmt: skip
def test_a_window_holds_what_is_meant_and_lies_in_the_photo(
    wide: int, high: int, x: float, y: float, least: int
) -> None:
    extent = Box(x1=x, y1=y, x2=x + wide, y2=y + high)
    window = zooming.window_for(extent, SIZE, least)
    if window is None:
        # The next smaller window would hold less than there should be around it.
        assert zooming.ROOM * max(wide, high) > zooming.WORTH_IT * 4000 / 2 or least > 1000
        return
    assert 0 <= window.x <= extent.x1
    assert 0 <= window.y <= extent.y1
    assert extent.x2 <= window.x + window.width <= 4000
    assert extent.y2 <= window.y + window.height <= 3000
    prompt = Prompt(box=extent, clicks=(Click(x=x, y=y),))
    moved = zooming.prompt_in(prompt, window)
    assert moved is not None
    assert moved.box is not None
    assert moved.box.x1 == pytest.approx(x - window.x)
    assert moved.clicks[0].y == pytest.approx(y - window.y)


def test_a_small_photo_is_seen_as_a_whole() -> None:
    assert zooming.window_for(Box(x1=1, y1=1, x2=9, y2=9), (300, 400), 320) is None


def test_clicks_near_each_other_share_a_window_or_two() -> None:
    windows = {
        zooming.window_for(Box(x1=1000 + d, y1=900 - d, x2=1060 + d, y2=950 - d), SIZE, 320)
        for d in range(0, 20, 4)
    }
    assert len(windows) <= 2


def test_a_prompt_that_a_window_does_not_hold_is_left_to_the_whole_photo() -> None:
    window = Window(100, 100, 320, 320)
    outside = Click(x=10, y=10)
    assert zooming.prompt_in(Prompt(clicks=(outside,)), window) is None
    assert zooming.prompt_in(Prompt(box=Box(x1=50, y1=50, x2=200, y2=200)), window) is None
    negative = Prompt(clicks=(Click(x=150, y=150), Click(x=10, y=10, positive=False)))
    assert zooming.prompt_in(negative, window) == Prompt(clicks=(Click(x=50, y=50),))
    only_negative = Prompt(clicks=(Click(x=150, y=150, positive=False),))
    assert zooming.extent_of(only_negative) is None


@given(hnp.arrays(np.bool_, (9, 7)), st.integers(0, 13), st.integers(0, 11))
def test_a_mask_of_a_window_lies_where_the_window_does(pixels: np.ndarray, x: int, y: int) -> None:
    whole = np.zeros((20, 20), bool)
    whole[y : y + 9, x : x + 7] = pixels
    window = Window(x, y, 7, 9)
    runs = zooming.placed(pixels, window, (20, 20))
    assert rle.counts_of(runs) == masks.encode(whole).counts


def test_what_is_cut_out_and_put_back_is_the_same_place() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    window = Window(20, 10, 40, 30)
    cut = zooming.cut_out(PhotoPixels(pixels, "a"), window)
    assert (cut.pixels == pixels[10:40, 20:60]).all()
    inside = np.zeros((30, 40), bool)
    inside[5:25, 10:30] = True
    inside[15, 20] = False  # and a pinhole, which is filled
    inside[:2, :2] = True  # a speck, which goes
    mask = masks.encode(inside)
    found = MaskCandidate(mask=mask, predicted_iou=0.7, area=404, box=masks.bounding_box(mask))
    back = zooming.in_photo(found, window, (60, 80))
    assert back.box == Box(x1=30, y1=15, x2=50, y2=35)
    assert (back.area, back.predicted_iou) == (400, 0.7)
    nothing = MaskCandidate(
        mask=Mask(size=(30, 40), counts=masks.encode(np.zeros((30, 40), bool)).counts),
        predicted_iou=0.1, area=0, box=None,
    )  # fmt: skip
    assert zooming.in_photo(nothing, window, (60, 80)).box is None
