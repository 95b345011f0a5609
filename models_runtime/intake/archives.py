"""Read photos out of a zip within limits: no bomb, no path that leads elsewhere, no nesting."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from models_runtime.errors import InputError
from models_runtime.intake.directories import check_directory
from models_runtime.intake.names import clean_name

_CHUNK = 1024 * 1024
_ENTRIES_PER_MEMBER = 4
"""A Mac packs a hidden twin of each file, and folders have entries of their own."""
_NESTED = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_CLUTTER = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError,
    RuntimeError,
)  # fmt: skip
"""What zipfile raises on damaged or unsupported members (lzma.LZMAError is an Exception of its
own, but LZMA is refused by method before reading)."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Members; bytes per member and in all after unpacking; unpacked ÷ packed size per member."""

    max_members: int = 5_000
    max_member_bytes: int = 200 * 1024 * 1024
    max_total_bytes: int = 4 * 1024 * 1024 * 1024
    max_ratio: float = 200.0


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file in the archive: its clean ``name``, and ``data`` or else the ``error`` in words.
    ``path``: as the archive has it, with "/" between its parts."""

    name: str
    data: bytes | None
    error: str | None = None
    path: str = ""


def read_archive(
    source: Path | BinaryIO, limits: ArchiveLimits | None = None
) -> Iterator[ArchiveMember]:
    """Yield each file, one in memory at a time; a bad member yields its error and the rest go on.

    Folders and the clutter of operating systems are passed over. Raises InputError where the
    whole archive is unusable, and stops with an error member at the limit of bytes in all.
    """
    limits = limits or ArchiveLimits()
    with ExitStack() as opened:
        try:
            archive = opened.enter_context(open_archive(source, limits))
        except _UNREADABLE:
            raise InputError(
                "This zip file is damaged or not a zip. Pack the photos again and upload that."
            ) from None
        members = [m for m in archive.infolist() if not _is_passed_over(m)]
        if len(members) > limits.max_members:
            raise InputError(
                f"This zip holds {len(members):,} files; the limit is {limits.max_members:,}. "
                "Split it into several."
            )
        yield from _read_members(archive, members, limits)


@contextmanager
def open_archive(
    source: Path | BinaryIO, limits: ArchiveLimits | None = None
) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of files is not too long to be held in memory, else InputError.

    Raises what zipfile raises where it is damaged. Folders and clutter count here too, so the list
    may be a few times as long as the limit of members.
    """
    most = _ENTRIES_PER_MEMBER * (limits or ArchiveLimits()).max_members
    with ExitStack() as opened:
        file = opened.enter_context(source.open("rb")) if isinstance(source, Path) else source
        check_directory(file, most)
        yield opened.enter_context(zipfile.ZipFile(file))


def _read_members(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> Iterator[ArchiveMember]:
    left = limits.max_total_bytes
    for info in members:
        name, path = clean_name(info.filename), info.filename.replace("\\", "/")
        error = _refusal(info, limits)
        if error is None and info.file_size > left:
            yield ArchiveMember(name, None, _too_much(limits), path)
            return
        if error is not None:
            yield ArchiveMember(name, None, error, path)
            continue
        member = _read_member(archive, info, name, min(limits.max_member_bytes, left))
        left -= len(member.data or b"")
        yield replace(member, path=path)


def _is_passed_over(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/")
    return info.is_dir() or parts.startswith(_CLUTTER[0]) or parts.split("/")[-1] in _CLUTTER[1:]


def _refusal(info: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    """Say why a member is not even read, judged by its entry in the directory alone."""
    path = info.orig_filename.replace("\\", "/")
    if path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"):
        return "This file's path leads out of the zip. Pack the photos without absolute paths."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "This is a link, not a photo. Pack the photo itself."
    if info.flag_bits & 0x1:
        return "This file is encrypted. Pack the photos without a password."
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        return "This file is packed in a way that can't be read. Pack it as an ordinary zip."
    if info.file_size > limits.max_member_bytes:
        most = limits.max_member_bytes / 1e6
        return f"This file has {info.file_size / 1e6:,.0f} MB; the limit is {most:,.0f} MB."
    if info.file_size > limits.max_ratio * max(info.compress_size, 1):
        return "This file unpacks to far more than a photo would and was not opened."
    return None


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, most: int
) -> ArchiveMember:
    """Read with a cap of our own: the size in the directory is only what the sender claims."""
    parts: list[bytes] = []
    size = 0
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    return ArchiveMember(name, None, "This file is larger than the zip says.")
                parts.append(chunk)
    except _UNREADABLE:
        return ArchiveMember(name, None, "This file is damaged in the zip. Pack it again.")
    data = b"".join(parts)
    if data.startswith(_NESTED):
        return ArchiveMember(name, None, "This is an archive in an archive. Upload it by itself.")
    return ArchiveMember(name, data)


def _too_much(limits: ArchiveLimits) -> str:
    most = limits.max_total_bytes / 1e9
    return f"The zip unpacks to more than {most:,.1f} GB; from here on nothing was read. Split it."
