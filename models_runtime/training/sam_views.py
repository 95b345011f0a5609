"""From a scene to what one training step sees: an augmented view, its objects and their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.training.sam_data import Scene, bounds

Rng = np.random.Generator
MIN_CELLS = 3.0
"""Objects that cover fewer cells of the low-resolution grid in a view are left out of it."""

WEIGHTS = {"dark": 4.0, "cross": 1.0, "crack": 1.0, "busbar": 0.3, "pothole": 3.0}


@dataclass(frozen=True, slots=True)
class Indexed:
    """A scene whose ids are single objects; ``groups`` are the objects, some of several ids.

    ``kinds``: for each id, from 0 on, its place in ``KINDS``; 0 for the background.
    """

    source: str
    pixels: NDArray[np.uint8]
    ids: NDArray[np.int32]
    kinds: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class View:
    """``pixels``: RGB float32 (S,S,3), 0..255, zero where padded. ``targets``: share of each cell
    of the grid that the object covers, float32 (N,S/2,S/2). ``boxes``: float32 (N,4), input px.
    ``dense``: the same for every kind and, first, for edges of objects, float32 (K,S/2,S/2);
    ``asked``: 1 for the kinds that this photo's labels speak of, float32 (K,)."""

    pixels: NDArray[np.float32]
    targets: NDArray[np.float32]
    boxes: NDArray[np.float32]
    dense: NDArray[np.float32]
    asked: NDArray[np.float32]


KINDS = ("edge", "dark", "cross", "crack", "busbar", "nucleus", "broken", "pothole", "drawn")
"""What the encoder learns to see before it is prompted; the first is the rim of any object."""


def index(scene: Scene) -> Indexed:
    """Give every connected component (or instance) its own id."""
    if scene.instances:
        numbers = [int(i) for i in np.unique(scene.ids) if i > 0]
        groups = tuple((i,) for i in numbers)
        kinds = [0] * (max(numbers, default=0) + 1)
        for number in numbers:
            kinds[number] = KINDS.index(scene.names[number])
        weights = (1.0,) * len(groups)
        return Indexed(scene.source, scene.pixels, scene.ids, tuple(kinds), groups, weights)
    return _index_classes(scene)


def _index_classes(scene: Scene) -> Indexed:
    ids = np.zeros_like(scene.ids)
    found: list[tuple[int, ...]] = []
    weights: list[float] = []
    kinds = [0]
    for number, name in scene.names.items():
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            (scene.ids == number).astype(np.uint8)
        )
        new = tuple(range(int(ids.max()) + 1, int(ids.max()) + len(stats)))
        ids = np.where(labels > 0, labels + int(ids.max()), ids).astype(np.int32)
        kinds += [KINDS.index(name)] * len(new)
        single = [(i,) for i in new]
        areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
        weight = WEIGHTS.get(name, 1.0)
        found += single
        weights += [weight * float(np.sqrt(a)) if a >= 8 else 0.0 for a in areas]
        if len(new) > 1:
            found.append(new)
            weights.append(weight * float(np.sqrt(areas.sum())))
    return Indexed(scene.source, scene.pixels, ids, tuple(kinds), tuple(found), tuple(weights))


def make_view(rng: Rng, scene: Indexed, size: int, count: int, whole: float = 0.5) -> View | None:
    """A random view with ``count`` objects, repeated where fewer are there; None for no object.

    ``whole`` is the chance of the whole photo instead of a crop of it.
    """
    turns, flip = int(rng.integers(4)), bool(rng.random() < 0.5)
    pixels, ids = _turn(scene.pixels, turns, flip), _turn(scene.ids, turns, flip)
    y1, y2, x1, x2 = _window(rng, ids, bool(rng.random() < whole))
    pixels, ids = pixels[y1:y2, x1:x2], ids[y1:y2, x1:x2]
    height, width = _scaled(rng, ids.shape, size)
    chosen = _choose(rng, scene, ids, (height * width) / ids.size / 4, count)
    if not chosen:
        return None
    masks = [np.isin(ids, scene.groups[i]) for i in chosen]
    shrink = height < ids.shape[0]
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    photo = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
    canvas = np.zeros((size, size, 3), np.float32)
    canvas[:height, :width] = recolour(rng, photo)
    targets = np.stack([cover(mask, height, width, size) for mask in masks])
    scale = np.array([width / ids.shape[1], height / ids.shape[0]] * 2)
    boxes = np.stack([np.array(bounds(mask)) * scale for mask in masks]).astype(np.float32)
    dense, asked = _dense(scene, ids, height, width, size)
    return View(canvas, targets, boxes, dense, asked)


