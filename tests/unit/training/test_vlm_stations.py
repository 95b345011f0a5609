"""Lessons from stations: what is marked stays marked in every view, and nothing is mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.training.vlm_data import Check, Photo, RelativeBox
from models_runtime.training.vlm_stations import THINGS, check_loss, look_at, phrasings, thing_loss

RED = (250, 20, 20)


def station(region: RelativeBox | None, met: bool = True) -> Photo:
    """Grey, with a red cap where the region is."""
    pixels = np.full((120, 160, 3), 128, np.uint8)
    if region is not None:
        x1, y1, x2, y2 = region
        pixels[int(120 * y1) : int(120 * y2), int(160 * x1) : int(160 * x2)] = RED
    photo = Photo(pixels, "station", "s", "train")
    photo.checks = (Check("Check whether a cap is on tray (tp).", met, region),)
    photo.objects = (("test tube cap", region),) if region else ()
    return photo


@settings(max_examples=60, deadline=None)
@given(
    left=st.floats(0.35, 0.45),
    top=st.floats(0.35, 0.45),
    side=st.floats(0.15, 0.25),
    seed=st.integers(0, 10_000),
)
def test_the_marked_region_moves_with_what_it_marks(
    left: float, top: float, side: float, seed: int
) -> None:
    # Far from the rim: beyond it the photo is mirrored, and a mirrored cap is not marked.
    photo = station((left, top, left + side, top + side))
    view = look_at(photo, 128, np.random.default_rng(seed))
    assert view.region is not None
    pixels = view.pixels.astype(int)
    red = (pixels[..., 0] - pixels[..., 1] > 60).reshape(16, 8, 16, 8).mean((1, 3))
    if not (red > 0.9).any():
        return  # the cap is smaller than a cell, or out of the view
    assert view.region[red > 0.99].mean() > 0.75
    assert view.things is not None
    assert view.things[list(THINGS).index("test tube cap")].sum() > 0


def test_left_stays_left() -> None:
    photo = station(None)
    photo.pixels[:, :80] = RED
    for seed in range(30):
        pixels = look_at(photo, 64, np.random.default_rng(seed)).pixels.astype(int)
        red = pixels[..., 0] - pixels[..., 1] > 60
        assert red[:, :16].mean() > red[:, -16:].mean()


def test_a_check_without_a_region_is_seen_whole_and_teaches_no_place() -> None:
    view = look_at(station(None), 64, np.random.default_rng(0))
    assert view.region is None
    assert view.things is None
    state, where = torch.zeros(1, requires_grad=True), torch.zeros(1, 8, 8, requires_grad=True)
    check_loss(state, where, [view]).backward()  # type: ignore[no-untyped-call]
    assert where.grad is None or not where.grad.any()
    assert float(thing_loss(torch.zeros(1, len(THINGS), 16, 16), [view])) == 0


def test_the_right_answer_costs_less() -> None:
    views = [look_at(station((0.3, 0.3, 0.6, 0.6)), 64, np.random.default_rng(1))]
    region = torch.from_numpy(np.stack([v.region for v in views if v.region is not None]))
    right = check_loss(torch.tensor([4.0]), 8 * region - 4, views)
    wrong = check_loss(torch.tensor([-4.0]), 4 - 8 * region, views)
    assert float(right) < 0.1 < float(wrong)


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        (
            "Check whether the mold is at the center of tray (tp).",
            "The mold is at the center of tray",
        ),
        (
            "Check near capping device (xn) whether the tube has its cap on.",
            "Near capping device, the tube has its cap on",
        ),
    ],
)
def test_an_order_is_also_put_as_a_statement(text: str, statement: str) -> None:
    assert statement in phrasings(text)
    assert text in phrasings(text)


def test_a_text_of_another_form_is_left_as_it_is() -> None:
    assert phrasings("Lid closed?") == ("Lid closed?", "Lid closed?")
