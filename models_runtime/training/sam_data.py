"""Photos with masks for training and measuring Loupe-SAM, held in memory.

Every mask comes from the data's own labels; drawn pictures (``sam_drawn``) know theirs by
construction. A scene is a photo with a map of ids; what counts as one object follows from its kind.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_AREA = 16
"""Smaller components (in pixels of the photo) are specks of the labelling, not objects."""

COOKIES_HELD_OUT = 5

SOLAR_NAMES = {1: "dark", 2: "cross", 3: "crack", 4: "busbar"}
ROAD_NAMES = {1: "crack", 2: "pothole"}


@dataclass(frozen=True, slots=True)
class Scene:
    """``pixels``: RGB uint8 (h,w,3). ``ids``: int32 (h,w), 0 is background.

    ``names`` maps an id to what it is. With ``instances`` each id is one object; else an id is a
    class, and its connected components and the class as a whole are the objects.
    """

    source: str
    pixels: NDArray[np.uint8]
    ids: NDArray[np.int32]
    names: dict[int, str]
    instances: bool


@dataclass(frozen=True, slots=True)
class Object:
    """One thing to segment: bool mask (h,w) of its scene, and what the data calls it."""

    mask: NDArray[np.bool_]
    name: str
    whole_class: bool = False


def load_scenes(root: Path, split: str, limit: int | None = None) -> list[Scene]:
    """Read every scene with masks of one split; ``limit`` keeps the first few of each data set."""
    readers = (
        _solar(root, split),
        _nuclei(root, split),
        _cookies(root, split),
        _roads(root, split),
    )
    scenes: list[Scene] = []
    for reader in readers:
        for count, scene in enumerate(reader):
            if limit is not None and count >= limit:
                break
            scenes.append(scene)
    return scenes


def load_surfaces(root: Path, limit: int) -> list[NDArray[np.uint8]]:
    """Photos without labels of ours to draw on, from train splits only, longest side ≤ 400 px."""
    found: list[NDArray[np.uint8]] = []
    for folder in ("clothing", "grocery", "quaywall", "toys", "stations"):
        rows = _rows(root / folder, "train") if (root / folder / "labels.csv").exists() else []
        for row in rows[:: max(1, len(rows) // limit)][:limit]:
            pixels = read_photo(root / folder / row["image"])
            scale = min(1.0, 400 / max(pixels.shape[:2]))
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            found.append(np.asarray(small, np.uint8))
    return found


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read RGB pixels; FileNotFoundError where there is no such picture."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(f"cannot read the picture {path}")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _read_ids(path: Path) -> NDArray[np.int32]:
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if ids is None:
        raise FileNotFoundError(f"cannot read the mask {path}")
    return np.asarray(ids, dtype=np.int32)


def _rows(folder: Path, split: str) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def _solar(root: Path, split: str) -> Iterator[Scene]:
    for row in _rows(root / "solar", split):
        if {"1", "2", "3"} & set(row["values"].split()):
            yield _classes(root / "solar", row["image"], row["mask"], "solar", SOLAR_NAMES)


def _roads(root: Path, split: str) -> Iterator[Scene]:
    for row in _rows(root / "roads", split):
        if int(row["pothole_px"]) + int(row["crack_px"]) > 0:
            yield _classes(root / "roads", row["image"], row["mask"], "roads", ROAD_NAMES)


def _cookies(root: Path, split: str) -> Iterator[Scene]:
    """The val split of the cookies has no masks, so every fifth masked photo is kept for val."""
    masked = [row for row in _rows(root / "cookies", "train") if row["mask"]]
    for number, row in enumerate(masked):
        if (number % COOKIES_HELD_OUT == 0) == (split == "val"):
            yield _classes(root / "cookies", row["image"], row["mask"], "cookies", {255: "broken"})


def _classes(folder: Path, image: str, mask: str, source: str, names: dict[int, str]) -> Scene:
    return Scene(source, read_photo(folder / image), _read_ids(folder / mask), names, False)


def _nuclei(root: Path, split: str) -> Iterator[Scene]:
    folder = root / "nuclei"
    for row in _rows(folder, split):
        ids = _read_ids(folder / row["labels"])
        names = {int(i): "nucleus" for i in np.unique(ids) if i > 0}
        yield Scene("nuclei", read_photo(folder / row["image"]), ids, names, True)


def objects(scene: Scene, min_area: int = MIN_AREA) -> list[Object]:
    """All objects of a scene with at least ``min_area`` pixels, in the order of their ids."""
    found: list[Object] = []
    for number in sorted(int(i) for i in np.unique(scene.ids) if int(i) in scene.names):
        mask = scene.ids == number
        name = scene.names[number]
        if scene.instances:
            parts = [mask]
        else:
            parts = _components(mask)
            if len(parts) > 1:
                found.append(Object(mask, name, whole_class=True))
        found.extend(Object(part, name) for part in parts)
    return [item for item in found if int(item.mask.sum()) >= min_area]


def _components(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [np.asarray(labels == i) for i in range(1, count)]


def bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Half-open box x1 y1 x2 y2 around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
