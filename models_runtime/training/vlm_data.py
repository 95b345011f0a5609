"""Photos for training Loupe-VLM, read once into memory, with what is known about each.

Nothing of the data set is kept by the project; see the model card for sources and licences.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.samples import DEFECTS as DRAWN_DEFECTS
from models_runtime.samples import Kind, draw_sample, garment_of
from models_runtime.vlm.words import domain

IGNORE = 255
"""Value of the label map where nobody knows."""
HOLDOUT = 0.08
"""Part of train that no gradient sees: thresholds and temperatures are fitted on it."""

Bytes = NDArray[np.uint8]


RelativeBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 in shares of the photo's width and height."""


@dataclass(frozen=True, slots=True)
class Check:
    """A state that somebody asked for: is it met, and where on the photo is that decided?"""

    text: str
    met: bool
    region: RelativeBox | None


@dataclass(slots=True)
class Photo:
    """One photo. ``places``: label map (height, width) of 1 + index into the domain's defects.

    ``present``: defect type → seen or not, only where known. ``defective``: None where unknown.
    """

    pixels: Bytes
    domain: str
    name: str
    split: str
    labels: dict[str, str] = field(default_factory=dict)
    places: Bytes | None = None
    present: dict[str, bool] = field(default_factory=dict)
    defective: bool | None = None
    drawn: bool = False
    checks: tuple[Check, ...] = ()
    objects: tuple[tuple[str, RelativeBox], ...] = ()
    """Named things and their boxes, all that are in sight; empty where nobody named any."""


def load(root: Path, only: tuple[str, ...] = (), limit: int | None = None) -> list[Photo]:
    """Read every data set below ``root`` that is there; ``limit`` photos each for small runs."""
    photos: list[Photo] = []
    for name, reader in READERS.items():
        if (not only or name in only) and (root / name).is_dir():
            photos += [p for _, p in zip(range(limit or 10**9), reader(root / name), strict=False)]
    return photos


def draw(count: int, size: int = 288, first: int = 10_000) -> list[Photo]:
    """Draw ``count`` photos of each kind from seed ``first`` on, two in five of them sound."""
    kinds: tuple[Kind, ...] = ("solar", "garment", "wall")
    return [_drawn(kind, first + number, size) for kind in kinds for number in range(count)]


