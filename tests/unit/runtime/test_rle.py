"""Masks from outside: what is no mask is refused, and what is one is measured as by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from models_runtime import masks, rle
from models_runtime.contracts import Mask

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
PIXELS = hnp.arrays(np.bool_, SHAPES)


def runs(pixels: np.ndarray) -> rle.Runs:
    return rle.runs_of(masks.encode(pixels).counts, pixels.shape)


def pixels_of(counts: str, size: tuple[int, int]) -> np.ndarray:
    return masks.decode(Mask(size=size, counts=counts))


@given(PIXELS)
def test_text_comes_back_as_pycocotools_writes_it(pixels: np.ndarray) -> None:
    assert rle.counts_of(runs(pixels)) == masks.encode(pixels).counts


@given(PIXELS)
def test_area_and_box_are_those_of_the_pixels(pixels: np.ndarray) -> None:
    found, mask = runs(pixels), masks.encode(pixels)
    assert rle.area(found) == pixels.sum()
    box = masks.bounding_box(mask)
    assert rle.bounding_box(found, pixels.shape[0]) == (
        (box.x1, box.y1, box.x2, box.y2) if box else None
    )


@given(PIXELS)
def test_the_rectangle_around_a_mask_is_no_larger_than_opencv_finds(pixels: np.ndarray) -> None:
    longer, shorter = rle.sides(runs(pixels), pixels.shape[0])
    if not pixels.any():
        assert (longer, shorter) == (0, 0)
        return
    _, (wide, high), _ = cv2.minAreaRect(masks._corners(masks.encode(pixels)))
    assert pixels.sum() <= longer * shorter + 1e-6
    assert longer * shorter == pytest.approx(wide * high, rel=1e-3)


@pytest.mark.parametrize("angle", [0, 17, 45, 80])
def test_length_of_a_turned_bar(angle: int) -> None:
    canvas = np.zeros((300, 300), np.uint8)
    corners = cv2.boxPoints(((150, 150), (200, 20), angle)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 1)
    pixels = canvas.astype(bool)
    assert rle.sides(runs(pixels), 300)[0] == pytest.approx(
        masks.length(masks.encode(pixels)), 1e-3
    )
    assert rle.sides(runs(pixels), 300)[0] == pytest.approx(201, abs=2)


@given(PIXELS, st.data())
def test_empty_runs_inside_make_no_other_mask(pixels: np.ndarray, data: st.DataObject) -> None:
    plain = runs(pixels)
    spread: list[int] = []
    for run in plain.tolist():
        first = data.draw(st.integers(0, run))
        spread += [first, 0, run - first]
    text = rle.counts_of(np.asarray(spread))
    assert (pixels_of(text, pixels.shape) == pixels).all()
    assert rle.runs_of(text, pixels.shape).tolist() == plain.tolist()


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40), SHAPES)
def test_any_text_of_masks_is_a_mask_or_is_refused_with_words(
    text: str, size: tuple[int, int]
) -> None:
    try:
        found = rle.runs_of(text, size)
    except ValueError:
        return  # any other error fails
    again = rle.counts_of(found)
    rows = {"size": list(size), "counts": again.encode()}
    assert coco.area(rows) == rle.area(found)
    assert (pixels_of(again, size) == pixels_of(text, size)).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no runs"),
        ("é", "characters"),
        ("0 0", "characters"),
        ("~", "characters"),
        ("P", "middle of a run"),
        ("ooooooooo0", "longer than any photo"),
        ("O", "less than no pixels"),
        ("1", "covers 1 pixels, but the photo of 3 × 2 has 6"),
    ],
)
def test_what_is_no_mask_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rle.runs_of(text, (2, 3))


def test_a_mask_of_a_large_photo_is_measured_without_its_pixels() -> None:
    """50 megapixels and 8,000 columns: the runs alone are looked at."""
    height, width = 5800, 8700
    spans = [(x, 1000 + x % 50, 4000 + x % 70) for x in range(300, 8300)]
    edges = np.asarray([(x * height + top, x * height + foot) for x, top, foot in spans]).ravel()
    found = np.diff(edges, prepend=0, append=height * width)
    back = rle.runs_of(rle.counts_of(found), (height, width))
    assert rle.area(back) == sum(foot - top for _, top, foot in spans)
    assert rle.bounding_box(back, height) == (300, 1000, 8300, 4069)
    assert 8000 <= rle.sides(back, height)[0] <= 8002
