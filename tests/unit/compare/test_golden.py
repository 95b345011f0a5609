"""What deviates from golden photos is found and placed, without ever having seen a defect."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from models_runtime.compare.alignment import align, onto_photo, onto_reference
from models_runtime.compare.descriptors import describe, resized, working_size
from models_runtime.compare.evaluate import Gallery, measure
from models_runtime.compare.golden import GoldenMemory
from models_runtime.compare.placed import MOST
from models_runtime.compare.sets import rows_of
from models_runtime.contracts import PhotoPixels
from models_runtime.errors import InputError

DATA = Path(os.environ.get("LOUPE_DATA") or Path(__file__).parents[4] / "shared" / "data")


def plate(
    seed: int, hole: tuple[int, int] | None = None, shift: tuple[int, int] = (0, 0), turn: float = 0
) -> PhotoPixels:
    """A grey plate with four screws on a dark table; ``hole`` is where a screw is missing."""
    rng = np.random.default_rng(seed)
    image = np.full((300, 400, 3), 60, dtype=np.uint8)
    cv2.rectangle(image, (60, 50), (340, 250), (170, 172, 168), -1)
    cv2.rectangle(image, (180, 120), (220, 180), (90, 110, 160), -1)
    for x, y in ((90, 80), (310, 80), (90, 220), (310, 220)):
        if (x, y) != hole:
            cv2.circle(image, (x, y), 14, (220, 200, 90), -1)
    warp = cv2.getRotationMatrix2D((200, 150), turn, 1.0)
    warp[:, 2] += shift
    image = cv2.warpAffine(image, warp, (400, 300), borderMode=cv2.BORDER_REPLICATE)
    noisy = image + rng.normal(0, 5, image.shape) + rng.normal(0, 4)
    return PhotoPixels(noisy.clip(0, 255).astype(np.uint8), f"{seed:064x}")


@pytest.fixture(scope="module")
def still() -> GoldenMemory:
    return GoldenMemory.learn([plate(seed) for seed in range(8)])


@pytest.fixture(scope="module")
def moving() -> GoldenMemory:
    rng = np.random.default_rng(9)
    shifts = rng.integers(-25, 26, (8, 2))
    turns = rng.uniform(-6, 6, 8)
    photos = [
        plate(seed, shift=(int(x), int(y)), turn=float(turn))
        for seed, ((x, y), turn) in enumerate(zip(shifts, turns, strict=True))
    ]
    return GoldenMemory.learn(photos)


def test_sound_photo_is_probably_sound_and_nothing_is_marked(still: GoldenMemory) -> None:
    chances = [still.compare(plate(seed)).probability for seed in range(100, 110)]
    assert np.mean(chances) < 0.35
    assert sum(chance >= 0.5 for chance in chances) <= 2


def test_missing_part_is_found_where_it_is_missing(still: GoldenMemory) -> None:
    comparison = still.compare(plate(200, hole=(310, 80)))
    assert comparison.probability > 0.9
    place = comparison.deviations[0]
    assert place.box.x1 < 310 < place.box.x2
    assert place.box.y1 < 80 < place.box.y2
    assert place.box.area < 0.15 * 400 * 300
    assert place.mask.shape == (300, 400)
    assert place.mask[80, 310]
    assert place.score == pytest.approx(comparison.probability, abs=0.1)


def test_photo_of_another_size_gets_places_in_its_own_pixels(still: GoldenMemory) -> None:
    large = cv2.resize(plate(200, hole=(310, 80)).pixels, (1600, 1200))
    place = still.compare(PhotoPixels(large, "a" * 64)).deviations[0]
    assert place.mask.shape == (1200, 1600)
    assert place.box.x1 < 1240 < place.box.x2


def test_moved_units_are_aligned_and_the_place_is_that_in_the_photo(moving: GoldenMemory) -> None:
    assert moving.reference is not None
    sound = [moving.compare(plate(s, shift=(18, -12), turn=4)).probability for s in (300, 301)]
    assert max(sound) < 0.5
    comparison = moving.compare(plate(302, hole=(90, 220), shift=(20, -15)))
    assert comparison.probability > 0.5
    place = comparison.deviations[0]
    assert place.box.x1 < 110 < place.box.x2
    assert place.box.y1 < 205 < place.box.y2


def test_still_units_are_not_warped(still: GoldenMemory) -> None:
    assert still.reference is None


def test_threshold_comes_from_the_golden_photos_alone(still: GoldenMemory) -> None:
    assert still.probability(still.threshold) == pytest.approx(0.5)
    scores = np.linspace(0.1, 10, 50)
    chances = [still.probability(score) for score in scores]
    assert chances == sorted(chances)
    assert 0.05 <= chances[0] < chances[-1] <= 0.95, "eight photos can't tell more"
    assert still.score(plate(400)) < still.threshold < still.score(plate(401, hole=(90, 80)))


def test_one_bad_photo_among_the_golden_does_not_blind_the_memory() -> None:
    photos = [plate(seed) for seed in range(8)] + [plate(8, hole=(310, 80))]
    memory = GoldenMemory.learn(photos)
    assert memory.compare(plate(201, hole=(90, 220))).probability > 0.5


def test_identical_golden_photos_are_no_division_by_zero() -> None:
    memory = GoldenMemory.learn([plate(1)] * 3)
    comparison = memory.compare(plate(1))
    assert np.isfinite(comparison.heat).all()
    assert comparison.probability < 0.9


def test_too_few_golden_photos_say_how_many_are_needed() -> None:
    with pytest.raises(InputError, match="There are 2 golden photos; give at least 3"):
        GoldenMemory.learn([plate(1), plate(2)])


def test_of_very_many_golden_photos_the_most_different_are_kept() -> None:
    small = [
        PhotoPixels(np.full((24, 24, 3), 40 + 3 * shade, np.uint8), "0" * 64) for shade in range(50)
    ]
    memory = GoldenMemory.learn(small)
    assert len(memory.bank.grids) == MOST
    assert "40-photos" in memory.ref.version


def test_version_changes_with_the_golden_photos(still: GoldenMemory) -> None:
    other = GoldenMemory.learn([plate(seed) for seed in range(20, 28)])
    assert other.ref.version != still.ref.version


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (37, 53)])
def test_any_shape_can_be_compared(still: GoldenMemory, shape: tuple[int, int]) -> None:
    photo = PhotoPixels(np.full((*shape, 3), 99, np.uint8), "b" * 64)
    comparison = still.compare(photo)
    assert comparison.probability > 0.5
    assert all(d.mask.shape == shape for d in comparison.deviations)


def test_descriptors_have_one_row_per_cell() -> None:
    size = working_size(plate(1).pixels)
    assert size == (192, 144)
    grid = describe(resized(plate(1).pixels, size))
    assert grid.shape[:2] == (18, 24)
    assert np.isfinite(grid).all()


def test_shift_and_turn_are_found() -> None:
    reference, moved = plate(1).pixels, plate(2, shift=(20, -10), turn=5).pixels
    alignment = align(moved, reference)
    assert alignment.likeness > 0.95
    back = onto_reference(moved, alignment).astype(int)
    inner = (slice(40, -40), slice(40, -40))
    assert (
        np.abs(back - reference)[inner].mean()
        < np.abs(moved.astype(int) - reference)[inner].mean() / 2
    )
    heat = np.zeros((300, 400), np.float32)
    heat[70:90, 80:100] = 1
    placed = onto_photo(heat, alignment, (400, 300))
    rows, columns = np.nonzero(placed > 0.5)
    warp = cv2.getRotationMatrix2D((200, 150), 5, 1.0)
    expected = warp @ (90, 80, 1) + (20, -10)
    assert np.abs(np.array([columns.mean(), rows.mean()]) - expected).max() < 6


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("toys", 0.9), ("cookies", 0.85)])
def test_real_defects_stand_out_after_ten_golden_photos(name: str, least: float) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no photos in {DATA / name}: set LOUPE_DATA")
    by_hand = measure(rows_of(DATA, name), Gallery(None), golden=10, seed=0, most=1000)
    assert by_hand["auroc"] >= least
