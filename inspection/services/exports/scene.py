"""What all formats share: the file being written, class names, counts, shapes of findings."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from inspection.models import Finding, Photo, Plan
from inspection.selectors.exports import OutUnit
from inspection.services.background import JobFailedError
from inspection.services.exports.options import ExportOptions
from inspection.services.exports.photos import export_bytes
from models_runtime import masks
from models_runtime.contracts import Mask

MOST_BYTES = 20_000_000_000


@dataclass
class Classes:
    """Names of classes in the file. With units of several plans a class is called ``plan/key``, so
    that "crack" of one plan is not "crack" of another."""

    plans: Sequence[Plan]
    names: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    _places: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for plan in self.plans:
            for defect in plan.current.parsed().defects if plan.current else ():
                self._add(plan.key, defect.key, defect.name)

    def place(self, plan: str, type: str) -> int:
        """From 0; a class that no catalogue has comes last."""
        if (plan, type) not in self._places:
            self._add(plan, type, type.replace("_", " "))
        return self._places[plan, type]

    def _add(self, plan: str, type: str, title: str) -> None:
        self._places[plan, type] = len(self.names)
        self.names.append(f"{plan}/{type}" if len(self.plans) > 1 and plan else type)
        self.groups.append(plan)
        self.titles.append(title)


@dataclass
class Scene:
    """An export under way. ``beat`` keeps the claim on the job; ``files``: what lies aside."""

    archive: zipfile.ZipFile
    options: ExportOptions
    classes: Classes
    site: str
    words: str
    at: datetime
    beat: Callable[[], None]
    files: ExitStack
    counts: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0

    def put(self, name: str, data: bytes | str, *, packed: bool = True) -> None:
        """Write a file into the archive. JobFailedError where it becomes too large."""
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            most = MOST_BYTES / 1e9
            raise JobFailedError(
                f"This export has more than {most:,.0f} GB. Narrow the units, or leave out photos."
            )
        kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        self.archive.writestr(name, data, compress_type=kind)
        self.beat()

    def aside(self) -> IO[bytes]:
        """A file for what grows beside the archive."""
        return self.files.enter_context(TemporaryFile())

    def put_photo(self, name: str, photo: Photo) -> None:
        """Write a photo, where photos are wanted and its original is still there."""
        if not self.options.photos:
            return
        data = export_bytes(photo)
        if data is None:
            self.counts["photos missing"] += 1
        else:
            self.put(name, data, packed=False)

    def put_file(self, name: str, source: IO[bytes]) -> None:
        """Write a file from another one, in pieces."""
        source.seek(0)
        with self.archive.open(name, "w", force_zip64=True) as out:
            while piece := source.read(1_000_000):
                out.write(piece)
                self.beat()


class Writer(Protocol):
    """A format: takes units one by one, and writes what is left when all are in."""

    def add(self, unit: OutUnit) -> None: ...

    def finish(self) -> None: ...


def mask_of(row: Finding) -> Mask | None:
    """The finding's mask, where it has one."""
    if not row.mask_counts or not row.mask_height or not row.mask_width:
        return None
    return Mask(size=(row.mask_height, row.mask_width), counts=row.mask_counts)


def bits_of(mask: Mask) -> NDArray[np.bool_]:
    """Its pixels, bool (height, width)."""
    return masks.decode(mask)


def counted(scene: Scene, unit: OutUnit) -> None:
    """Add a unit to the counts."""
    scene.counts["units"] += 1
    scene.counts["photos"] += len(unit.photos)
    scene.counts["findings"] += sum(len(photo.findings) for photo in unit.photos)
    scene.counts["verdicts"] += len(unit.verdicts)
    scene.counts["comments"] += len(unit.comments)
    scene.counts["units with the models' word only"] += int(unit.is_blind)
