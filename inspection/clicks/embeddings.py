"""What the segmenter has seen of photos, kept: a few in memory, many on disk.

An embedding on disk outlives the process, so that a restart costs nobody a second look. Files are
named by a hash of engine, photo and window, so that another engine's are never taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models_runtime.contracts import ImageEmbedding

IN_MEMORY_BYTES = 64_000_000
PRUNE_EVERY = 50
"""Files written between two looks at how large the folder is."""


class Embeddings:
    """A cache by name, for several threads. ``most_bytes``: of the folder on disk."""

    def __init__(self, folder: Path, most_bytes: int, in_memory: int = IN_MEMORY_BYTES) -> None:
        self._folder, self._most, self._in_memory = folder, most_bytes, in_memory
        self._kept: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._lock = threading.Lock()
        self._written = 0
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> ImageEmbedding | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = self._read(name)
        if found is not None:
            self._remember(name, found)
        return found

    def add(self, name: str, embedding: ImageEmbedding) -> ImageEmbedding:
        """Keep it, and return it as a later reader will find it: in half precision, which moves a
        mask's edge by less than a hundredth of a pixel and halves the files."""
        rounded = _with_features(embedding, embedding.features.astype(np.float16))
        self._write(name, rounded)
        self._remember(name, rounded)
        return rounded

    def _remember(self, name: str, embedding: ImageEmbedding) -> None:
        with self._lock:
            self._kept[name] = embedding
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and self._bytes() > self._in_memory:
                self._kept.popitem(last=False)

    def _bytes(self) -> int:
        return sum(kept.features.nbytes for kept in self._kept.values())

    def _path(self, name: str) -> Path:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.npz"

    def _read(self, name: str) -> ImageEmbedding | None:
        path = self._path(name)
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = ImageEmbedding(
                    features=np.ascontiguousarray(file["features"], np.float32),
                    size=_pair(file["size"]),
                    input_size=_pair(file["input_size"]),
                    engine=str(file["engine"]),
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # half a file from a full disk: look again
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def _write(self, name: str, embedding: ImageEmbedding) -> None:
        """In one move, so that a reader never sees half of it. A full disk costs the file only."""
        path = self._path(name)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            path.parent.mkdir(exist_ok=True)
            with partial.open("wb") as file:
                np.savez(
                    file,
                    features=embedding.features.astype(np.float16),
                    size=np.asarray(embedding.size),
                    input_size=np.asarray(embedding.input_size),
                    engine=np.asarray(embedding.engine),
                )
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
        self._written += 1
        if self._written % PRUNE_EVERY == 1:
            self.prune()

    def prune(self) -> None:
        """Remove what was used least recently, until the folder is as small as it may be."""
        files = sorted(self._files(), reverse=True)
        total = 0
        for _, size, path in files:
            total += size
            if total > self._most:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                known = path.stat()
                yield known.st_mtime, known.st_size, path


def _pair(values: object) -> tuple[int, int]:
    first, second = np.asarray(values).tolist()
    return int(first), int(second)


def _with_features(embedding: ImageEmbedding, features: np.ndarray) -> ImageEmbedding:
    return ImageEmbedding(
        features=np.ascontiguousarray(features, np.float32),
        size=embedding.size,
        input_size=embedding.input_size,
        engine=embedding.engine,
    )
