"""Instructed states: where the engine looks, how both looks count, what an unmet one becomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.contracts import Architecture, Box, EngineRef, PhotoPixels
from models_runtime.plans import PlanSpec
from models_runtime.vlm.checking import (
    Checked,
    Looked,
    around,
    chance_met,
    check_states,
    place,
    unmet,
)
from models_runtime.vlm.model import LoupeVLM, Shape
from models_runtime.vlm.plan_texts import TextCache
from models_runtime.vlm.weights import Fitted

PLACE = Box(x1=10, y1=20, x2=30, y2=40)
PLAN = PlanSpec.model_validate(
    {
        "name": "Lab stations",
        "characteristics": [
            {"key": "capped", "kind": "boolean", "title": "The tube is capped"},
            {"key": "colour", "options": ["red", "blue"]},
        ],
        "defects": [{"key": "scratch", "name": "scratch"}, {"key": "gone", "name": "missing"}],
    }
)


class Words:
    """Counts letters: texts of the same words are the same."""

    ref = EngineRef(architecture=Architecture.MLM, engine="words", version="1")

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 384), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text.lower():
                row[ord(letter) % 384] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(40, 4000), st.integers(40, 4000))
def test_the_place_holds_the_peak_and_lies_in_the_photo(
    row: int, column: int, height: int, width: int
) -> None:
    where = np.full((16, 16), -5.0, np.float32)
    where[row, column] = 3.0
    box = place(where, (height, width))
    assert box.x1 <= (column + 0.5) / 16 * width <= box.x2 <= width + 1e-6
    assert box.y1 <= (row + 0.5) / 16 * height <= box.y2 <= height + 1e-6


def test_a_second_place_apart_from_the_peak_is_not_part_of_it() -> None:
    where = np.full((16, 16), -5.0, np.float32)
    where[2:4, 2:5] = 3.0
    where[12:15, 12:15] = 2.0
    box = place(where, (160, 160))
    assert (box.x1, box.y1, box.x2, box.y2) == (20, 20, 50, 40)


@given(
    st.floats(0, 90), st.floats(0, 90), st.floats(1, 9), st.integers(1, 300), st.integers(1, 300)
)
def test_the_near_look_is_never_empty_and_within_the_photo(
    x: float, y: float, side: float, height: int, width: int
) -> None:
    box = Box(x1=x / 100 * width, y1=y / 100 * height,
              x2=(x + side) / 100 * width, y2=(y + side) / 100 * height)  # fmt: skip
    y1, y2, x1, x2 = around(box, (height, width))
    assert 0 <= y1 < y2 <= height
    assert 0 <= x1 < x2 <= width


def test_both_looks_count_by_their_weights() -> None:
    assert chance_met((1.0, 0.0, 0.0), Looked(2.0, -9.0, PLACE)) == pytest.approx(0.881, abs=1e-3)
    assert chance_met((0.0, 1.0, 0.0), Looked(9.0, -2.0, PLACE)) == pytest.approx(0.119, abs=1e-3)


def test_an_unmet_state_is_a_finding_of_the_entry_that_says_so() -> None:
    checked = {"capped": Checked(0.2, PLACE), "other": Checked(0.9, PLACE)}
    (candidate,) = unmet(checked, PLAN, TextCache(Words()))
    assert candidate.type == "gone"
    assert candidate.box == PLACE
    assert candidate.confidence == pytest.approx(0.8)


def test_a_plan_without_a_catalogue_gets_no_finding() -> None:
    bare = PLAN.model_copy(update={"defects": ()})
    assert unmet({"capped": Checked(0.2, PLACE)}, bare, TextCache(Words())) == ()


def test_only_yes_or_no_characteristics_are_checked() -> None:
    torch.manual_seed(0)
    shape = Shape((8, 8, 16, 16), (1, 1, 1, 1), 8, shows=False, finds=False, checks=True)
    checks = LoupeVLM(shape).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    fitted = Fitted(shape={}, check_whole=64, check_side=64)
    found = check_states(checks, fitted, TextCache(Words()), PLAN, PhotoPixels(pixels, "0" * 64))
    assert list(found) == ["capped"]
    assert 0 <= found["capped"].chance <= 1
    assert found["capped"].place.x2 <= 120
