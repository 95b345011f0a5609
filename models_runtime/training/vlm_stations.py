"""Lessons from lab stations: is the instructed state met, where is that seen, what is where?

A station is seen whole or close up: what decides a check is often a few pixels of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models_runtime.training.vlm_data import Bytes, Check, Photo, RelativeBox
from models_runtime.training.vlm_views import STYLES, colours
from models_runtime.vlm.model import COARSE_STRIDE, STRIDE

Numbers = np.random.Generator
Matrix = NDArray[np.float64]

THINGS: dict[str, tuple[str, ...]] = {
    "test tube": ("test tube", "tube", "a glass test tube"),
    "test tube cap": ("test tube cap", "cap", "the orange cap of a test tube"),
    "silicone container": ("silicone container", "bottle", "wash bottle with a red nozzle"),
    "pigment container": ("pigment container", "container", "jar of pigment"),
    "mold": ("mold", "mould", "casting mold"),
    "mold brush": ("mold brush", "brush"),
}
"""Names of things at stations, each with other ways to say it."""

CLOSE_UP = 0.6
"""Share of views that show the region of the check from near."""
_CODE = re.compile(r"\s*\([a-z0-9_]+\)")


@dataclass(frozen=True, slots=True)
class StationView:
    """A square cut-out for one check. ``region``: 1 where the check is decided, float32 (h/8, w/8),
    None where nobody knows. ``things``: float32 (len(THINGS), h/4, w/4), None likewise."""

    pixels: Bytes
    check: Check
    region: NDArray[np.float32] | None
    things: NDArray[np.float32] | None


def phrasings(text: str) -> tuple[str, ...]:
    """Ways to ask for the same state: as an order, as a statement, without the codes of places."""
    plain = _CODE.sub("", text)
    before, whether, state = plain.rstrip(".").partition("whether ")
    if not whether:
        return text, plain
    place = before.removeprefix("Check").strip()
    stated = f"{place}, {state}" if place else state
    return text, plain, stated[0].upper() + stated[1:], f"Is it so that {stated}?"


def look_at(photo: Photo, size: int, numbers: Numbers) -> StationView:
    """A random view for one of the photo's checks, met and unmet ones equally often."""
    check = _one_of(photo.checks, numbers)
    height, width = photo.pixels.shape[:2]
    near = check.region is not None and numbers.random() < CLOSE_UP
    window = _close(check.region, numbers) if near and check.region else _far(numbers)
    matrix = _warp(window, (width, height), size, numbers)
    pixels = cv2.warpAffine(
        photo.pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    side = size // COARSE_STRIDE
    region = None
    if check.region is not None:
        region = _filled([_moved(check.region, matrix, (width, height))], size, side)
    things = None
    if photo.objects:
        boxes = {name: [b for n, b in photo.objects if n == name] for name in THINGS}
        things = np.stack(
            [
                _filled([_moved(b, matrix, (width, height)) for b in found], size, size // STRIDE)
                for found in boxes.values()
            ]
        )
    shown = colours(np.asarray(pixels, np.uint8), STYLES["station"], numbers, 0.0)
    return StationView(shown, check, region, things)


def _one_of(checks: Sequence[Check], numbers: Numbers) -> Check:
    met = bool(numbers.random() < 0.5)
    wanted = [check for check in checks if check.met == met] or list(checks)
    return wanted[int(numbers.integers(len(wanted)))]


def _close(region: RelativeBox, numbers: Numbers) -> RelativeBox:
    """A window around the region: it is all in it, with some of what is around."""
    x1, y1, x2, y2 = region
    wide, high = (x2 - x1) * numbers.uniform(1.05, 2.0), (y2 - y1) * numbers.uniform(1.05, 2.0)
    left = numbers.uniform(x2 - wide, x1)
    top = numbers.uniform(y2 - high, y1)
    return left, top, left + wide, top + high


def _far(numbers: Numbers) -> RelativeBox:
    wide, high = numbers.uniform(0.85, 1.0, 2)
    left, top = numbers.uniform(0, 1 - wide), numbers.uniform(0, 1 - high)
    return left, top, left + wide, top + high


def _warp(window: RelativeBox, size: tuple[int, int], side: int, numbers: Numbers) -> Matrix:
    """Affine matrix that brings a window of the photo, a little turned, to side x side."""
    x1, y1, x2, y2 = window
    width, height = size
    turn = np.deg2rad(numbers.uniform(-STYLES["station"].rotate, STYLES["station"].rotate))
    scale = np.diag([side / ((x2 - x1) * width), side / ((y2 - y1) * height)])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation @ scale
    middle = np.array([(x1 + x2) / 2 * width, (y1 + y2) / 2 * height])
    return np.hstack([linear, (np.array([side / 2, side / 2]) - linear @ middle)[:, None]])


def _moved(box: RelativeBox, matrix: Matrix, size: tuple[int, int]) -> RelativeBox:
    """The upright hull, in pixels of the view, of a box of the photo."""
    x1, y1, x2, y2 = (v * size[i % 2] for i, v in enumerate(box))
    corners = np.array([[x1, y1, 1], [x2, y1, 1], [x1, y2, 1], [x2, y2, 1]]) @ matrix.T
    low, high = corners.min(0), corners.max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _filled(boxes: Sequence[RelativeBox], size: int, side: int) -> NDArray[np.float32]:
    """Cells whose middle lies in a box: float32 (side, side)."""
    middles = (np.arange(side) + 0.5) * size / side
    grid = np.zeros((side, side), np.float32)
    for x1, y1, x2, y2 in boxes:
        rows, columns = (middles >= y1) & (middles < y2), (middles >= x1) & (middles < x2)
        grid[np.ix_(rows, columns)] = 1.0
    return grid


def check_loss(state: Tensor, where: Tensor, views: Sequence[StationView]) -> Tensor:
    """Is each state met, and were the right cells asked? Logits (n,) and (n, h, w)."""
    met = torch.tensor([float(view.check.met) for view in views])
    loss: Tensor = F.binary_cross_entropy_with_logits(state, met)
    regions = {i: view.region for i, view in enumerate(views) if view.region is not None}
    if regions:
        known, region = list(regions), torch.from_numpy(np.stack(list(regions.values())))
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(where[known], region)
    return loss


def thing_loss(logits: Tensor, views: Sequence[StationView]) -> Tensor:
    """Which things are where: logits (n, len(THINGS), h, w); small things count as large ones."""
    seen = {i: view.things for i, view in enumerate(views) if view.things is not None}
    if not seen:
        return logits.sum() * 0
    known, target = list(seen), torch.from_numpy(np.stack(list(seen.values())))
    plain = F.binary_cross_entropy_with_logits(logits[known], target, reduction="none")
    miss = (target - logits[known].sigmoid()).abs()
    loss: Tensor = (miss.square() * plain * (0.25 + 0.5 * target)).sum()
    return 4.0 * loss / (target.sum() + 40.0 * len(known))
