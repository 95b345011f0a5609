"""Drawn defects on real and drawn surfaces: scratches, stains, blobs, shapes, with exact masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.training.sam_data import Scene

Coverage = NDArray[np.float32]
Rng = np.random.Generator


def draw_scene(rng: Rng, surfaces: Sequence[NDArray[np.uint8]], side: int) -> Scene:
    """Draw 2 to 8 objects on a surface; later ones lie on top. Pixels and ids are side x side."""
    pixels = _surface(rng, surfaces, side).astype(np.float32)
    ids = np.zeros((side, side), np.int32)
    for number in range(1, int(rng.integers(2, 9)) + 1):
        draw = SHAPES[int(rng.integers(len(SHAPES)))]
        coverage = draw(rng, side)
        pixels = _paint(rng, pixels, coverage)
        ids[coverage > 0.5] = number
    names = {int(i): "drawn" for i in np.unique(ids) if i > 0}
    return Scene("drawn", np.clip(pixels, 0, 255).astype(np.uint8), ids, names, True)


def _surface(rng: Rng, surfaces: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    if not surfaces or rng.random() < 0.4:
        return _drawn_surface(rng, side)
    photo = surfaces[int(rng.integers(len(surfaces)))]
    short = min(photo.shape[:2])
    part = int(rng.integers(max(short // 3, 1), short + 1))
    y = int(rng.integers(photo.shape[0] - part + 1))
    x = int(rng.integers(photo.shape[1] - part + 1))
    return np.asarray(cv2.resize(photo[y : y + part, x : x + part], (side, side)), dtype=np.uint8)


def _drawn_surface(rng: Rng, side: int) -> NDArray[np.uint8]:
    base = rng.uniform(10, 245, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(5, 250))
    coarse = _noise(rng, side, int(rng.integers(2, 12))) * rng.uniform(0, 60)
    fine = rng.standard_normal((side, side)).astype(np.float32) * rng.uniform(0, 14)
    ramp = np.linspace(-1, 1, side, dtype=np.float32)[:, None] * rng.uniform(-40, 40)
    shaded = np.clip(base + (coarse + fine + ramp)[..., None], 0, 255)
    return np.asarray(shaded, np.uint8)


def _noise(rng: Rng, side: int, cells: int) -> Coverage:
    """Smooth noise in about -1..1 with ``cells`` bumps along each side."""
    grid = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32) * 0.5
    return np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _paint(rng: Rng, pixels: Coverage, coverage: Coverage) -> Coverage:
    inside = pixels[coverage > 0.5]
    if inside.size == 0:
        return pixels
    shift = rng.choice((-1.0, 1.0)) * rng.uniform(18, 110)
    grey = rng.random() < 0.5
    colour = inside.mean(axis=0) + (shift if grey else shift * rng.uniform(0.2, 1.0, 3))
    texture = _noise(rng, len(pixels), int(rng.integers(4, 30))) * rng.uniform(0, 25)
    fill = colour + texture[..., None]
    opacity = rng.uniform(0.55, 1.0)
    soft = cv2.GaussianBlur(coverage, (0, 0), rng.uniform(0.4, 1.6))
    alpha = (soft * opacity)[..., None]
    return np.asarray(pixels * (1 - alpha) + fill * alpha, np.float32)


def _place(rng: Rng, side: int) -> tuple[float, float, float]:
    size = side * float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    return rng.uniform(0.05, 0.95) * side, rng.uniform(0.05, 0.95) * side, size


def _ellipse(rng: Rng, side: int) -> Coverage:
    x, y, size = _place(rng, side)
    canvas = np.zeros((side, side), np.float32)
    axes = (max(1, int(size)), max(1, int(size * rng.uniform(0.4, 1))))
    cv2.ellipse(canvas, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA)
    return canvas


def _polygon(rng: Rng, side: int) -> Coverage:
    x, y, size = _place(rng, side)
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = size * rng.uniform(0.5, 1.2, count)
    points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
    canvas = np.zeros((side, side), np.float32)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1.0, cv2.LINE_AA)
    return canvas


def _rectangle(rng: Rng, side: int) -> Coverage:
    x, y, size = _place(rng, side)
    box = cv2.boxPoints(
        (
            (x, y),
            (2 * size, 2 * size * rng.uniform(0.15, 1)),
            float(rng.choice((0, 90, rng.uniform(0, 180)))),
        )
    )
    canvas = np.zeros((side, side), np.float32)
    cv2.fillPoly(canvas, [box.astype(np.int32)], 1.0, cv2.LINE_AA)
    return canvas


def _stain(rng: Rng, side: int) -> Coverage:
    x, y, size = _place(rng, side)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    distance = np.hypot(columns - x, rows - y) / max(size, 2.0)
    bumps = _noise(rng, side, max(2, int(side / max(size, 4)))) * rng.uniform(0.2, 0.8)
    depth = (1 - distance + bumps) * max(size, 2.0) * 0.5
    return np.asarray(np.clip(depth, 0, 1), np.float32)


def _scratch(rng: Rng, side: int) -> Coverage:
    x, y, size = _place(rng, side)
    steps = int(rng.integers(3, 14))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.05, 0.6), steps))
    stride = 3 * size / steps
    points = np.stack(
        [x + np.cumsum(np.cos(heading)) * stride, y + np.cumsum(np.sin(heading)) * stride], axis=1
    )
    canvas = np.zeros((side, side), np.float32)
    cv2.polylines(
        canvas, [points.astype(np.int32)], False, 1.0, int(rng.integers(1, 7)), cv2.LINE_AA
    )
    return canvas


SHAPES: tuple[Callable[[Rng, int], Coverage], ...] = (
    _ellipse,
    _polygon,
    _rectangle,
    _stain,
    _stain,
    _scratch,
)
