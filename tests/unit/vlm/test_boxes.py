"""From relevance maps to boxes."""

from __future__ import annotations

import numpy as np

from models_runtime.contracts import Box
from models_runtime.vlm.boxes import overlap, regions, strongest


def field(*spots: tuple[int, int, int, int, float]) -> np.ndarray:
    logits = np.full((64, 64), -6.0, np.float32)
    for x1, y1, x2, y2, value in spots:
        logits[y1:y2, x1:x2] = value
    return logits


def test_each_spot_becomes_a_box_in_photo_pixels_strongest_first() -> None:
    found = regions(field((8, 8, 16, 16, 2.0), (40, 20, 56, 28, 4.0)), 0.0, (320, 640))
    assert [round(r.peak) for r in found] == [4, 2]
    wanted = Box(x1=400, y1=100, x2=560, y2=140)
    assert overlap(found[0].box, wanted) > 0.8
    assert 0 < found[1].share < 0.03


def test_a_small_gap_does_not_split_a_crack() -> None:
    logits = field((4, 30, 60, 32, 3.0))
    logits[30:32, 30] = -2.0
    assert len(regions(logits, 0.0, (256, 256))) == 1
    logits[30:32, 26:34] = -6.0
    assert len(regions(logits, 0.0, (256, 256))) == 2


def test_nothing_above_the_cut_means_no_boxes_but_a_strongest_place() -> None:
    logits = field((10, 10, 14, 14, -1.0))
    assert regions(logits, 0.0, (256, 256)) == []
    place = strongest(logits, (256, 256))
    assert place is not None
    assert overlap(place.box, Box(x1=40, y1=40, x2=56, y2=56)) > 0.5


def test_no_more_boxes_than_asked_for() -> None:
    spots = [
        (4 + 10 * i, 4 + 10 * j, 7 + 10 * i, 7 + 10 * j, 2.0) for i in range(6) for j in range(6)
    ]
    assert len(regions(field(*spots), 0.0, (256, 256), at_most=5)) == 5


def test_overlap_of_boxes() -> None:
    one = Box(x1=0, y1=0, x2=2, y2=2)
    assert overlap(one, one) == 1.0
    assert overlap(one, Box(x1=1, y1=0, x2=3, y2=2)) == 1 / 3
    assert overlap(one, Box(x1=5, y1=5, x2=6, y2=6)) == 0.0
