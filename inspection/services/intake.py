"""Files in the storage: kept under keys of our own, never under a name from outside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from inspection.models import Site
from inspection.models.base import new_id

IN_MEMORY_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is safely stored. ``name`` is what the sender called it, for people only;
    ``sha256`` (hex) and ``size_bytes`` are of its bytes."""

    name: str
    stored_key: str
    sha256: str
    size_bytes: int


def put(key: str, data: bytes) -> None:
    """Store bytes under a key, in place of what was there."""
    default_storage.save(key, ContentFile(data))


def fetch(key: str) -> bytes:
    """Read what is stored under a key. Raises FileNotFoundError."""
    with default_storage.open(key, "rb") as file:
        data: bytes = file.read()
    return data


def fetch_head(key: str, size: int = 64) -> bytes:
    """Read the first bytes of a file. Raises FileNotFoundError."""
    with default_storage.open(key, "rb") as file:
        data: bytes = file.read(size)
    return data


def remove(keys: Iterable[str]) -> None:
    """Remove files; those that are gone already are passed over."""
    for key in keys:
        default_storage.delete(key)


def new_key(site: Site) -> str:
    """A key for an original, below a folder of its site."""
    name = new_id()
    return f"originals/{site.pk}/{name.hex[:6]}/{name}"


def store_bytes(site: Site, name: str, data: bytes) -> StoredFile:
    """Keep a file that is in memory."""
    key = new_key(site)
    put(key, data)
    return StoredFile(name[:255], key, hashlib.sha256(data).hexdigest(), len(data))


def store_parts(site: Site, name: str, keys: Iterable[str]) -> StoredFile:
    """Put stored parts together to one file. Raises FileNotFoundError where a part is missing."""
    digest = hashlib.sha256()
    size = 0
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as whole:
        for key in keys:
            data = fetch(key)
            digest.update(data)
            size += len(data)
            whole.write(data)
        whole.seek(0)
        stored_key = new_key(site)
        default_storage.save(stored_key, File(whole, name=stored_key))
    return StoredFile(name[:255], stored_key, digest.hexdigest(), size)
