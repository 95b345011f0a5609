"""Read YOLO labels strictly: whatever is wrong is said with its file and line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from models_runtime.formats.annotated import (
    MOST_ANNOTATIONS,
    MOST_PHOTOS,
    AnnotatedPhoto,
    Annotation,
    BadAnnotationsError,
    DataSet,
    Outline,
    Problems,
)

SLACK = 0.002
"""Numbers may lie outside 0 to 1 by this much (rounding)."""
CLASS_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")
NOT_LABELS = {"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt"}
MOST_YAML = 1_000_000


def is_yolo(names: Mapping[str, bytes]) -> bool:
    """Whether these text files of a zip are meant to be YOLO."""
    bases = {PurePosixPath(name).name.lower() for name in names}
    return any(name in bases for name in CLASS_FILES) or any(map(_is_label, names))


def _is_label(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() == ".txt" and path.name.lower() not in NOT_LABELS


def read_yolo(texts: Mapping[str, bytes]) -> DataSet:
    """Photos with their labels; BadAnnotationsError with all that is wrong."""
    classes = _classes(texts)
    problems = Problems()
    labels = sorted(name for name in texts if _is_label(name))
    if len(labels) > MOST_PHOTOS:
        raise BadAnnotationsError(
            [f"There are {len(labels):,} label files; the limit is {MOST_PHOTOS:,}. Split the zip."]
        )
    photos, count = [], 0
    for name in labels:
        photo = AnnotatedPhoto(_photo_path(name), name)
        for number, line in enumerate(_text(name, texts[name]).splitlines(), start=1):
            if not line.strip():
                continue
            place = f"{name}, line {number}"
            try:
                photo.annotations.append(_annotation(place, line.split(), classes))
            except ValueError as error:
                problems.add(place, str(error))
        count += len(photo.annotations)
        if count > MOST_ANNOTATIONS:
            raise BadAnnotationsError(
                [f"There are more than {MOST_ANNOTATIONS:,} labels. Split the zip."]
            )
        photos.append(photo)
    problems.check()
    return DataSet("yolo", classes, tuple(photos))


def _photo_path(label: str) -> str:
    """Where the photo of a label file is, by YOLO's custom, without a suffix."""
    parts = list(PurePosixPath(label).with_suffix("").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "labels":
            parts[place] = "images"
            break
    return "/".join(parts)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadAnnotationsError([f"{name}: this is no text in UTF-8."]) from None


def _classes(texts: Mapping[str, bytes]) -> tuple[str, ...]:
    for wanted in CLASS_FILES:
        for name in sorted(texts, key=lambda one: (one.count("/"), one)):
            if PurePosixPath(name).name.lower() == wanted:
                names = _names(name, texts[name])
                if names:
                    return names
    raise BadAnnotationsError(
        ["The names of the classes are missing: put data.yaml or classes.txt into the zip."]
    )


def _names(name: str, data: bytes) -> tuple[str, ...]:
    text = _text(name, data)
    if not name.lower().endswith((".yaml", ".yml")):
        return tuple(line.strip()[:200] for line in text.splitlines() if line.strip())
    if len(text) > MOST_YAML:
        raise BadAnnotationsError([f"{name}: this is too long for a list of classes."])
    return _names_of_yaml(name, text)


def _names_of_yaml(name: str, text: str) -> tuple[str, ...]:
    import yaml

    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BadAnnotationsError([f"{name}{where}: this is no YAML."]) from None
    except (RecursionError, ValueError):
        raise BadAnnotationsError([f"{name}: this is no YAML."]) from None
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise BadAnnotationsError([f"{name}: names must be numbered from 0 without a gap."])
        names = [names[place] for place in range(len(names))]
    if not isinstance(names, list):
        raise BadAnnotationsError([f"{name}: it needs names, the list of classes."])
    return tuple(str(one).strip()[:200] for one in names)


def _annotation(place: str, words: list[str], classes: tuple[str, ...]) -> Annotation:
    numbers = _numbers(words)
    index = numbers[0]
    if index != int(index) or not 0 <= index < len(classes):
        raise ValueError(f"there is no class {words[0][:20]}; there are 0 to {len(classes) - 1}.")
    kind, rest = classes[int(index)], numbers[1:]
    if len(rest) == 4:
        x, y, width, height = rest
        if width <= 0 or height <= 0:
            raise ValueError("the box must be wider and higher than 0.")
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        _check_shares(list(box))
        x1, y1, x2, y2 = (min(1.0, max(0.0, value)) for value in box)
        return Annotation(place, kind, (x1, y1, x2, y2), None, is_share=True)
    if len(rest) >= 6 and len(rest) % 2 == 0:
        _check_shares(rest)
        return Annotation(place, kind, None, Outline((tuple(rest),), is_share=True), is_share=True)
    raise ValueError(
        f"it has {len(words)} numbers; a box has 5 (class, x, y, width, height), an outline an odd "
        "number from 7 on."
    )


def _numbers(words: list[str]) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        bad = next(word for word in words if not _is_number(word))
        raise ValueError(f"“{bad[:20]}” is no number.") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("all numbers must be finite.")
    return numbers


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_shares(numbers: list[float]) -> None:
    if min(numbers) < -SLACK or max(numbers) > 1 + SLACK:
        raise ValueError("coordinates must be shares of the photo's width and height, 0 to 1.")
