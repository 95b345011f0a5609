"""From low-resolution logits to a mask of the whole photo."""

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


def test_bands_give_the_same_mask_as_one_piece(monkeypatch):
    logits = np.random.default_rng(3).standard_normal((20, 20)).astype(np.float32)
    whole = raster.candidate(logits, (20.0, 20.0), (211, 307), 0.5)
    monkeypatch.setattr(raster, "BAND_PIXELS", 900)
    assert raster.candidate(logits, (20.0, 20.0), (211, 307), 0.5) == whole


@pytest.mark.parametrize(("raw", "kept"), [(-0.2, 0.0), (0.4, 0.4), (1.3, 1.0)])
def test_the_predicted_iou_stays_a_probability(raw, kept):
    found = raster.candidate(np.ones((2, 2), np.float32), (2.0, 2.0), (4, 4), raw)
    assert found.predicted_iou == kept
