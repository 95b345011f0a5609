"""Masks survive the way into COCO run-length encoding and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_runtime import masks
from models_runtime.contracts import Box, Mask

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(hnp.arrays(np.bool_, SHAPES))
def test_mask_comes_back_as_it_was(pixels: np.ndarray) -> None:
    mask = masks.encode(pixels)
    assert mask.size == pixels.shape
    assert (masks.decode(mask) == pixels).all()
    assert masks.area(mask) == pixels.sum()


@given(hnp.arrays(np.bool_, (13, 17)), hnp.arrays(np.bool_, (13, 17)))
def test_iou_is_that_of_the_pixels(left: np.ndarray, right: np.ndarray) -> None:
    either = (left | right).sum()
    expected = (left & right).sum() / either if either else 1.0
    assert masks.iou(masks.encode(left), masks.encode(right)) == pytest.approx(expected)


@given(hnp.arrays(np.bool_, SHAPES))
def test_corners_have_the_hull_of_all_pixels(pixels: np.ndarray) -> None:
    rows, columns = np.nonzero(pixels)
    every = [(x + right, y + down) for x, y in zip(columns, rows, strict=True)
             for right in (0, 1) for down in (0, 1)]  # fmt: skip
    corners = masks._corners(masks.encode(pixels))
    assert hull(corners) == hull(np.array(every, dtype=np.float32).reshape(-1, 2))


def hull(points: np.ndarray) -> set[tuple[float, float]]:
    return {tuple(p) for p in cv2.convexHull(points)[:, 0].tolist()} if len(points) else set()


def test_length_is_the_longer_side_however_the_defect_lies() -> None:
    pixels = np.zeros((200, 300), bool)
    assert masks.length(masks.encode(pixels)) == 0.0
    pixels[10:13, 20:70] = True
    assert masks.length(masks.encode(pixels)) == 50.0
    slanted = np.zeros((200, 300), np.uint8)
    cv2.line(slanted, (50, 40), (170, 130), 1, 3)
    assert masks.length(masks.encode(slanted.astype(bool))) == pytest.approx(150, abs=5)
    whole = np.ones((200, 300), bool)
    assert masks.length(masks.encode(whole)) == 300.0


def test_large_runs_are_packed_right() -> None:
    pixels = np.zeros((3000, 4000), bool)
    pixels[100:2900, 1:3999] = True
    pixels[5, 5] = True
    assert (masks.decode(masks.encode(pixels)) == pixels).all()


def test_box_is_the_tightest_and_none_for_an_empty_mask() -> None:
    pixels = np.zeros((20, 30), bool)
    assert masks.bounding_box(masks.encode(pixels)) is None
    pixels[3:7, 10:12] = True
    assert masks.bounding_box(masks.encode(pixels)) == Box(x1=10, y1=3, x2=12, y2=7)


def test_runs_that_do_not_fit_the_size_are_refused() -> None:
    mask = masks.encode(np.ones((4, 4), bool))
    with pytest.raises(ValueError, match="don't add up"):
        masks.decode(Mask(size=(5, 5), counts=mask.counts))


def test_masks_of_different_sizes_do_not_compare() -> None:
    left, right = masks.encode(np.ones((2, 3), bool)), masks.encode(np.ones((3, 2), bool))
    with pytest.raises(ValueError, match="differ in size"):
        masks.iou(left, right)


def test_specks_and_pinholes_go_and_what_is_large_stays() -> None:
    pixels = np.zeros((60, 80), bool)
    pixels[5:35, 5:35] = True
    pixels[40:55, 50:75] = True
    clean = pixels.copy()
    pixels[2, 70] = pixels[50, 10] = True
    pixels[20, 20] = False
    assert (masks.tidied(pixels) == clean).all()


@given(hnp.arrays(np.bool_, SHAPES))
def test_a_tidied_mask_has_its_largest_part_and_is_empty_only_where_it_was(
    pixels: np.ndarray,
) -> None:
    tidy = masks.tidied(pixels)
    assert tidy.shape == pixels.shape
    assert tidy.any() == pixels.any()
    assert (tidy & pixels).any() == pixels.any()
