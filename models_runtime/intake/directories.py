"""How large a zip's table of contents is, before anything takes it into memory.

``zipfile`` reads the whole central directory on opening, some 600 bytes of memory an entry: a zip
of 100 MB can hold two million. So its end record is read first, and the entries are counted.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from models_runtime.errors import InputError

MAX_DIRECTORY_BYTES = 64 * 1024 * 1024

_END, _END_SIGNATURE = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_END64, _END64_SIGNATURE = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
_LOCATOR, _LOCATOR_SIGNATURE = struct.Struct("<4sLQL"), b"PK\x06\x07"
_ENTRY, _ENTRY_SIGNATURE = struct.Struct("<4s24x3H12x"), b"PK\x01\x02"
_LONGEST_COMMENT = 1 << 16


@dataclass(frozen=True, slots=True)
class Directory:
    """What the end record claims: entries, size in bytes, and the offset where it ends."""

    entries: int
    size: int
    end: int


def check_directory(file: BinaryIO, most_entries: int) -> None:
    """Raise InputError where the directory has more entries than this, or more than 64 MB.

    The position in the file is moved. What is no zip passes: whoever opens it will say so.
    """
    directory = claimed_directory(file)
    if directory is None:
        return
    if directory.size > MAX_DIRECTORY_BYTES:
        most = MAX_DIRECTORY_BYTES / 1e6
        raise InputError(
            f"This zip's list of files alone has {directory.size / 1e6:,.0f} MB; the limit is "
            f"{most:,.0f} MB. Split it into several."
        )
    # The claim may be false; counting ends at the limit, so a true one costs no more.
    entries = max(directory.entries, _counted(file, directory, most_entries))
    if entries > most_entries:
        raise InputError(
            f"This zip holds more than {most_entries:,} files and folders, which is the limit. "
            "Split it into several."
        )


def claimed_directory(file: BinaryIO) -> Directory | None:
    """The end record as ``zipfile`` finds it, None where there is none.

    Raises InputError where there is a zip64 record that readers would look for in several places.
    """
    file.seek(0, os.SEEK_END)
    start = max(file.tell() - _LONGEST_COMMENT - _END.size, 0)
    file.seek(start)
    tail = file.read()
    place = len(tail) - _END.size
    if place < 0 or not (tail.startswith(_END_SIGNATURE, place) and tail.endswith(b"\0\0")):
        place = tail.rfind(_END_SIGNATURE)
    if place < 0 or len(tail) - place < _END.size:
        return None
    _, _, _, _, entries, size, _, _ = _END.unpack_from(tail, place)
    return _zip64(file, start + place) or Directory(entries, size, start + place)


def _zip64(file: BinaryIO, end: int) -> Directory | None:
    """The record of large zips, which stands before that at ``end`` and overrides it."""
    locator = _at(file, end - _LOCATOR.size, _LOCATOR)
    if locator is None or locator[0] != _LOCATOR_SIGNATURE:
        return None
    place = end - _LOCATOR.size - _END64.size
    record = _at(file, place, _END64)
    if record is None or record[0] != _END64_SIGNATURE:
        raise InputError("This zip is packed in a way that can't be read. Pack it as ordinary zip.")
    return Directory(entries=record[7], size=record[8], end=place)


def _at(file: BinaryIO, place: int, record: struct.Struct) -> tuple[Any, ...] | None:
    if place < 0:
        return None
    file.seek(place)
    data = file.read(record.size)
    return record.unpack(data) if len(data) == record.size else None


def _counted(file: BinaryIO, directory: Directory, most: int) -> int:
    """Entries that are really there, counted up to one more than ``most``."""
    place, count = directory.end - directory.size, 0
    while place < directory.end and count <= most:
        entry = _at(file, place, _ENTRY)
        if entry is None or entry[0] != _ENTRY_SIGNATURE:
            break
        place += _ENTRY.size + sum(entry[1:])
        count += 1
    return count