def _drawn(kind: Kind, seed: int, size: int) -> Photo:
    types = DRAWN_DEFECTS[kind]
    choice = seed % 5
    defect = None if choice < 2 else types[(seed // 5) % len(types)]
    pixels, defects = draw_sample(kind, defect, seed, (size, size))
    known = list(domain(kind).defects)
    places = np.zeros((size, size), np.uint8)
    for one in defects:
        places[one.mask] = 1 + known.index(one.type)
    present = {name: any(d.type == name for d in defects) for name in known}
    labels = (
        {"category": _GARMENT_LABEL[garment_of(seed, (size, size))]} if kind == "garment" else {}
    )
    return Photo(
        pixels, kind, f"drawn-{kind}-{seed}", _part("train", f"{kind}{seed}"), labels, places,
        present, bool(defects), drawn=True,
    )  # fmt: skip


_GARMENT_LABEL = {
    "t-shirt": "T-Shirt",
    "longsleeve": "Longsleeve",
    "dress": "Dress",
    "pants": "Pants",
    "skirt": "Skirt",
}


def read_photo(path: Path, longest: int) -> Bytes:
    """Read as RGB and shrink so that the longer side has at most ``longest`` pixels."""
    raw = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if raw is None:
        raise FileNotFoundError(path)
    return shrunk(np.asarray(cv2.cvtColor(raw, cv2.COLOR_BGR2RGB), dtype=np.uint8), longest)


def shrunk(rgb: Bytes, longest: int) -> Bytes:
    """Shrink so that the longer side has at most ``longest`` pixels; smaller ones stay as is."""
    scale = longest / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def _part(split: str, key: str) -> str:
    """Take ``HOLDOUT`` of train away by a hash of what must stay together."""
    if split != "train":
        return split
    share = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
    return "holdout" if share < HOLDOUT else "train"


def _mask(path: Path, like: Bytes) -> Bytes:
    """Read a label map and bring it to the photo's size; thin lines survive the shrinking."""
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if read is None:
        raise FileNotFoundError(path)
    raw = np.asarray(read if read.ndim == 2 else read.max(axis=2), dtype=np.uint8)
    height, width = like.shape[:2]
    made = np.zeros((height, width), np.uint8)
    for value in (int(v) for v in np.unique(raw) if v):
        share = cv2.resize(
            np.asarray(raw == value, dtype=np.float32),
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        made[share > 0.35] = value
    return made


def _located(domain_name: str, places: Bytes) -> tuple[Bytes, dict[str, bool]]:
    types = list(domain(domain_name).defects)
    return places, {name: bool((places == i + 1).any()) for i, name in enumerate(types)}


def _clothing(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        labels = {"category": row["category"], "age": "kids" if row["kids"] == "True" else "adults"}
        split = _part(row["split"], "sender" + row["sender"])
        yield Photo(read_photo(folder / row["image"], 240), "garment", row["image"], split, labels)


def _grocery(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        labels = {"group": row["group"], "item": row["variety"] or row["item"]}
        split = _part(row["split"], row["image"])
        yield Photo(read_photo(folder / row["image"], 240), "grocery", row["image"], split, labels)


def _solar(folder: Path) -> Iterator[Photo]:
    # 1 dark, 2 cross, 3 crack in the files; 4 is the busbar, a part of every cell.
    types = list(domain("solar").defects)
    order = np.zeros(256, np.uint8)
    order[[1, 2, 3]] = [1 + types.index(name) for name in ("dark", "cross", "crack")]
    for row in _rows(folder):
        pixels = read_photo(folder / row["image"], 320)
        places, present = _located("solar", order[_mask(folder / row["mask"], pixels)])
        split = _part(row["split"], row["image"])
        yield Photo(
            pixels, "solar", row["image"], split, {}, places, present, any(present.values())
        )


def _roads(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        pixels = read_photo(folder / row["image"], 480)
        places, present = _located("road", _mask(folder / row["mask"], pixels))
        split = _part(row["split"], row["road"])
        yield Photo(pixels, "road", row["image"], split, {}, places, present, any(present.values()))


def _quaywall(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        pixels = read_photo(folder / row["image"], 256)
        boxes = json.loads(row["crack_boxes_cxcywh"])
        places = _places_in_boxes(pixels, boxes)
        present = {"crack": bool(boxes)}
        split = _part(row["split"], row["image"])
        yield Photo(pixels, "wall", row["image"], split, {}, places, present, bool(boxes) or None)


def _places_in_boxes(pixels: Bytes, boxes: list[list[float]]) -> Bytes:
    """Guess the crack inside its box: the thin dark lines there; the rest of the box is unknown."""
    height, width = pixels.shape[:2]
    places = np.zeros((height, width), np.uint8)
    gray = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    lines = cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, np.ones((17, 17), np.uint8))
    for cx, cy, w, h in boxes:
        x1, x2 = (int(np.clip(width * (cx + s * w / 2), 0, width)) for s in (-1, 1))
        y1, y2 = (int(np.clip(height * (cy + s * h / 2), 0, height)) for s in (-1, 1))
        inside = lines[y1:y2, x1:x2]
        if inside.size == 0:
            continue
        strong = inside >= max(8.0, float(np.quantile(inside, 0.90)))
        strong = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2))) > 0
        patch = places[y1:y2, x1:x2]
        patch[patch == 0] = IGNORE
        patch[strong] = 1
    return places


def _cookies(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        pixels = read_photo(folder / row["image"], 320)
        bad = row["label"] == "anomaly"
        places = np.zeros(pixels.shape[:2], np.uint8)
        if bad and row["mask"]:
            places = (_mask(folder / row["mask"], pixels) > 0).astype(np.uint8)
        known = places if not bad or places.any() else None
        split = _part(row["split"], row["image"])
        yield Photo(pixels, "cookie", row["image"], split, {}, known, {"broken": bad}, bad)


def _toys(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        pixels = read_photo(folder / row["image"], 320)
        bad = row["label"] == "anomaly"
        places = None if bad else np.zeros(pixels.shape[:2], np.uint8)
        split = _part(row["split"], row["image"])
        yield Photo(pixels, "toy", row["image"], split, {}, places, {"missing part": bad}, bad)


def _nuclei(folder: Path) -> Iterator[Photo]:
    for row in _rows(folder):
        split = _part(row["split"], row["image"])
        yield Photo(read_photo(folder / row["image"], 240), "nuclei", row["image"], split)


STATION_SIDE = 320


def _stations(folder: Path) -> Iterator[Photo]:
    records = json.loads((folder / "records.json").read_text())
    of_image: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of_image.setdefault(str(record["image"]), []).append(record)
    for image, rows in of_image.items():
        whole = read_photo(folder / image, 10_000)
        size = whole.shape
        photo = Photo(
            shrunk(whole, STATION_SIDE),
            "station",
            image,
            _part(str(rows[0]["split"]), image),
        )
        photo.checks = tuple(_check(row, size) for row in rows)
        photo.objects = _objects(rows, size)
        yield photo


def _check(record: dict[str, Any], size: Sequence[int]) -> Check:
    regions = [g for g in record["Grounding"] or () if g["text_span"].endswith("ormal region")]
    region = _relative(regions[0]["bbox"], size) if regions else None
    return Check(str(record["Detection_Content"]), not record["Anomaly_Label"], region)


def _objects(
    records: Sequence[dict[str, Any]], size: Sequence[int]
) -> tuple[tuple[str, RelativeBox], ...]:
    """Of the records of one photo, the one that names the most things names them all."""
    named = [
        [(str(g["text_span"]), g["bbox"]) for g in row["Grounding"] or () if _is_thing(g)]
        for row in records
    ]
    return tuple((name, _relative(box, size)) for name, box in max(named, key=len))


def _is_thing(grounding: dict[str, Any]) -> bool:
    return bool(grounding["category"] == "object" and grounding["text_span"] != "workbench")


def _relative(box: Sequence[float], size: Sequence[int]) -> RelativeBox:
    x1, y1, x2, y2 = (float(v) for v in box)
    return x1 / size[1], y1 / size[0], x2 / size[1], y2 / size[0]


READERS = {
    "clothing": _clothing,
    "grocery": _grocery,
    "solar": _solar,
    "roads": _roads,
    "quaywall": _quaywall,
    "cookies": _cookies,
    "toys": _toys,
    "nuclei": _nuclei,
    "stations": _stations,
}
