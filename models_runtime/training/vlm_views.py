"""Random views of photos, defects painted on sound ones, and pictures of nothing known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.samples import paint_defect
from models_runtime.training.vlm_data import IGNORE, Bytes, Photo
from models_runtime.vlm.model import STRIDE
from models_runtime.vlm.words import domain

Numbers = np.random.Generator


@dataclass(frozen=True, slots=True)
class View:
    """A square cut-out. ``places`` as in Photo, at the view's size; None where unknown."""

    pixels: Bytes
    places: Bytes | None
    present: dict[str, bool]
    defective: bool | None


@dataclass(frozen=True, slots=True)
class ViewStyle:
    """How wild the views of a domain may be."""

    least_area: float = 0.5
    rotate: float = 6.0
    any_way_up: bool = False
    colour: float = 0.25
    cutout: float = 0.0
    mirror: bool = True


STYLES: dict[str, ViewStyle] = {
    "garment": ViewStyle(0.60, 10.0, colour=0.25, cutout=0.2),
    "grocery": ViewStyle(0.45, 10.0, colour=0.15, cutout=0.2),
    "solar": ViewStyle(0.60, 2.0, any_way_up=True, colour=0.2),
    "road": ViewStyle(0.30, 3.0, colour=0.3),
    "wall": ViewStyle(0.40, 10.0, any_way_up=True, colour=0.3),
    "cookie": ViewStyle(0.65, 15.0, any_way_up=True, colour=0.25),
    "toy": ViewStyle(0.75, 10.0, any_way_up=True, colour=0.2),
    # What stands on the left of a station may be what is asked.
    "station": ViewStyle(0.50, 5.0, colour=0.3, mirror=False),
}


def look(photo: Photo, size: int, numbers: Numbers, gentle: bool = False) -> View:
    """Cut a random square view of ``size`` pixels; ``gentle`` ones show nearly all of the photo."""
    style = STYLES.get(photo.domain, ViewStyle())
    matrix = _placement(photo.pixels.shape, size, style, numbers, gentle)
    border = cv2.BORDER_REFLECT_101
    pixels = cv2.warpAffine(
        photo.pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
    )
    places = photo.places
    if places is not None:
        warped = cv2.warpAffine(
            places, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=border
        )
        places = np.asarray(warped, dtype=np.uint8)
    if style.any_way_up:
        turns = int(numbers.integers(4))
        pixels = np.rot90(pixels, turns)
        places = None if places is None else np.rot90(places, turns)
    return View(
        colours(np.ascontiguousarray(pixels), style, numbers, 0.0 if gentle else style.cutout),
        None if places is None else np.ascontiguousarray(places),
        *_still_there(photo, places),
    )


def _placement(
    shape: tuple[int, ...], size: int, style: ViewStyle, numbers: Numbers, gentle: bool
) -> NDArray[np.float64]:
    """Affine matrix from photo to view: crop, stretch, turn and mirror."""
    height, width = shape[:2]
    area = numbers.uniform(0.85 if gentle else style.least_area, 1.0)
    stretch = np.exp(numbers.uniform(-0.2, 0.2))
    cut_w, cut_h = width * min(1, np.sqrt(area) * stretch), height * min(1, np.sqrt(area) / stretch)
    centre_x = numbers.uniform(cut_w / 2, width - cut_w / 2)
    centre_y = numbers.uniform(cut_h / 2, height - cut_h / 2)
    angle = np.deg2rad(numbers.uniform(-style.rotate, style.rotate))
    mirror = -1.0 if style.mirror and numbers.random() < 0.5 else 1.0
    scale = np.diag([mirror * size / cut_w, size / cut_h])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ scale
    shift = np.array([size / 2, size / 2]) - linear @ [centre_x, centre_y]
    return np.hstack([linear, shift[:, None]])


def _still_there(photo: Photo, places: Bytes | None) -> tuple[dict[str, bool], bool | None]:
    """What the cut-out still shows of the photo's defects."""
    if places is None or photo.defective is None:
        return photo.present, photo.defective
    types = list(domain(photo.domain).defects)
    present = {
        name: bool((places == 1 + types.index(name)).sum() >= 4) if seen else False
        for name, seen in photo.present.items()
    }
    return present, any(present.values())


def colours(pixels: Bytes, style: ViewStyle, numbers: Numbers, cutout: float) -> Bytes:
    """Change light, tint, sharpness and noise; by chance ``cutout`` hide a rectangle."""
    amount = style.colour
    gain = 1 + numbers.uniform(-amount, amount)
    tint = 1 + numbers.uniform(-amount / 3, amount / 3, 3)
    lift = numbers.uniform(-40, 40) * amount
    table = np.arange(256)[:, None] / 255.0
    curve = table ** np.exp(numbers.uniform(-amount, amount)) * 255 * gain * tint + lift
    lut = np.clip(curve, 0, 255).astype(np.uint8)
    out = np.stack([lut[:, c][pixels[..., c]] for c in range(3)], axis=-1)
    if numbers.random() < 0.15:
        out = cv2.GaussianBlur(out, (0, 0), numbers.uniform(0.4, 1.1))
    if numbers.random() < 0.2:
        noise = numbers.normal(0, numbers.uniform(1, 6), out.shape[:2])
        out = np.clip(out + noise[..., None], 0, 255).astype(np.uint8)
    if numbers.random() < cutout:
        side = out.shape[0]
        tall, wide = (numbers.uniform(0.1, 0.4, 2) * side).astype(int)
        y, x = numbers.integers(0, side - tall), numbers.integers(0, side - wide)
        out[y : y + tall, x : x + wide] = numbers.integers(0, 256, 3)
    return np.asarray(out, dtype=np.uint8)


