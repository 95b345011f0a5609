"""Reading a file of annotations: a COCO file, or a zip of COCO or YOLO with or without photos."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.storage import default_storage

from inspection.models import ImportJob
from inspection.pipeline.photos import limits
from inspection.services.intake import fetch, fetch_head
from models_runtime.errors import InputError
from models_runtime.formats import coco, yolo
from models_runtime.formats.annotated import (
    MOST_PHOTOS,
    BadAnnotationsError,
    DataSet,
    Problems,
)
from models_runtime.intake.archives import ArchiveLimits, ArchiveMember, read_archive
from models_runtime.intake.decode import upright_size
from models_runtime.intake.kinds import photo_kind

MOST_TEXT_BYTES = 64_000_000
TEXTS = (".json", ".txt", ".yaml", ".yml", ".names")
ZIP = b"PK\x03\x04"
NEITHER = (
    "This is neither COCO nor YOLO. Send a COCO file (.json), a zip with one COCO file, or a zip "
    "with data.yaml and labels."
)


@dataclass(frozen=True, slots=True)
class PackedPhoto:
    """A photo in the zip; ``size`` (width, height) when upright."""

    path: str
    sha256: str
    size: tuple[int, int]
    bytes: int


@dataclass
class Contents:
    """What a file holds. ``photos`` by their path in the zip."""

    data: DataSet
    photos: dict[str, PackedPhoto] = field(default_factory=dict)


def read(job: ImportJob, beat: Callable[[], None]) -> Contents:
    """All of the file. BadAnnotationsError, InputError with words where it can't be taken."""
    if not job.stored_key:
        raise FileNotFoundError(job.name)
    if fetch_head(job.stored_key, 4) != ZIP:
        if job.size_bytes > MOST_TEXT_BYTES:
            raise InputError(_too_long(job.name))
        return Contents(_of_json({job.name: fetch(job.stored_key)}))
    return _of_zip(job, beat)


def members(job: ImportJob) -> Iterator[ArchiveMember]:
    """Files of the zip, one in memory at a time."""
    most = ArchiveLimits(
        max_members=3 * MOST_PHOTOS,
        max_member_bytes=max(settings.MAX_PHOTO_BYTES, MOST_TEXT_BYTES),
        max_total_bytes=2 * settings.MAX_FILE_BYTES,
    )
    with default_storage.open(job.stored_key, "rb") as source:
        yield from read_archive(cast(BinaryIO, source), most)


def _of_zip(job: ImportJob, beat: Callable[[], None]) -> Contents:
    texts: dict[str, bytes] = {}
    photos: dict[str, PackedPhoto] = {}
    problems, size = Problems(), 0
    for member in members(job):
        beat()
        data = member.data
        if data is None:
            problems.add(member.path, member.error or "this file can't be read.")
        elif member.path.lower().endswith(TEXTS) and not member.path.startswith("loupe/"):
            size += len(data)
            if size > MOST_TEXT_BYTES:
                raise InputError(_too_long(job.name))
            texts[member.path] = data
        elif photo_kind(data[:64]) is not None:
            _add_photo(member.path, data, photos, problems)
    problems.check()
    return Contents(_data_set(texts), photos)


def _too_long(name: str) -> str:
    most = MOST_TEXT_BYTES / 1e6
    return f"{name} has more than {most:,.0f} MB of annotations. Split it into several files."


def _add_photo(path: str, data: bytes, photos: dict[str, PackedPhoto], problems: Problems) -> None:
    try:
        size = upright_size(data, limits())
    except InputError as error:
        problems.add(path, str(error))
    else:
        photos[path] = PackedPhoto(path, hashlib.sha256(data).hexdigest(), size, len(data))


def _data_set(texts: dict[str, bytes]) -> DataSet:
    json_files = {name: data for name, data in texts.items() if name.lower().endswith(".json")}
    if json_files:
        return _of_json(json_files)
    if not yolo.is_yolo(texts):
        raise InputError(NEITHER)
    return yolo.read_yolo(texts)


def _of_json(files: dict[str, bytes]) -> DataSet:
    values: dict[str, Any] = {
        name: coco.parsed_json(data, PurePosixPath(name).name) for name, data in files.items()
    }
    found = {name: value for name, value in values.items() if coco.is_coco(value)}
    if len(found) > 1:
        named = ", ".join(sorted(found)[:5])
        raise BadAnnotationsError(
            [f"There are {len(found)} COCO files in this zip ({named}). Send one at a time."]
        )
    if not found and len(values) > 1:
        raise InputError(NEITHER)
    ((name, value),) = (found or values).items()
    return coco.read_coco(value, PurePosixPath(name).name)
