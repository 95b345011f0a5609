"""Where each place of a photo lies in an earlier one, and what to do where that can't be told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.compare.earlier import EarlierPhoto, compare_earlier, nearest
from models_runtime.compare.registration import register
from models_runtime.contracts import PhotoPixels, Pixels

HEIGHT, WIDTH = 240, 320


def scene(seed: int) -> Pixels:
    """Shapes on a surface, such as a photo of a panel shows."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 170, (6, 8, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        centre = (int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.circle(image, centre, int(rng.integers(4, 18)), colour, -1)
    return np.asarray(image, dtype=np.uint8)


def warped(pixels: Pixels, matrix: np.ndarray) -> Pixels:
    size = (pixels.shape[1], pixels.shape[0])
    moved = cv2.warpPerspective(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def photo(pixels: Pixels) -> PhotoPixels:
    return PhotoPixels(pixels, "a" * 64)


def off_by(found: np.ndarray, true: np.ndarray) -> float:
    """The largest distance in pixels between two mappings, inside the photo."""
    inside = [(x, y, 1) for x in (80, 240) for y in (60, 180)]
    ends = [np.array([m @ p for p in inside]) for m in (found, true)]
    flat = [end[:, :2] / end[:, 2:] for end in ends]
    return float(np.abs(flat[0] - flat[1]).max())


@settings(max_examples=12, deadline=None)
@given(
    across=st.integers(-30, 30),
    down=st.integers(-25, 25),
    turn=st.floats(-8, 8),
    seed=st.integers(0, 9),
)
def test_a_moved_photo_is_laid_where_it_was(across: int, down: int, turn: float, seed: int) -> None:
    here = scene(seed)
    matrix = np.vstack([cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn, 1.03), [0, 0, 1]])
    matrix[:2, 2] += (across, down)
    found = register(here, warped(here, matrix))
    assert found is not None
    assert off_by(found.to_earlier, matrix) < 1.5


def test_photos_of_two_sizes_are_laid_onto_each_other() -> None:
    here = scene(1)
    there = np.asarray(cv2.resize(here, (WIDTH * 3, HEIGHT * 3)), dtype=np.uint8)
    found = register(here, there)
    assert found is not None
    assert off_by(found.to_earlier, np.diag([3.0, 3.0, 1.0])) < 3


def test_photos_of_two_things_are_not_compared() -> None:
    assert register(scene(1), scene(2)) is None
    assert compare_earlier(photo(scene(1)), EarlierPhoto(photo(scene(2)))) is None


def test_a_mask_is_carried_to_where_its_place_is_now() -> None:
    here, matrix = scene(3), np.array([[1.0, 0, 20], [0, 1, -10], [0, 0, 1]])
    found = register(here, warped(here, matrix))
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[100:120, 150:180] = True
    assert found is not None
    rows, columns = np.nonzero(found.carried(mask, (HEIGHT, WIDTH)))
    assert columns.min() == pytest.approx(130, abs=2)
    assert rows.min() == pytest.approx(110, abs=2)


@pytest.mark.parametrize("seed", range(4))
def test_a_photo_compared_with_itself_has_not_changed(seed: int) -> None:
    same = photo(scene(seed))
    change = compare_earlier(same, EarlierPhoto(same))
    assert change is not None
    assert change.comparison.deviations == ()
    assert change.heat.max() < 0.05


def test_another_light_is_no_change() -> None:
    darker = (scene(5).astype(float) * 0.8 + 6).clip(0, 255).astype(np.uint8)
    change = compare_earlier(photo(scene(5)), EarlierPhoto(photo(darker)))
    assert change is not None
    assert change.comparison.deviations == ()


def test_of_several_earlier_photos_the_same_view_is_taken() -> None:
    before = [EarlierPhoto(photo(scene(seed))) for seed in (6, 7, 8)]
    change = nearest(photo(scene(7)), before)
    assert change is not None
    assert change.earlier is before[1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (15, 15)])
def test_a_photo_too_small_to_show_anything_is_left_out(shape: tuple[int, int]) -> None:
    tiny = photo(np.full((*shape, 3), 128, np.uint8))
    large = photo(scene(1))
    assert compare_earlier(tiny, EarlierPhoto(large)) is None
    assert compare_earlier(large, EarlierPhoto(tiny)) is None
    assert nearest(large, []) is None
    found = nearest(large, [EarlierPhoto(tiny), EarlierPhoto(large)])
    assert found is not None
    assert found.earlier.photo is large


@pytest.mark.parametrize("shape", [(16, 400), (400, 16), (37, 53)])
def test_odd_shapes_are_compared_with_themselves(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    change = compare_earlier(photo(pixels), EarlierPhoto(photo(pixels)))
    assert change is not None
    assert change.comparison.deviations == ()
