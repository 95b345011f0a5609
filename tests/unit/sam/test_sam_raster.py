"""From low-resolution logits to a mask of the whole photo."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_runtime import masks
from models_runtime.sam import raster

LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([-3.0, -0.5, 0.25, 2.0]),
)
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def plainly(logits, extent, size):
    """The same upsampling over the whole photo, written as directly as can be."""

    def weights(cells, length, used):
        at = np.clip((np.arange(length) + 0.5) * used / length - 0.5, 0, cells - 1)
        low = np.floor(at).astype(int)
        matrix = np.zeros((length, cells), np.float32)
        matrix[np.arange(length), low] += 1 - (at - low).astype(np.float32)
        matrix[np.arange(length), np.minimum(low + 1, cells - 1)] += (at - low).astype(np.float32)
        return matrix

    down = weights(logits.shape[0], size[0], extent[0])
    along = weights(logits.shape[1], size[1], extent[1])
    return down @ logits @ along.T


@given(LOGITS, SIZES)
@settings(max_examples=60, deadline=None)
def test_the_mask_is_the_upsampled_logits_above_zero(logits, size):
    found = raster.candidate(logits, logits.shape, size, 0.5)
    full = plainly(logits, logits.shape, size)
    sure = np.abs(full) > 1e-4
    assert found.mask.size == size
    assert np.array_equal(masks.decode(found.mask)[sure], (full > 0)[sure])


@given(LOGITS, SIZES)
@settings(max_examples=40, deadline=None)
def test_area_and_box_are_those_of_the_mask(logits, size):
    found = raster.candidate(logits, logits.shape, size, 0.5)
    assert found.area == masks.area(found.mask)
    assert found.box == masks.bounding_box(found.mask)


@given(LOGITS, SIZES)
@settings(max_examples=40, deadline=None)
def test_the_run_lengths_are_those_that_pycocotools_would_write(logits, size):
    found = raster.candidate(logits, logits.shape, size, 0.5)
    assert found.mask == masks.encode(masks.decode(found.mask))


def test_cells_outside_the_photo_do_not_reach_into_it():
    logits = np.full((8, 8), -1.0, np.float32)
    logits[:, 6:] = 5.0
    found = raster.candidate(logits[:, :4], (8.0, 4.0), (80, 40), 0.5)
    assert found.area == 0
    assert found.box is None


@given(LOGITS, SIZES, st.floats(0.3, 1), st.floats(0.3, 1))
@settings(max_examples=80, deadline=None)
def test_a_photo_that_fills_only_a_part_of_the_grid_is_cut_out_of_it(logits, size, tall, wide):
    extent = (logits.shape[0] * tall, logits.shape[1] * wide)
    used = logits[: int(np.ceil(extent[0])), : int(np.ceil(extent[1]))]
    full = plainly(used, extent, size)
    found = raster.candidate(logits, extent, size, 0.5)
    sure = np.abs(full) > 1e-4
    assert np.array_equal(masks.decode(found.mask)[sure], (full > 0)[sure])
    assert found.mask == masks.encode(masks.decode(found.mask))


def test_a_large_photo_gets_the_mask_of_the_plain_way():
    noise = np.random.default_rng(3).standard_normal((30, 40)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    found = raster.candidate(smooth, (30.0, 40.0), (1500, 2000), 0.5)
    truth = masks.encode(plainly(smooth, smooth.shape, (1500, 2000)) > 0)
    assert masks.iou(found.mask, truth) > 0.9999


@pytest.mark.parametrize(("raw", "kept"), [(-0.2, 0.0), (0.4, 0.4), (1.3, 1.0)])
def test_the_predicted_iou_stays_a_probability(raw, kept):
    found = raster.candidate(np.ones((2, 2), np.float32), (2.0, 2.0), (4, 4), raw)
    assert found.predicted_iou == kept