def _dense(
    scene: Indexed, ids: NDArray[np.int32], height: int, width: int, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    dense = np.zeros((len(KINDS), size // 2, size // 2), np.float32)
    asked = np.zeros(len(KINDS), np.float32)
    rim = np.zeros(ids.shape, bool)
    rim[1:] |= ids[1:] != ids[:-1]
    rim[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    dense[0] = cover(rim, height, width, size)
    asked[[0, *scene.kinds[1:]]] = 1.0
    kinds = np.array(scene.kinds)[ids]
    for kind in (int(k) for k in np.unique(kinds) if k > 0):
        dense[kind] = cover(kinds == kind, height, width, size)
    return dense, asked


def cover(mask: NDArray[np.bool_], height: int, width: int, size: int) -> NDArray[np.float32]:
    """Share of each cell (2x2 input px) that a mask, resized to height x width, covers."""
    grid = np.zeros((size // 2, size // 2), np.float32)
    rows, columns = max(1, round(height / 2)), max(1, round(width / 2))
    method = cv2.INTER_AREA if rows < mask.shape[0] else cv2.INTER_LINEAR
    grid[:rows, :columns] = cv2.resize(
        mask.astype(np.float32), (columns, rows), interpolation=method
    )
    return grid


def _turn(array: NDArray[Any], turns: int, flip: bool) -> NDArray[Any]:
    turned = np.rot90(array, turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def _window(rng: Rng, ids: NDArray[np.int32], whole: bool) -> tuple[int, int, int, int]:
    """Rows and columns y1 y2 x1 x2 of a crop that holds some pixel of an object."""
    height, width = ids.shape
    rows, columns = np.nonzero(ids)
    if whole or not len(rows):
        return 0, height, 0, width
    pick = int(rng.integers(len(rows)))
    side = rng.uniform(0.3, 0.9) * max(height, width)
    tall, wide = (int(min(side * rng.uniform(0.75, 1.0), n)) for n in (height, width))
    top = int(np.clip(rows[pick] - rng.uniform(0, tall), 0, height - tall))
    left = int(np.clip(columns[pick] - rng.uniform(0, wide), 0, width - wide))
    return top, top + tall, left, left + wide


def _scaled(rng: Rng, shape: Sequence[int], size: int) -> tuple[int, int]:
    """Height and width in the input: the longest side fills it, mostly; sometimes squeezed."""
    scale = size / max(shape)
    if rng.random() < 0.3:
        scale *= rng.uniform(0.6, 1.0)
    squeeze = rng.uniform(0.8, 1.0, 2) if rng.random() < 0.3 else (1.0, 1.0)
    return max(8, int(shape[0] * scale * squeeze[0])), max(8, int(shape[1] * scale * squeeze[1]))


def _choose(
    rng: Rng, scene: Indexed, ids: NDArray[np.int32], cells_per_pixel: float, count: int
) -> list[int]:
    areas = np.bincount(ids.ravel(), minlength=int(scene.ids.max()) + 1)
    visible = np.array([areas[list(group)].sum() * cells_per_pixel for group in scene.groups])
    weights = np.where(visible >= MIN_CELLS, np.array(scene.weights), 0.0)
    if weights.sum() <= 0:
        return []
    enough = int((weights > 0).sum()) >= count
    chosen = rng.choice(len(weights), count, replace=not enough, p=weights / weights.sum())
    return [int(i) for i in chosen]


def recolour(rng: Rng, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness, contrast, gamma, colour cast, grey, inversion, blur, noise and JPEG by chance."""
    x: NDArray[Any] = photo.astype(np.float32)
    if rng.random() < 0.15:
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.08:
        x = 255 - x
    if rng.random() < 0.7:
        x = (x - 128) * rng.uniform(0.6, 1.5) + 128 + rng.uniform(-40, 40)
    if rng.random() < 0.4:
        x = x * rng.uniform(0.85, 1.15, 3)
    x = np.clip(x, 0, 255)
    if rng.random() < 0.3:
        x = 255 * (x / 255) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.15:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2)))
    if rng.random() < 0.2:
        x = x + rng.standard_normal(x.shape).astype(np.float32) * rng.uniform(1, 10)
    x = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        _, coded = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
        x = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return np.asarray(x, np.float32)
