"""One pass of the networks per photo, whoever asks and however the photos come together."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.contracts import PhotoPixels
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.samples import draw_sample
from models_runtime.vlm.embedded import EmbeddedVLM, load
from models_runtime.vlm.encodings import Encodings, single
from models_runtime.vlm.model import Encoded

SOLAR = PlanSpec.model_validate({"name": "Solar", "defects": [{"key": "crack", "name": "crack"}]})
OTHER = PlanSpec.model_validate({"name": "Other", "defects": [{"key": "dark", "name": "dark"}]})


def photo(value: int) -> PhotoPixels:
    return PhotoPixels(np.full((4, 4, 3), value, np.uint8), "the same for all")


class Looking:
    """Reads one number off each photo, and counts the photos it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def __call__(self, photos: Sequence[PhotoPixels]) -> Encoded:
        values = [int(one.pixels[0, 0, 0]) for one in photos]
        self.shown += values
        rows = torch.tensor(values, dtype=torch.float32)[:, None]
        return Encoded(rows, rows, rows[..., None], rows, rows)


def values(encoded: Encoded) -> list[int]:
    columns = [getattr(encoded, one.name).flatten().int().tolist() for one in fields(Encoded)]
    assert all(column == columns[0] for column in columns)
    return list(columns[0])


def test_photos_that_are_known_are_not_looked_at_again_and_order_is_kept() -> None:
    look, kept = Looking(), Encodings()
    one, two, three = photo(1), photo(2), photo(3)
    assert values(kept.of([one, two], look)) == [1, 2]
    assert values(kept.of([three, two, one], look)) == [3, 2, 1]
    assert values(kept.of([two], look)) == [2]
    assert look.shown == [1, 2, 3]


@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=6), max_size=12))
def test_whatever_comes_together_each_gets_its_own(asked: list[list[int]]) -> None:
    photos, look, kept = [photo(n) for n in range(12)], Looking(), Encodings(most=4)
    for batch in asked:
        assert values(kept.of([photos[n] for n in batch], look)) == batch


def test_the_oldest_are_forgotten_first() -> None:
    look, kept = Looking(), Encodings(most=2)
    photos = [photo(n) for n in range(3)]
    for one in photos:
        kept.of([one], look)
    kept.of([photos[2]], look)
    kept.of([photos[0]], look)
    assert look.shown == [0, 1, 2, 0]


def test_another_photo_with_the_same_name_or_in_the_same_memory_is_another_photo() -> None:
    look, kept = Looking(), Encodings()
    for value in range(50):  # memory that was given back is used again
        one = photo(value)
        assert values(kept.of([one], look)) == [value]
        del one
    assert look.shown == list(range(50))


def test_nothing_is_kept_of_photos_that_are_gone() -> None:
    look, kept = Looking(), Encodings()
    one, two = photo(1), photo(2)
    kept.of([one, two], look)
    del two
    gc.collect()
    kept.known(one)
    assert len(kept._kept) == 1


def test_a_photo_with_other_words_beside_it_is_the_same_photo() -> None:
    look, kept = Looking(), Encodings()
    one = photo(1)
    kept.of([one], look)
    kept.of([replace(one, sha256="other")], look)
    assert look.shown == [1]


def test_what_is_kept_does_not_keep_the_rest_of_its_pass() -> None:
    kept, photos = Encodings(), [photo(n) for n in range(6)]
    kept.of(photos, Looking())
    one = kept.known(photos[3])
    assert one is not None
    assert one.meaning.untyped_storage().nbytes() == one.meaning.element_size()


def test_threads_may_share_one() -> None:
    kept, photos = Encodings(most=3), [photo(n) for n in range(8)]

    def ask(seed: int) -> bool:
        order = np.random.default_rng(seed).integers(0, 8, 30)
        return all(values(kept.of([photos[n]], Looking())) == [n] for n in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(8)))


@pytest.fixture(scope="module")
def engine() -> EmbeddedVLM:
    return load(EngineSpec("embedded"))


def test_the_engine_looks_once_at_a_photo_for_several_plans_and_for_comparison(
    engine: EmbeddedVLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, _ = draw_sample("solar", "crack", 3, (300, 300))
    mine, looks, original = PhotoPixels(pixels, ""), [], engine._look

    def look(photos: Sequence[PhotoPixels]) -> Encoded:
        looks.append(len(photos))
        return original(photos)

    monkeypatch.setattr(engine, "_look", look)
    first = engine.extract([mine], SOLAR)
    features = engine.features(mine)
    engine.extract([mine], OTHER)
    again = engine.extract([mine], SOLAR)
    assert looks == [1]
    assert again == first
    fresh = PhotoPixels(pixels.copy(), "")
    np.testing.assert_allclose(features, engine.features(fresh), atol=1e-5)
    assert engine.extract([fresh], SOLAR) == first
    assert looks == [1, 1]


def test_one_photos_part_of_a_pass() -> None:
    encoded = Looking()([photo(4), photo(7)])
    assert values(single(encoded, 1)) == [7]
