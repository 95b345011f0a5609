"""Memory that grows is told from memory that wavers."""

from __future__ import annotations

import random

import pytest

from tests.benchmarks.memory import growth


def wavering(start: float, slope_mb: float, looks: int, seed: int) -> list[float]:
    numbers = random.Random(seed)
    return [start + slope_mb * look + numbers.gauss(0, 2) for look in range(looks)]


@pytest.mark.parametrize("seed", range(5))
def test_memory_that_wavers_does_not_grow(seed: int) -> None:
    told = growth(wavering(800, 0, 17, seed), 100)
    assert told["zero_within"]
    low, high = told["interval"]
    assert low <= told["kb_per_photo"] <= high


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_of_a_tenth_of_a_megabyte_per_photo_is_seen(seed: int) -> None:
    told = growth(wavering(800, 10, 17, seed), 100)
    assert not told["zero_within"]
    assert told["interval"][0] <= 100 <= told["interval"][1]


def test_so_is_memory_that_shrinks() -> None:
    told = growth([900 - 10 * look for look in range(10)], 100)
    assert told["kb_per_photo"] == -100
    assert not told["zero_within"]


def test_two_looks_say_nothing() -> None:
    with pytest.raises(ValueError, match="at least three"):
        growth([800, 801], 100)