def paint_on(view: View, domain_name: str, numbers: Numbers, share: float = 0.6) -> View:
    """Paint defects of the domain on a sound view; ``share`` of the views get some."""
    types = list(domain(domain_name).defects)
    side = view.pixels.shape[0]
    places = np.zeros((side, side), np.uint8)
    if numbers.random() < share:
        canvas = view.pixels.astype(np.float32)
        where = np.zeros((side, side), np.bool_)
        edge = side // 4
        where[edge:-edge, edge:-edge] = True
        for _ in range(int(numbers.integers(1, 3))):
            kind = int(numbers.integers(len(types)))
            places[paint_defect(canvas, types[kind], numbers, where)] = kind + 1
        view = View(np.clip(canvas, 0, 255).astype(np.uint8), places, {}, None)
    present = {name: bool((places == i + 1).any()) for i, name in enumerate(types)}
    return View(view.pixels, places, present, any(present.values()))


def cell_targets(places: Bytes, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Per defect and cell of ``places``: does it apply, and is the cell known at all?

    Returns float32 (count, h/4, w/4) and bool (h/4, w/4).
    """
    height, width = places.shape[0] // STRIDE, places.shape[1] // STRIDE
    cells = places.reshape(height, STRIDE, width, STRIDE)
    share = np.stack([(cells == i + 1).mean((1, 3)) for i in range(count)])
    known = (cells == IGNORE).mean((1, 3)) < 0.5
    return (share >= 0.25).astype(np.float32), known | share.any(0)


def nothing_known(size: int, numbers: Numbers, photos: list[Bytes]) -> Bytes:
    """A picture of no known kind: noise, screens, patterns, shuffled or flat pictures."""
    kind = int(numbers.integers(7))
    if kind == 0:
        return numbers.integers(0, 256, (size, size, 3)).astype(np.uint8)
    if kind == 1:
        return _screen(size, numbers)
    if kind == 2:
        coarse = numbers.integers(0, 256, (int(numbers.integers(2, 40)),) * 2 + (3,))
        how = cv2.INTER_NEAREST if numbers.random() < 0.5 else cv2.INTER_CUBIC
        return np.asarray(
            cv2.resize(coarse.astype(np.uint8), (size, size), interpolation=how), dtype=np.uint8
        )
    if kind == 3:
        return _shuffled(photos[int(numbers.integers(len(photos)))], size, numbers)
    if kind == 4:
        return _shapes(size, numbers)
    if kind == 5:
        flat = np.ones((size, size, 3)) * numbers.integers(0, 256, 3)
        grain = numbers.normal(0, numbers.uniform(0, 8), (size, size, 1))
        return np.clip(flat + grain, 0, 255).astype(np.uint8)
    y, x = np.mgrid[0:size, 0:size]
    wave = np.sin(x * numbers.uniform(0.02, 0.8) + y * numbers.uniform(0.02, 0.8))
    colours = numbers.integers(0, 256, (2, 3))
    mix = (wave[..., None] + 1) / 2
    return np.asarray(mix * colours[0] + (1 - mix) * colours[1], dtype=np.uint8)


def _screen(size: int, numbers: Numbers) -> Bytes:
    page = np.full((size, size, 3), int(numbers.choice([255, 245, 30, 20])), np.uint8)
    ink = tuple(int(v) for v in (255 - page[0, 0]))
    y = int(numbers.integers(4, 16))
    while y < size - 8:
        if numbers.random() < 0.15:
            colour = tuple(int(v) for v in numbers.integers(0, 256, 3))
            tall = int(numbers.integers(8, 50))
            cv2.rectangle(page, (4, y), (int(numbers.integers(20, size)), y + tall), colour, -1)
            y += tall + 6
            continue
        text = "".join(chr(int(c)) for c in numbers.integers(97, 123, int(numbers.integers(4, 40))))
        cv2.putText(
            page, text, (6, y), cv2.FONT_HERSHEY_SIMPLEX, float(numbers.uniform(0.25, 0.6)), ink, 1
        )
        y += int(numbers.integers(9, 20))
    return page


def _shuffled(photo: Bytes, size: int, numbers: Numbers) -> Bytes:
    photo = np.asarray(cv2.resize(photo, (size, size)), dtype=np.uint8)
    parts = 4
    side = size // parts
    tiles = [
        photo[r * side : (r + 1) * side, c * side : (c + 1) * side]
        for r in range(parts)
        for c in range(parts)
    ]
    order = numbers.permutation(len(tiles))
    rows = [np.hstack([tiles[order[r * parts + c]] for c in range(parts)]) for r in range(parts)]
    return np.asarray(cv2.resize(np.vstack(rows), (size, size)), dtype=np.uint8)


def _shapes(size: int, numbers: Numbers) -> Bytes:
    page = np.ones((size, size, 3), np.uint8) * numbers.integers(0, 256, 3).astype(np.uint8)
    for _ in range(int(numbers.integers(3, 25))):
        colour = tuple(int(v) for v in numbers.integers(0, 256, 3))
        a, b = numbers.integers(0, size, 2), numbers.integers(0, size, 2)
        if numbers.random() < 0.5:
            cv2.rectangle(page, tuple(map(int, a)), tuple(map(int, b)), colour, -1)
        else:
            cv2.circle(page, tuple(map(int, a)), int(numbers.integers(3, size // 4)), colour, -1)
    return page
