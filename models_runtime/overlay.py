"""Findings drawn over their photo: masks, boxes, numbers and a legend.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models_runtime import masks
from models_runtime.contracts import Box, Mask, Pixels

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

_MAX_SIDE = 1600
_MIN_SIDE = 480
_FILL = 0.45
_INK: Colour = (20, 20, 20)
_PAPER: Colour = (250, 250, 250)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to draw. Marks with the same ``kind`` share a colour and a line of the legend."""

    kind: str
    label: str
    box: Box | None
    mask: Mask | None


def draw_overlay(pixels: Pixels, marks: Sequence[Mark], title: str) -> Image.Image:
    """Draw on a copy of the photo (height, width, 3), with a legend below it."""
    scale = _scale(pixels)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    colours = _colours(marks)
    for mark in marks:
        if mark.mask is not None:
            image = _tinted(image, mark.mask, colours[mark.kind])
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(12, round(max(size) / 55)))
    for number, mark in enumerate(marks, 1):
        if mark.box is not None:
            _draw_box(draw, mark.box, scale, str(number), colours[mark.kind], font)
    return _with_legend(image, marks, colours, title)


def save_overlay(image: Image.Image, path: Path) -> None:
    """Write as JPEG or PNG by suffix, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90) if path.suffix.lower() in (".jpg", ".jpeg") else image.save(path)


def _scale(pixels: Pixels) -> float:
    longest = int(max(pixels.shape[:2]))
    if longest > _MAX_SIDE:
        return _MAX_SIDE / longest
    return min(4.0, _MIN_SIDE / longest) if longest < _MIN_SIDE else 1.0


def _colours(marks: Sequence[Mark]) -> dict[str, Colour]:
    kinds = list(dict.fromkeys(mark.kind for mark in marks))
    return {kind: PALETTE[i % len(PALETTE)] for i, kind in enumerate(kinds)}


def _tinted(image: Image.Image, mask: Mask, colour: Colour) -> Image.Image:
    """Tint the mask and draw its rim, so that it shows on any ground."""
    shape = Image.fromarray(masks.decode(mask)).convert("L")
    shape = shape.resize(image.size, Image.Resampling.BILINEAR)
    inside = np.asarray(shape) >= 128
    pixels = np.asarray(image).astype(np.float32)
    pixels[inside] = pixels[inside] * (1 - _FILL) + np.asarray(colour) * _FILL
    pixels[_rim(inside)] = colour
    return Image.fromarray(pixels.astype(np.uint8))


def _rim(
    inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    core = inside.copy()
    core[1:] &= inside[:-1]
    core[:-1] &= inside[1:]
    core[:, 1:] &= inside[:, :-1]
    core[:, :-1] &= inside[:, 1:]
    return inside & ~core


def _draw_box(
    draw: ImageDraw.ImageDraw,
    box: Box,
    scale: float,
    text: str,
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    corners = [round(v * scale) for v in (box.x1, box.y1, box.x2, box.y2)]
    x1, y1, x2, y2 = (
        corners[0],
        corners[1],
        max(corners[2], corners[0]),
        max(corners[3], corners[1]),
    )
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=_INK, width=1)
    draw.rectangle((x1, y1, x2, y2), outline=colour, width=2)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 8, bottom - top + 6
    above = y1 - height if y1 >= height else y1
    draw.rectangle((x1, above, x1 + width, above + height), fill=colour, outline=_INK)
    draw.text((x1 + 4 - left, above + 3 - top), text, fill=_INK, font=font)


def _with_legend(
    image: Image.Image, marks: Sequence[Mark], colours: dict[str, Colour], title: str
) -> Image.Image:
    font = ImageFont.load_default(max(14, round(image.width / 60)))
    line = round(font.size * 1.6) if isinstance(font, ImageFont.FreeTypeFont) else 20
    rows: list[tuple[Colour | None, str]] = [(None, title)]
    rows += [(colours[mark.kind], f"{n}  {mark.label}") for n, mark in enumerate(marks[:20], 1)]
    if len(marks) > 20:
        rows.append((None, f"and {len(marks) - 20} more"))
    sheet = Image.new("RGB", (image.width, image.height + line * len(rows) + 12), _PAPER)
    sheet.paste(image, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for index, (colour, text) in enumerate(rows):
        top = image.height + 6 + index * line
        if colour is not None:
            draw.rectangle((8, top + 3, 8 + line - 8, top + line - 5), fill=colour, outline=_INK)
        draw.text((8 if colour is None else line + 10, top), text, fill=_INK, font=font)
    return sheet
