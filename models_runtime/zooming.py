"""A segmenter sees any photo at its own input size, so that small things on a large photo are a
few cells to it. Here the part around what is meant is cut out, and the mask put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_runtime import masks, rle
from models_runtime.contracts import Box, Click, Mask, MaskCandidate, PhotoPixels, Prompt

CORNERS = ("x1", "y1", "x2", "y2")
ROOM = 2.0
"""A window is so many times as long as what is meant."""
WORTH_IT = 0.5
"""A window of more than this share of the photo's longer side shows hardly more than the photo."""
MOST_TIDIED = 2_000_000
"""Pixels around a mask up to which specks and pinholes are removed: more take too long."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a photo in its pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        return Box(x1=self.x, y1=self.y, x2=self.x + self.width, y2=self.y + self.height)


def extent_of(prompt: Prompt, seen: Iterable[Box | None] = ()) -> Box | None:
    """The box around what is pointed at and what was seen there; None where only negative clicks
    tell of it."""
    boxes = [box for box in (prompt.box, *seen) if box is not None]
    points = [click for click in prompt.clicks if click.positive]
    xs = [side for box in boxes for side in (box.x1, box.x2)] + [click.x for click in points]
    ys = [side for box in boxes for side in (box.y1, box.y2)] + [click.y for click in points]
    if not xs:
        return None
    return Box(x1=min(xs), y1=min(ys), x2=max(xs) + 1, y2=max(ys) + 1)


def window_for(extent: Box, size: tuple[int, int], least: int) -> Window | None:
    """The part of a photo of ``size`` (height, width) to look at more closely; None where the
    photo as a whole shows it as well. ``least``: the segmenter's input size, in pixels.

    Sides double, and places lie on a grid of a quarter of a side, so that prompts about the same
    thing give the same window.
    """
    height, width = size
    longer = max(extent.x2 - extent.x1, extent.y2 - extent.y1)
    side = least
    while side < ROOM * longer:
        side *= 2
    if side > WORTH_IT * max(height, width):
        return None
    x = _start((extent.x1 + extent.x2) / 2, side, width)
    y = _start((extent.y1 + extent.y2) / 2, side, height)
    return Window(x, y, min(side, width), min(side, height))


def _start(middle: float, side: int, length: int) -> int:
    step = max(1, side // 4)
    start = round((middle - side / 2) / step) * step
    return int(min(max(0, start), max(0, length - side)))


def cut_out(photo: PhotoPixels, window: Window) -> PhotoPixels:
    """The window as a photo of its own."""
    rows = slice(window.y, window.y + window.height)
    columns = slice(window.x, window.x + window.width)
    return PhotoPixels(np.ascontiguousarray(photo.pixels[rows, columns]), photo.sha256)


def prompt_in(prompt: Prompt, window: Window) -> Prompt | None:
    """The prompt in pixels of the window; None where a positive click or most of the box lies
    outside. Negative clicks outside say nothing about the inside."""
    box = prompt.box
    if box is not None:
        inside = _clipped(box, window)
        if inside is None or inside.area < 0.9 * box.area:
            return None
        box = inside
    clicks = [Click(x=c.x - window.x, y=c.y - window.y, positive=c.positive)
              for c in prompt.clicks if _holds(window, c)]  # fmt: skip
    if any(click.positive and not _holds(window, click) for click in prompt.clicks):
        return None
    return Prompt(box=box, clicks=tuple(clicks)) if box is not None or clicks else None


def _holds(window: Window, click: Click) -> bool:
    x, y = click.x - window.x, click.y - window.y
    return 0 <= x < window.width and 0 <= y < window.height


def _clipped(box: Box, window: Window) -> Box | None:
    x1, y1 = max(0.0, box.x1 - window.x), max(0.0, box.y1 - window.y)
    x2, y2 = min(window.width, box.x2 - window.x), min(window.height, box.y2 - window.y)
    return Box(x1=x1, y1=y1, x2=x2, y2=y2) if x2 > x1 and y2 > y1 else None


def in_photo(found: MaskCandidate, window: Window, size: tuple[int, int]) -> MaskCandidate:
    """A mask of the window as one of the photo of ``size`` (height, width), without specks."""
    runs = placed(*_around(found, window), size)
    corners = rle.bounding_box(runs, size[0])
    box = Box(**dict(zip(CORNERS, corners, strict=True))) if corners else None
    return MaskCandidate(
        mask=Mask(size=size, counts=rle.counts_of(runs)),
        predicted_iou=found.predicted_iou,
        area=rle.area(runs),
        box=box,
    )


def _around(found: MaskCandidate, window: Window) -> tuple[NDArray[np.bool_], Window]:
    """The tidied mask within its own box, and where that lies in the photo."""
    box = found.box or Box(x1=0, y1=0, x2=1, y2=1)
    x1, y1, x2, y2 = int(box.x1), int(box.y1), int(box.x2), int(box.y2)
    pixels = masks.decode(found.mask)[y1:y2, x1:x2]
    if found.area and pixels.size <= MOST_TIDIED:
        # With a border, so that what lies outside the mask is one part and no pinhole.
        pixels = masks.tidied(np.pad(pixels, 1))[1:-1, 1:-1]
    return pixels, Window(window.x + x1, window.y + y1, x2 - x1, y2 - y1)


def placed(pixels: NDArray[np.bool_], window: Window, size: tuple[int, int]) -> rle.Runs:
    """Runs of the whole photo of a mask (height, width) of the window."""
    edged = np.zeros((window.width, window.height + 2), np.int8)
    edged[:, 1:-1] = pixels.T
    change = np.diff(edged, axis=1)
    column, top = np.nonzero(change == 1)
    _, foot = np.nonzero(change == -1)
    starts = (column + window.x) * size[0] + window.y + top
    ends = (column + window.x) * size[0] + window.y + foot
    borders = np.stack([starts, ends], axis=1).ravel()
    return rle.merged(np.diff(borders, prepend=0, append=size[0] * size[1]).astype(np.int64))
