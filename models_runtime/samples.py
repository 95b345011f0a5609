"""Sample photos drawn by code: solar cells, garments, walls, each sound or with known defects.

They feed the demo (marked as drawn there) and, beside real photos, the training of the extractor.
The same kind, defect, seed and size always give the same pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import Box, Pixels

Kind = Literal["solar", "garment", "wall"]
Canvas = NDArray[np.float32]
"""float32 (height, width, 3), RGB, 0..255."""
Region = NDArray[np.bool_]
Numbers = np.random.Generator

DEFECTS: dict[str, tuple[str, ...]] = {
    "solar": ("crack", "dark", "cross"),
    "garment": ("stain", "hole", "tear"),
    "wall": ("crack", "stain", "hole"),
}
"""What ``draw_sample`` can draw on each kind."""

GARMENTS: tuple[str, ...] = ("t-shirt", "longsleeve", "dress", "pants", "skirt")


@dataclass(frozen=True, slots=True)
class DrawnDefect:
    """A defect where it was drawn: its type, bool mask (height, width) and the box around it."""

    type: str
    mask: Region
    box: Box


def draw_sample(
    kind: Kind, defect: str | None, seed: int, size: tuple[int, int] = (480, 480)
) -> tuple[Pixels, list[DrawnDefect]]:
    """Draw one photo of ``size`` (height, width), with one to three defects of a type or none.

    ValueError where that defect cannot be drawn on that kind.
    """
    if defect is not None and defect not in DEFECTS[kind]:
        raise ValueError(f"no {defect!r} on {kind!r}; there are: {', '.join(DEFECTS[kind])}")
    numbers = np.random.default_rng([seed, sum(map(ord, kind)), size[0], size[1]])
    canvas, where = _SCENES[kind](numbers, size)
    defects: list[DrawnDefect] = []
    for _ in range(int(numbers.integers(1, 4)) if defect else 0):
        mask = paint_defect(canvas, defect or "", numbers, where)
        box = box_of(mask)
        if box is not None:
            defects.append(DrawnDefect(defect or "", mask, box))
    return _develop(canvas, numbers), defects


def paint_defect(canvas: Canvas, defect: str, numbers: Numbers, where: Region) -> Region:
    """Paint one defect in place on what ``where`` marks; return its mask, empty if it missed."""
    mask = _PAINTERS[defect](canvas, numbers, where)
    return np.asarray(mask & where, dtype=np.bool_)


def garment_of(seed: int, size: tuple[int, int] = (480, 480)) -> str:
    """Which of GARMENTS ``draw_sample("garment", …, seed, size)`` shows."""
    numbers = np.random.default_rng([seed, sum(map(ord, "garment")), size[0], size[1]])
    return GARMENTS[int(numbers.integers(len(GARMENTS)))]


def box_of(mask: Region) -> Box | None:
    """The tightest half-open box around a mask, None where it has under four pixels."""
    rows, columns = np.nonzero(mask)
    if len(rows) < 4:
        return None
    x1, y1 = float(columns.min()), float(rows.min())
    return Box(x1=x1, y1=y1, x2=float(columns.max()) + 1, y2=float(rows.max()) + 1)


# Scenes: each returns the canvas and the region where a defect may lie.


def _solar_cell(numbers: Numbers, size: tuple[int, int]) -> tuple[Canvas, Region]:
    """Electroluminescence of a cell: bright silicon, dark busbars, grains where polycrystalline."""
    _height, width = size
    poly = bool(numbers.random() < 0.5)
    glow = numbers.uniform(185, 215) + 9 * _noise(numbers, size, 0.45)
    glow -= numbers.uniform(0, 14) * _vignette(size)
    if poly:
        grains = np.clip(_noise(numbers, size, 0.055) - numbers.uniform(0.5, 1.0), 0, 1.3)
        patches = np.clip(_noise(numbers, size, 0.14) - 0.4, 0, 1)
        glow -= numbers.uniform(45, 85) * grains + 28 * patches
    else:
        # Contact fingers run across the busbars and show as a faint ribbing.
        ribs = np.sin(np.arange(width) * 2 * np.pi / max(3.0, width / 90))
        glow += 1.6 * ribs[None, :] + 3 * _noise(numbers, size, 0.02)
    margin = 0.012 * min(size)
    cell = _rounded(size, margin, numbers.uniform(0.03, 0.06) * min(size) if not poly else 2.0)
    _busbars(glow, numbers, dashed=not poly or numbers.random() < 0.4)
    edge = cv2.GaussianBlur(cell.astype(np.float32), (0, 0), 0.004 * min(size) + 0.6)
    glow = glow * edge + numbers.uniform(14, 30) * (1 - edge)
    inner = cv2.erode(cell.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    return np.repeat(glow[..., None], 3, axis=2).astype(np.float32), inner


def _busbars(glow: NDArray[np.float32], numbers: Numbers, dashed: bool) -> None:
    height, width = glow.shape
    bars = int(numbers.integers(2, 6))
    shade = np.ones_like(glow)
    for number in range(bars):
        y = int(height * (number + 0.55) / bars)
        cv2.line(shade, (0, y), (width, y), 0.45, max(1, height // 220))
        for dash in range(4 if dashed else 1):
            left = int(width * (0.04 + 0.235 * dash))
            right = int(left + width * (0.13 if dashed else 0.92))
            cv2.line(shade, (left, y), (right, y), 0.16, max(2, height // 75))
    glow *= cv2.GaussianBlur(shade, (0, 0), 0.0022 * height + 0.3)


def _garment(numbers: Numbers, size: tuple[int, int]) -> tuple[Canvas, Region]:
    """A garment laid flat on a sheet, a table or planks, in soft light from one side."""
    cut = GARMENTS[int(numbers.integers(len(GARMENTS)))]
    canvas = _floor(numbers, size)
    cloth = _silhouette(cut, numbers, size)
    soft = cv2.GaussianBlur(cloth.astype(np.float32), (0, 0), 1.0)
    shadow = cv2.GaussianBlur(np.roll(soft, (5, 6), (0, 1)), (0, 0), 0.016 * min(size))
    canvas *= 1 - 0.42 * (shadow * (1 - soft))[..., None]
    fabric = _fabric(numbers, size)
    outline = cv2.morphologyEx(
        cloth.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    ).astype(np.float32)
    hem = cv2.GaussianBlur(outline, (0, 0), 1.6)
    fabric *= 1 - 0.35 * np.clip(hem, 0, 1)[..., None]
    _seams(fabric, cut, size)
    canvas = canvas * (1 - soft[..., None]) + fabric * soft[..., None]
    inner = cv2.erode(cloth.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    return canvas.astype(np.float32), inner


def _floor(numbers: Numbers, size: tuple[int, int]) -> Canvas:
    height, width = size
    tone = _colour(numbers, 0.15, numbers.uniform(120, 235))
    canvas = np.ones((height, width, 3), np.float32) * tone
    style = numbers.integers(3)
    if style == 0:
        grain = _noise(numbers, size, 0.25, stretch=8.0)
        canvas = canvas * (1 + 0.07 * grain[..., None])
        for x in range(0, width, max(8, width // int(numbers.integers(4, 8)))):
            canvas[:, x : x + 2] *= 0.72
    elif style == 1:
        canvas *= 1 + 0.07 * _noise(numbers, size, 0.2)[..., None]
    else:
        canvas *= 1 + 0.05 * _noise(numbers, size, 0.012)[..., None]
    return canvas * _light(numbers, size)[..., None]


_CUTS: dict[str, list[tuple[float, float]]] = {
    "t-shirt": [
        (0.40, 0.12), (0.50, 0.17), (0.60, 0.12), (0.74, 0.18), (0.90, 0.36), (0.79, 0.44),
        (0.71, 0.36), (0.72, 0.88), (0.28, 0.88), (0.29, 0.36), (0.21, 0.44), (0.10, 0.36),
        (0.26, 0.18),
    ],
    "longsleeve": [
        (0.41, 0.12), (0.50, 0.16), (0.59, 0.12), (0.72, 0.17), (0.83, 0.40), (0.91, 0.78),
        (0.81, 0.80), (0.70, 0.42), (0.71, 0.88), (0.29, 0.88), (0.30, 0.42), (0.19, 0.80),
        (0.09, 0.78), (0.17, 0.40), (0.28, 0.17),
    ],
    "dress": [
        (0.38, 0.06), (0.42, 0.13), (0.50, 0.17), (0.58, 0.13), (0.62, 0.06), (0.68, 0.24),
        (0.63, 0.42), (0.82, 0.93), (0.18, 0.93), (0.37, 0.42), (0.32, 0.24),
    ],
    "pants": [
        (0.31, 0.07), (0.69, 0.07), (0.77, 0.50), (0.80, 0.94), (0.59, 0.94), (0.50, 0.38),
        (0.41, 0.94), (0.20, 0.94), (0.23, 0.50),
    ],
    "skirt": [(0.34, 0.20), (0.66, 0.20), (0.86, 0.82), (0.50, 0.87), (0.14, 0.82)],
}  # fmt: skip
"""Outlines of garments as (x, y) in parts of the picture."""


def _silhouette(cut: str, numbers: Numbers, size: tuple[int, int]) -> Region:
    height, width = size
    points = np.array(_CUTS[cut], dtype=np.float64) - 0.5
    points += numbers.normal(0, 0.009, points.shape)
    angle, scale = numbers.normal(0, 0.07), numbers.uniform(0.86, 1.02)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (points @ turn.T * scale + 0.5) * [width, height]
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    rounding = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.008 * min(size) + 0.5)
    return np.asarray(rounding > 0.5)


def _fabric(numbers: Numbers, size: tuple[int, int]) -> Canvas:
    """Dyed cloth with weave, folds and, now and then, stripes."""
    height, width = size
    colour = _colour(numbers, numbers.uniform(0.05, 0.75), numbers.uniform(50, 230))
    cloth = np.ones((height, width, 3), np.float32) * colour
    if numbers.random() < 0.25:
        period = numbers.uniform(0.03, 0.09) * height
        stripes = np.sin(np.arange(height) * 2 * np.pi / period) > 0.2
        cloth[stripes] = _colour(numbers, 0.4, numbers.uniform(60, 230))
    weave = 0.03 * _noise(numbers, size, 0.006)
    folds = 0.10 * _noise(numbers, size, 0.22, stretch=2.6) + 0.05 * _noise(numbers, size, 0.07)
    return np.asarray(cloth * (1 + weave + folds)[..., None], dtype=np.float32)


def _seams(fabric: Canvas, cut: str, size: tuple[int, int]) -> None:
    height, width = size
    y = {"pants": 0.12, "skirt": 0.25}.get(cut)
    if y is not None:
        line = int(y * height)
        fabric[line : line + 2, int(0.25 * width) : int(0.75 * width)] *= 0.75
    if cut in ("t-shirt", "longsleeve"):
        centre = (width // 2, int(0.12 * height))
        axes = (int(0.095 * width), int(0.075 * height))
        shade = np.ones(size, np.float32)
        cv2.ellipse(shade, centre, axes, 0, 0, 180, 0.72, max(1, height // 160))
        fabric *= cv2.GaussianBlur(shade, (0, 0), 0.7)[..., None]


def _wall(numbers: Numbers, size: tuple[int, int]) -> tuple[Canvas, Region]:
    """Painted plaster, bare concrete, asphalt or brickwork in raking light."""
    height, width = size
    style = ("plaster", "concrete", "asphalt", "brick")[int(numbers.integers(4))]
    level, tint = {
        "plaster": (numbers.uniform(165, 235), 0.12),
        "concrete": (numbers.uniform(120, 180), 0.05),
        "asphalt": (numbers.uniform(70, 125), 0.03),
        "brick": (numbers.uniform(105, 155), 0.35),
    }[style]
    canvas = np.ones((height, width, 3), np.float32) * _colour(numbers, tint, level, warm=True)
    rough = {"plaster": 0.02, "concrete": 0.04, "asphalt": 0.13, "brick": 0.06}[style]
    texture = rough * _noise(numbers, size, 0.008) + 0.6 * rough * _noise(numbers, size, 0.003)
    canvas *= 1 + (texture + 0.045 * _noise(numbers, size, 0.3))[..., None]
    if style == "brick":
        _bricks(canvas, numbers)
    if style == "concrete":
        _pores(canvas, numbers)
    canvas *= _light(numbers, size)[..., None]
    inner = np.zeros(size, np.bool_)
    inner[height // 14 : -height // 14, width // 14 : -width // 14] = True
    return canvas.astype(np.float32), inner


def _bricks(canvas: Canvas, numbers: Numbers) -> None:
    height, width = canvas.shape[:2]
    tall, long = height // int(numbers.integers(9, 14)), width // int(numbers.integers(4, 7))
    joint = max(2, tall // 9)
    mortar = _colour(numbers, 0.06, 175, warm=True)
    for row, y in enumerate(range(0, height, tall)):
        for x in range(-(row % 2) * long // 2, width, long):
            canvas[y : y + tall, max(0, x) : max(0, x + long)] *= numbers.uniform(0.86, 1.1)
            canvas[y : y + tall, max(0, x) : max(0, x + joint)] = mortar
        canvas[y : y + joint] = mortar


def _pores(canvas: Canvas, numbers: Numbers) -> None:
    height, width = canvas.shape[:2]
    shade = np.ones((height, width), np.float32)
    for _ in range(int(numbers.integers(10, 40))):
        spot = (int(numbers.integers(width)), int(numbers.integers(height)))
        cv2.circle(shade, spot, int(numbers.integers(1, 3)), 0.72, -1)
    canvas *= cv2.GaussianBlur(shade, (0, 0), 0.6)[..., None]


# Painters: each changes the canvas in place and returns the mask of what it painted.


def _crack(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A jagged dark line of changing width, sometimes with a branch."""
    line = np.zeros(where.shape, np.uint8)
    start = _spot(numbers, where)
    heading = numbers.uniform(0, 2 * np.pi)
    reach = numbers.uniform(0.25, 0.85) * max(where.shape)
    thick = max(1, round(min(where.shape) * numbers.uniform(0.002, 0.008)))
    path = _walk(line, start, heading, reach, thick, numbers)
    if numbers.random() < 0.5:
        fork = path[len(path) // 2]
        turn = heading + numbers.choice([-1, 1]) * numbers.uniform(0.5, 1.2)
        _walk(line, fork, turn, 0.4 * reach, max(1, thick - 1), numbers)
    soft = cv2.GaussianBlur(line.astype(np.float32), (0, 0), 0.6)
    depth = numbers.uniform(0.45, 0.85) * np.clip(1.35 * soft, 0, 1) * where
    canvas *= 1 - depth[..., None]
    grown = cv2.dilate(line, np.ones((3, 3), np.uint8))
    return np.asarray(grown.astype(bool))


def _walk(
    line: NDArray[np.uint8],
    start: tuple[float, float],
    heading: float,
    reach: float,
    thick: int,
    numbers: Numbers,
) -> list[tuple[float, float]]:
    step = max(3.0, reach / 40)
    path = [start]
    for _ in range(int(reach / step)):
        heading += numbers.normal(0, 0.22)
        bend = heading + numbers.normal(0, 0.4)
        x, y = path[-1]
        path.append((x + step * np.cos(bend), y + step * np.sin(bend)))
    for (x1, y1), (x2, y2) in itertools.pairwise(path):
        width = max(1, thick + int(numbers.integers(-1, 2)))
        cv2.line(line, (round(x1), round(y1)), (round(x2), round(y2)), 1, width, cv2.LINE_AA)
    return path


def _scratch(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A few thin, nearly straight bright or dark strokes side by side."""
    line = np.zeros(where.shape, np.uint8)
    x, y = _spot(numbers, where)
    angle, reach = numbers.uniform(0, np.pi), numbers.uniform(0.12, 0.5) * max(where.shape)
    for _ in range(int(numbers.integers(1, 4))):
        shift = numbers.normal(0, 0.008 * max(where.shape), 2)
        dx, dy = 0.5 * reach * np.cos(angle), 0.5 * reach * np.sin(angle)
        ends = [(round(x + shift[0] + s * dx), round(y + shift[1] + s * dy)) for s in (-1, 1)]
        cv2.line(line, ends[0], ends[1], 1, max(1, min(where.shape) // 200), cv2.LINE_AA)
    bright = 255.0 if numbers.random() < 0.7 else 20.0
    blend = numbers.uniform(0.35, 0.8) * line.astype(np.float32)[..., None] * where[..., None]
    canvas += blend * (bright - canvas)
    return np.asarray(cv2.dilate(line, np.ones((3, 3), np.uint8)).astype(bool))


def _stain(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """Spilt colour: an uneven blob with a darker rim; the texture below stays visible."""
    blob = _blob(numbers, where, numbers.uniform(0.05, 0.13))
    soft = cv2.GaussianBlur(blob.astype(np.float32), (0, 0), 0.008 * min(where.shape) + 0.5)
    rim = np.clip(soft * (1 - soft) * 4, 0, 1)
    colour = np.array(
        [(120, 78, 40), (90, 40, 30), (70, 75, 55), (60, 60, 70), (150, 120, 40)][
            int(numbers.integers(5))
        ],
        dtype=np.float32,
    )
    strength = numbers.uniform(0.35, 0.8) * (0.8 + 0.2 * _noise(numbers, where.shape, 0.04))
    cover = np.clip(strength * (0.75 * soft + 0.35 * rim), 0, 0.95) * where
    wet = canvas * (colour / 190)
    canvas += cover[..., None] * (wet - canvas)
    return blob


def _hole(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A hole or a broken-out spot: dark inside, lit along one edge, frayed."""
    blob = _blob(numbers, where, numbers.uniform(0.025, 0.075))
    soft = cv2.GaussianBlur(blob.astype(np.float32), (0, 0), 0.8)
    inside = canvas.mean((0, 1)) * numbers.uniform(0.12, 0.4)
    depth = inside * (1 + 0.12 * _noise(numbers, where.shape, 0.015))[..., None]
    wide = cv2.GaussianBlur(blob.astype(np.float32), (0, 0), 0.006 * min(where.shape) + 0.8)
    lit = np.clip(np.roll(wide, (2, 2), (0, 1)) - soft, 0, 1) * where
    canvas += 60 * lit[..., None]
    canvas += (soft * where)[..., None] * (depth - canvas)
    return blob


def _tear(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A rip: a long thin opening, dark inside, with light threads along its edge."""
    x, y = _spot(numbers, where)
    blob = np.zeros(where.shape, np.uint8)
    reach = numbers.uniform(0.06, 0.16) * max(where.shape)
    axes = (round(reach), max(2, round(reach * numbers.uniform(0.1, 0.25))))
    cv2.ellipse(blob, (round(x), round(y)), axes, numbers.uniform(0, 180), 0, 360, 1, -1)
    ragged = blob.astype(np.float32) + 0.35 * _noise(numbers, where.shape, 0.012) * (blob > 0)
    opening = ragged > 0.6
    soft = cv2.GaussianBlur(opening.astype(np.float32), (0, 0), 0.8) * where
    rim = np.clip(cv2.GaussianBlur(soft, (0, 0), 2.0) - soft, 0, 1)
    canvas += 90 * rim[..., None]
    canvas += soft[..., None] * (canvas.mean((0, 1)) * 0.22 - canvas)
    return np.asarray(opening)


def _dark(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """An inactive part of a cell: a sharp-edged piece between cracks that glows little."""
    height, width = where.shape
    x, y = _spot(numbers, where)
    corners = int(numbers.integers(4, 7))
    angles = np.sort(numbers.uniform(0, 2 * np.pi, corners))
    reach = numbers.uniform(0.08, 0.30) * np.array([width, height]) * numbers.uniform(0.5, 1, 2)
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * reach + (x, y)
    piece = np.zeros(where.shape, np.uint8)
    cv2.fillPoly(piece, [points.round().astype(np.int32)], 1)
    soft = cv2.GaussianBlur(piece.astype(np.float32), (0, 0), 0.7) * where
    canvas *= 1 - (numbers.uniform(0.4, 0.85) * soft)[..., None]
    return np.asarray(piece.astype(bool))


def _cross(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A small dark cross or star, as where something hit the cell."""
    x, y = _spot(numbers, where)
    size = max(3.0, numbers.uniform(0.012, 0.032) * min(where.shape))
    mark = np.zeros(where.shape, np.uint8)
    turn = numbers.uniform(0, np.pi)
    for angle in (turn, turn + np.pi / 2):
        dx, dy = size * np.cos(angle), size * np.sin(angle)
        ends = (round(x - dx), round(y - dy)), (round(x + dx), round(y + dy))
        cv2.line(mark, ends[0], ends[1], 1, max(1, round(size / 2.5)), cv2.LINE_AA)
    soft = np.clip(1.3 * cv2.GaussianBlur(mark.astype(np.float32), (0, 0), 0.8), 0, 1) * where
    canvas *= 1 - (numbers.uniform(0.6, 0.9) * soft)[..., None]
    return np.asarray(cv2.dilate(mark, np.ones((3, 3), np.uint8)).astype(bool))


def _dent(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """A pressed-in spot: shade on the side of the light, a highlight opposite."""
    blob = _blob(numbers, where, numbers.uniform(0.04, 0.10))
    depth = cv2.GaussianBlur(blob.astype(np.float32), (0, 0), 0.02 * min(where.shape) + 1)
    slope = cv2.Sobel(depth, cv2.CV_32F, 1, 0) + cv2.Sobel(depth, cv2.CV_32F, 0, 1)
    slope /= float(np.abs(slope).max()) + 1e-6
    canvas *= 1 + (numbers.uniform(0.3, 0.55) * slope * where)[..., None]
    return blob


def _misprint(canvas: Canvas, numbers: Numbers, where: Region) -> Region:
    """Print out of register: the colours of a rectangle are shifted against each other."""
    height, width = where.shape
    x, y = _spot(numbers, where)
    tall, wide = (numbers.uniform(0.08, 0.22, 2) * (height, width)).astype(int)
    mask = np.zeros(where.shape, np.bool_)
    mask[max(0, int(y) - tall) : int(y) + tall, max(0, int(x) - wide) : int(x) + wide] = True
    mask &= where
    shift = int(numbers.integers(3, max(4, width // 40) + 4))
    for channel, side in ((0, shift), (2, -shift)):
        moved = np.roll(canvas[..., channel], (side, side), (0, 1))
        canvas[..., channel][mask] = moved[mask]
    return mask


_SCENES: dict[str, Callable[[Numbers, tuple[int, int]], tuple[Canvas, Region]]] = {
    "solar": _solar_cell,
    "garment": _garment,
    "wall": _wall,
}

_PAINTERS: dict[str, Callable[[Canvas, Numbers, Region], Region]] = {
    "crack": _crack,
    "scratch": _scratch,
    "stain": _stain,
    "hole": _hole,
    "tear": _tear,
    "dark": _dark,
    "cross": _cross,
    "dent": _dent,
    "misprint": _misprint,
}


# Light, noise and colour.


def _develop(canvas: Canvas, numbers: Numbers) -> Pixels:
    """Add the noise of a sensor and round to bytes."""
    grain = numbers.normal(0, 2.2, canvas.shape[:2]).astype(np.float32)
    return np.asarray(np.clip(canvas + grain[..., None], 0, 255), dtype=np.uint8)


def _noise(
    numbers: Numbers, size: tuple[int, ...], scale: float, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Smooth noise of unit spread; ``scale`` is the size of its blobs in parts of the picture."""
    height, width = size[0], size[1]
    rows = min(height, max(2, round(1 / (scale * stretch)) + 2))
    columns = min(width, max(2, round(1 / scale) + 2))
    coarse = numbers.standard_normal((rows, columns)).astype(np.float32)
    return np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32
    )


def _light(numbers: Numbers, size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = size
    angle = numbers.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    slope = np.cos(angle) * x + np.sin(angle) * y
    return np.asarray(1 + numbers.uniform(0.05, 0.28) * slope, dtype=np.float32)


def _vignette(size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(x**2 + y**2, dtype=np.float32)


def _rounded(size: tuple[int, int], margin: float, radius: float) -> Region:
    """A rectangle with cut corners, as monocrystalline cells have them."""
    height, width = size
    m, c = margin, margin + radius
    outline = [
        (c, m), (width - c, m), (width - m, c), (width - m, height - c),
        (width - c, height - m), (c, height - m), (m, height - c), (m, c),
    ]  # fmt: skip
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.array(outline).round().astype(np.int32)], 1)
    return np.asarray(mask.astype(bool))


def _colour(
    numbers: Numbers, saturation: float, level: float, warm: bool = False
) -> NDArray[np.float32]:
    hue = numbers.uniform(10, 25) if warm else numbers.uniform(0, 180)
    pixel = np.array([[[hue, 255 * saturation, level]]]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], dtype=np.float32)


def _spot(numbers: Numbers, where: Region) -> tuple[float, float]:
    """A random (x, y) inside the region."""
    flat = np.flatnonzero(where)
    if len(flat) == 0:
        return where.shape[1] / 2, where.shape[0] / 2
    row, column = divmod(int(flat[int(numbers.integers(len(flat)))]), where.shape[1])
    return float(column), float(row)


def _blob(numbers: Numbers, where: Region, radius: float) -> Region:
    """An uneven round shape of about ``radius`` (in parts of the picture's shorter side)."""
    x, y = _spot(numbers, where)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wobble = np.ones_like(angles)
    for wave in range(2, 7):
        phase = numbers.uniform(0, 2 * np.pi)
        wobble += numbers.normal(0, 0.28 / wave) * np.sin(wave * angles + phase)
    reach = radius * min(where.shape) * np.clip(wobble, 0.35, 1.8)
    squash = numbers.uniform(0.65, 1.0)
    points = np.stack([x + reach * np.cos(angles), y + squash * reach * np.sin(angles)], 1)
    mask = np.zeros(where.shape, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return np.asarray(mask.astype(bool))
