"""What counts as known: learned from features, and put to the test on kinds left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.training.vlm_known import (
    NONE,
    Known,
    Limits,
    learn,
    least_asked,
    leave_one_out,
)
from models_runtime.vlm import statistics, words
from models_runtime.vlm.known import Kind, fit
from models_runtime.vlm.weights import Fitted

FEATURES = statistics.SIZE + 40


def scattered(apart: float, seed: int = 0) -> Known:
    """Each kind around a place of its own, ``apart`` from the others; none of them all over."""
    numbers = np.random.default_rng(seed)
    rows, kinds, splits = [], [], []
    for kind in (*words.DOMAIN_NAMES, NONE):
        centre = apart * numbers.standard_normal(FEATURES)
        for split, count in (("train", 40), ("holdout", 20), ("val", 20)):
            spread = 1.0 if kind else apart + 1
            rows.append(centre * bool(kind) + spread * numbers.standard_normal((count, FEATURES)))
            kinds += [kind] * count
            splits += [split] * count
    features = torch.from_numpy(np.concatenate(rows).astype(np.float32))
    return Known(features, np.array(kinds), np.array(splits))


@pytest.fixture(scope="module")
def known() -> Known:
    return scattered(2.0)


@pytest.fixture(scope="module")
def limits(known: Known) -> Limits:
    return Limits.of(learn(known), known)


def test_kinds_are_told_apart_and_from_what_is_none_of_them(known: Known) -> None:
    memory = learn(known)
    for number, kind in enumerate((*words.DOMAIN_NAMES, NONE)):
        said = memory.chances(known.of(kind, "val")).argmax(1)
        assert float((said == number).float().mean()) > (0.9 if kind else 0.7)


def test_photos_far_from_all_kinds_are_far_in_memory(known: Known) -> None:
    memory = learn(known)
    near = memory.distances(known.of("solar", "val"))
    number = words.DOMAIN_NAMES.index("solar")
    far = memory.distances(torch.full((1, FEATURES), 50.0))
    assert bool((near.argmin(1) == number).all())
    assert float(far.min()) > 2 * float(near[:, number].max())


def test_most_held_out_photos_of_a_kind_pass_its_limit(known: Known, limits: Limits) -> None:
    for kind in words.DOMAIN_NAMES:
        assert limits.answered(known.of(kind, "holdout"), kind).mean() >= 0.9
    assert set(least_asked(limits.memory, known)) == {*words.DOMAIN_NAMES, "default"}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.5, 6.0))
def test_the_engine_answers_just_what_passes_the_limits(
    known: Known, limits: Limits, seed: int, spread: float
) -> None:
    fitted = Fitted(
        shape={},
        least_asked=limits.cuts,
        distance_limit=limits.farthest,
        distance_spread=0.12 * limits.farthest,
    )
    numbers = np.random.default_rng(seed)
    kind = words.DOMAIN_NAMES[int(numbers.integers(len(words.DOMAIN_NAMES)))]
    asked = np.array([name == kind for name in words.DOMAIN_NAMES])
    base = known.features[int(numbers.integers(len(known.features)))].numpy()
    row = torch.from_numpy((base + spread * numbers.standard_normal(FEATURES)).astype(np.float32))
    chances = limits.memory.chances(row[None])[0, :-1].double().numpy()
    distances = limits.memory.distances(row[None])[0].numpy()
    judged = fit(Kind(kind, chances, distances), asked, fitted)
    assert (not judged.reasons) == bool(limits.answered(row[None], kind)[0])


def test_a_kind_that_was_never_shown_has_no_chance_and_is_out_of_reach(known: Known) -> None:
    memory = learn(known.without("toy"))
    number = words.DOMAIN_NAMES.index("toy")
    rows = known.of("toy", "val")
    assert float(memory.chances(rows)[:, number].max()) == pytest.approx(0, abs=1e-6)
    assert float(memory.distances(rows)[:, number].min()) > 100


def test_what_was_left_out_is_refused_where_kinds_are_apart(known: Known) -> None:
    rows = leave_one_out(known)
    count = len(words.DOMAIN_NAMES)
    assert len(rows) == count * (count - 1)
    assert np.mean([row.refused.mean() for row in rows]) > 0.95
    assert np.mean([row.answered.mean() for row in rows]) > 0.85


def test_nothing_is_refused_for_being_unlike_where_all_kinds_look_the_same() -> None:
    # The test must be able to fail: without any difference it can't refuse more than its limits.
    rows = leave_one_out(scattered(0.0))
    assert np.mean([row.refused.mean() for row in rows]) < 0.5


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (240, 320, 3)])
def test_a_photo_of_any_size_is_described_in_finite_numbers(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    described = statistics.describe(pixels)
    assert described.shape == (statistics.SIZE,)
    assert np.isfinite(described).all()


def test_a_description_is_of_the_look_and_not_of_the_size() -> None:
    big = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    big = big.repeat(16, axis=0).repeat(16, axis=1)
    half = big[::2, ::2]
    apart = np.abs(statistics.describe(big) - statistics.describe(half)).max()
    assert apart < 0.15
