"""Read a COCO annotation file strictly: whatever is wrong is said with its place in the file."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from models_runtime import rle
from models_runtime.formats.annotated import (
    MOST_ANNOTATIONS,
    MOST_PHOTOS,
    AnnotatedPhoto,
    Annotation,
    BadAnnotationsError,
    DataSet,
    Four,
    Outline,
    Problems,
    Runs,
)

SLACK = 1.0
"""Boxes and polygons may stick out of the photo by this many pixels (rounding)."""


def parsed_json(data: bytes, name: str) -> Any:
    """The file as plain values; BadAnnotationsError with line and column."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refused)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadAnnotationsError([f"{name}, {where}: this is no JSON ({error.msg})."]) from None
    except UnicodeDecodeError:
        raise BadAnnotationsError([f"{name}: this is no text in UTF-8."]) from None
    except RecursionError:
        raise BadAnnotationsError([f"{name}: this is nested far too deeply."]) from None
    except ValueError as error:
        raise BadAnnotationsError([f"{name}: {error}"]) from None


def _refused(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number that JSON knows.")


def is_coco(value: Any) -> bool:
    """Whether this is meant to be COCO."""
    return isinstance(value, dict) and "annotations" in value and "images" in value


def read_coco(value: Any, name: str = "annotations.json") -> DataSet:
    """Photos with their annotations; BadAnnotationsError with all that is wrong."""
    if not is_coco(value):
        raise BadAnnotationsError(
            [f"{name}: this is no COCO file: it needs the lists images, annotations, categories."]
        )
    return _Reader(value, name).read()


class _Reader:
    def __init__(self, value: dict[str, Any], name: str) -> None:
        self._value, self._name = value, name
        self._problems = Problems()

    def read(self) -> DataSet:
        classes = self._classes()
        photos = self._photos()
        self._problems.check()
        for index, row in enumerate(self._rows("annotations", MOST_ANNOTATIONS)):
            self._annotation(f"annotations[{index}]", row, classes, photos)
        self._problems.check()
        return DataSet("coco", tuple(classes.values()), tuple(photos.values()))

    def _rows(self, key: str, most: int) -> list[Any]:
        rows = self._value.get(key)
        if not isinstance(rows, list):
            raise BadAnnotationsError([f"{self._name}: {key} must be a list."])
        if len(rows) > most:
            raise BadAnnotationsError(
                [f"{self._name}: {len(rows):,} {key}; the limit is {most:,}. Split the file."]
            )
        return rows

    def _classes(self) -> dict[Any, str]:
        found: dict[Any, str] = {}
        for index, row in enumerate(self._rows("categories", 1000)):
            place = f"categories[{index}]"
            if not isinstance(row, dict) or not _is_id(row.get("id")):
                self._problems.add(place, "it needs an id.")
            elif not isinstance(row.get("name"), str) or not row["name"].strip():
                self._problems.add(place, "it needs a name.")
            elif row["id"] in found:
                self._problems.add(place, f"the id {row['id']!r} is there twice.")
            else:
                found[row["id"]] = row["name"].strip()[:200]
        return found

    def _photos(self) -> dict[Any, AnnotatedPhoto]:
        found: dict[Any, AnnotatedPhoto] = {}
        for index, row in enumerate(self._rows("images", MOST_PHOTOS)):
            place = f"images[{index}]"
            if not isinstance(row, dict) or not _is_id(row.get("id")):
                self._problems.add(place, "it needs an id.")
                continue
            size = (row.get("width"), row.get("height"))
            if row["id"] in found:
                self._problems.add(place, f"the id {row['id']!r} is there twice.")
            elif not isinstance(row.get("file_name"), str) or not row["file_name"].strip():
                self._problems.add(place, "it needs a file_name.")
            elif not all(type(side) is int and 0 < side <= 100_000 for side in size):
                self._problems.add(place, "width and height must be whole numbers of pixels.")
            else:
                found[row["id"]] = AnnotatedPhoto(
                    row["file_name"].strip()[:500],
                    place,
                    (row["width"], row["height"]),
                    str(_own(row).get("photo_id", ""))[:64],
                )
        return found

    def _annotation(
        self, place: str, row: Any, classes: dict[Any, str], photos: dict[Any, AnnotatedPhoto]
    ) -> None:
        if not isinstance(row, dict):
            self._problems.add(place, "this is no object.")
            return
        if "id" in row:
            place += f" (id {str(row['id'])[:40]})"
        photo = photos.get(row.get("image_id")) if _is_id(row.get("image_id")) else None
        if photo is None or photo.size is None:
            self._problems.add(place, f"there is no image {str(row.get('image_id'))[:40]!r}.")
            return
        kind = classes.get(row.get("category_id")) if _is_id(row.get("category_id")) else None
        if kind is None:
            self._problems.add(place, f"there is no category {str(row.get('category_id'))[:40]!r}.")
            return
        try:
            made = _annotation(place, row, kind, photo.size)
        except ValueError as error:
            self._problems.add(place, str(error))
        else:
            photo.annotations.append(made)


def _own(row: dict[str, Any]) -> dict[str, Any]:
    """What Loupe itself wrote beside what is COCO's."""
    own = row.get("loupe")
    return own if isinstance(own, dict) else {}


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _annotation(place: str, row: dict[str, Any], kind: str, size: tuple[int, int]) -> Annotation:
    shape = _shape(row.get("segmentation"), size)
    box = _box(row["bbox"], size) if row.get("bbox") is not None else None
    if shape is None and box is None:
        raise ValueError("it has neither a segmentation nor a bbox.")
    own = _own(row)
    return Annotation(
        place,
        kind,
        box,
        shape,
        score=_score(row.get("score")),
        finding=str(own.get("finding_id", ""))[:64],
        severity=str(own.get("severity", ""))[:20],
        status=str(own.get("status", ""))[:20],
    )


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError("score must be from 0 to 1.")
    return float(value)


def _box(value: Any, size: tuple[int, int]) -> Four:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise ValueError("bbox must be four numbers: x, y, width, height.")
    x, y, width, height = map(float, value)
    if width <= 0 or height <= 0:
        raise ValueError("bbox must be wider and higher than 0.")
    _check_inside([x, y, x + width, y + height], size, "bbox")
    box = (max(0.0, x), max(0.0, y), min(x + width, size[0]), min(y + height, size[1]))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError("bbox lies outside its image.")
    return box


def _check_inside(numbers: list[float], size: tuple[int, int], what: str) -> None:
    for axis, side in enumerate(size):
        values = numbers[axis::2]
        if min(values) < -SLACK or max(values) > side + SLACK:
            raise ValueError(f"{what} lies outside its image of {size[0]} × {size[1]} pixels.")


def _shape(value: Any, size: tuple[int, int]) -> Runs | Outline | None:
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        return _runs(value, size)
    if not isinstance(value, list):
        raise ValueError("segmentation must be polygons (a list) or runs (an object).")
    return Outline(tuple(_polygon(polygon, number, size) for number, polygon in enumerate(value)))


def _polygon(value: Any, number: int, size: tuple[int, int]) -> tuple[float, ...]:
    what = f"polygon {number}"
    if not isinstance(value, list) or not all(map(_is_number, value)):
        raise ValueError(f"{what} must be a list of numbers.")
    if len(value) < 6 or len(value) % 2:
        raise ValueError(f"{what} has {len(value)} numbers; it needs pairs, and at least three.")
    numbers = [float(one) for one in value]
    _check_inside(numbers, size, what)
    return tuple(numbers)


def _runs(value: dict[str, Any], size: tuple[int, int]) -> Runs:
    wanted = [size[1], size[0]]
    if value.get("size") != wanted:
        raise ValueError(f"the runs are for a size of {value.get('size')}, but must be {wanted}.")
    counts = value.get("counts")
    if isinstance(counts, list):
        if not all(type(run) is int and run >= 0 for run in counts) or sum(counts) != math.prod(
            size
        ):
            raise ValueError("counts must be runs that add up to the pixels of the image.")
        import numpy as np

        return Runs((size[1], size[0]), rle.counts_of(rle.merged(np.asarray(counts, np.int64))))
    if not isinstance(counts, str):
        raise ValueError("counts must be a text or a list of runs.")
    runs = rle.runs_of(counts, (size[1], size[0]))
    return Runs((size[1], size[0]), rle.counts_of(runs))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9 and math.isfinite(value)
