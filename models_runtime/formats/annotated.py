"""Annotations of a data set as values, and what is wrong with a file in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models_runtime.errors import InputError

Four = tuple[float, float, float, float]
MOST_PHOTOS = 5_000
MOST_ANNOTATIONS = 200_000
MOST_PROBLEMS = 50


class BadAnnotationsError(InputError):
    """The file can't be taken as it is. ``problems``: each says where and what."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Runs:
    """A mask as compressed COCO runs; ``size`` (height, width)."""

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True)
class Outline:
    """Polygons as x, y, x, y, … in pixels; with ``is_share`` in shares of the sides."""

    polygons: tuple[tuple[float, ...], ...]
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """``place``: where it is in the file. ``box``: x1, y1, x2, y2 in pixels or shares, None where
    it follows from the shape. ``finding``, ``severity`` and ``status``: where Loupe itself wrote
    the file."""

    place: str
    class_name: str
    box: Four | None
    shape: Runs | Outline | None
    is_share: bool = False
    score: float | None = None
    finding: str = ""
    severity: str = ""
    status: str = ""


@dataclass(frozen=True)
class AnnotatedPhoto:
    """``file``: its path as the file says it, without a suffix where the format tells none.
    ``size`` (width, height) where it is told. ``photo``: the id that Loupe gave it."""

    file: str
    place: str
    size: tuple[int, int] | None = None
    photo: str = ""
    annotations: list[Annotation] = field(default_factory=list)


@dataclass(frozen=True)
class DataSet:
    """Classes in the order of the file; photos in theirs."""

    format: str
    classes: tuple[str, ...]
    photos: tuple[AnnotatedPhoto, ...]


@dataclass
class Problems:
    """Collects what is wrong, so that all of it can be mended in one go."""

    found: list[str] = field(default_factory=list)

    def add(self, place: str, what: str) -> None:
        """Note one; BadAnnotationsError when there are so many that more would help nobody."""
        self.found.append(f"{place}: {what}")
        if len(self.found) >= MOST_PROBLEMS:
            raise BadAnnotationsError(self.found)

    def check(self) -> None:
        """Raise them, if there are any."""
        if self.found:
            raise BadAnnotationsError(self.found)
