"""The bank of patches keeps what is different, and tells what no golden photo shows anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models_runtime.compare.golden import GoldenMemory
from models_runtime.compare.patches import MOST_CELLS, PatchBank, coreset, score_of, seen_by
from models_runtime.contracts import PhotoPixels

CHANNELS, SIDE = 6, 16


def view(seed: int, odd: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """What a network might see: two kinds of surface with grain; ``odd`` is a third kind."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(0, 0.1, (CHANNELS, SIDE, SIDE)).astype(np.float32)
    seen[0, :, : SIDE // 2] += 1
    seen[1, :, SIDE // 2 :] += 1
    if odd is not None:
        row, column = odd
        seen[:, row : row + 3, column : column + 3] = 0
        seen[5, row : row + 3, column : column + 3] = 3
    return seen


@pytest.fixture(scope="module")
def bank() -> PatchBank:
    return PatchBank.of([view(seed) for seed in range(10)])


def test_a_coreset_reaches_every_kind_of_cell() -> None:
    rng = np.random.default_rng(3)
    common = rng.normal(0, 0.1, (500, 8)).astype(np.float32)
    rare = np.full((1, 8), 9, np.float32)
    kept = coreset(np.concatenate([common, rare]), 5)
    assert len(set(kept.tolist())) == 5
    assert 500 in kept


def test_few_cells_are_all_kept() -> None:
    assert coreset(np.zeros((4, 3), np.float32), 10).tolist() == [0, 1, 2, 3]


def test_the_bank_stays_bounded_and_is_the_same_each_time(bank: PatchBank) -> None:
    assert len(bank.cells) == MOST_CELLS < 10 * SIDE * SIDE
    again = PatchBank.of([view(seed) for seed in range(10)])
    assert np.array_equal(bank.cells, again.cells)


def test_no_golden_photo_is_compared_with_itself(bank: PatchBank) -> None:
    assert bank.apart.shape == (10, SIDE, SIDE)
    assert bank.apart.min() > 0


def test_what_no_golden_photo_shows_is_strange_and_placed(bank: PatchBank) -> None:
    heat = bank.heat(view(50, odd=(4, 9)))
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    assert 4 <= row <= 6
    assert 9 <= column <= 11
    usual = [score_of(bank.heat(view(seed))) for seed in range(60, 65)]
    assert score_of(heat) > 2 * max(usual)


def test_what_is_known_from_another_place_is_not_strange(bank: PatchBank) -> None:
    turned = view(70)[:, :, ::-1].copy()
    assert score_of(bank.heat(turned)) < 1.3 * score_of(bank.heat(view(71)))


def test_maps_of_another_size_are_drawn_to_one(bank: PatchBank) -> None:
    large = np.repeat(np.repeat(view(80), 2, axis=1), 2, axis=2)
    assert bank.heat(large).shape == (SIDE, SIDE)


def test_an_extractor_that_shows_nothing_is_no_witness() -> None:
    assert seen_by(None) == (None, "")


def photo(seed: int) -> PhotoPixels:
    rng = np.random.default_rng(seed)
    pixels = (120 + rng.normal(0, 4, (96, 96, 3))).clip(0, 255).astype(np.uint8)
    return PhotoPixels(pixels, f"{seed:064x}")


def test_the_more_alarmed_witness_is_believed() -> None:
    odd = {f"{99:064x}": (4, 9)}

    def features(one: PhotoPixels) -> NDArray[np.float32]:
        return view(int(one.sha256, 16), odd.get(one.sha256))

    golden = [photo(seed) for seed in range(10)]
    by_hand = GoldenMemory.learn(golden)
    both = GoldenMemory.learn(golden, features, "toy-1")
    assert by_hand.ref.version != both.ref.version
    assert by_hand.score(photo(99)) < by_hand.threshold, "the pixels alone show nothing"
    compared = both.compare(photo(99))
    assert both.score(photo(99)) > both.threshold
    assert compared.probability > 0.5
    box = compared.deviations[0].box
    assert box.x1 < 63 < box.x2
    assert box.y1 < 33 < box.y2
    assert both.score(photo(98)) < both.threshold
