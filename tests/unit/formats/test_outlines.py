"""Any mask comes back the same from its polygons, read the way that readers of the format do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from models_runtime.formats.outlines import centre_polygon, edge_polygons, flat, part_count

# pycocotools' own decoder warns under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pycocotools")
MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.bool_, shape, elements=st.booleans())
)


def filled_by_coco(polygons, shape):
    rles = coco.frPyObjects([flat(ring) for ring in polygons], *shape)
    rle = coco.merge(rles)
    counts = coco.decode([rle])
    return counts[:, :, 0].astype(bool)


def filled_by_opencv(ring, shape):
    out = np.zeros(shape, np.uint8)
    cv2.fillPoly(out, [np.asarray(ring, np.int32)], 1)
    return out.astype(bool)


def ring_shaped() -> np.ndarray:
    """Two parts; one has two holes, and in one of these lies a third part."""
    mask = np.zeros((40, 60), bool)
    mask[4:36, 4:40] = True
    mask[8:30, 8:24] = False
    mask[12:20, 12:20] = True
    mask[10:14, 30:36] = False
    mask[5:9, 50:58] = True
    return mask


@settings(max_examples=300, deadline=None)
@given(MASKS)
def test_polygons_on_the_edges_of_pixels_give_the_same_mask_in_coco(mask):
    if not mask.any():
        assert edge_polygons(mask) == []
        return
    assert np.array_equal(filled_by_coco(edge_polygons(mask), mask.shape), mask)


@settings(max_examples=300, deadline=None)
@given(MASKS)
def test_polygons_of_pixels_give_the_same_mask_in_opencv_but_for_lines_between_parts(mask):
    if not mask.any():
        assert centre_polygon(mask) == []
        return
    back = filled_by_opencv(centre_polygon(mask), mask.shape)
    assert (back | ~mask).all(), "no pixel of the mask is lost"
    if part_count(mask) == 1:
        assert np.array_equal(back, mask)


def test_large_ragged_masks_come_back_too():
    noise = np.random.default_rng(3).normal(size=(700, 900)).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), 9) > 0.01
    assert np.array_equal(filled_by_coco(edge_polygons(mask), mask.shape), mask)
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for part in range(1, min(count, 12)):
        assert np.array_equal(
            filled_by_opencv(centre_polygon(parts == part), mask.shape), parts == part
        )


def test_holes_and_parts_in_holes_are_kept():
    mask = ring_shaped()
    polygons = edge_polygons(mask)
    assert len(polygons) == 3
    assert np.array_equal(filled_by_coco(polygons, mask.shape), mask)
    back = filled_by_opencv(centre_polygon(mask), mask.shape)
    both, either = (back & mask).sum(), (back | mask).sum()
    assert both / either > 0.97, "only the two lines between the three parts are added"
    assert edge_polygons(np.zeros((3, 3), bool)) == []
