"""The scale bar: a round length that fits, and is as long as it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.selectors.dispute_page import BAR_SHARE, scale_bar


@pytest.mark.parametrize(
    ("width", "scale", "words", "px"),
    [
        (200, 0.5, "20 mm", "40"),
        (1000, 0.01, "2 mm", "200"),
        (4000, 1.0, "1 m", "1000"),
        (300, 0.001, "0.05 mm", "50"),
    ],
)
def test_bars_by_hand(width: float, scale: float, words: str, px: str) -> None:
    bar = scale_bar(0, 0, width, width, scale)
    assert bar is not None
    assert (bar.words, bar.width) == (words, px)


@given(width=st.floats(10, 20_000), scale=st.floats(1e-3, 100))
def test_a_bar_is_a_good_part_of_the_picture_and_as_long_as_it_says(
    width: float, scale: float
) -> None:
    bar = scale_bar(0, 0, width, width, scale)
    assert bar is not None
    number, unit = bar.words.split()
    mm = float(number) * (1000 if unit == "m" else 1)
    assert float(bar.width) == pytest.approx(mm / scale, rel=0.01, abs=0.006)
    assert BAR_SHARE / 2.51 - 0.001 <= mm / scale / width <= BAR_SHARE * 1.0001


def test_without_a_scale_there_is_no_bar() -> None:
    assert scale_bar(0, 0, 100, 100, None) is None
