"""Which files a call means: photos, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif",
     ".heic", ".heif", ".hif", ".avif")
)  # fmt: skip


def expand(arguments: Sequence[str]) -> list[Path]:
    """Files in the order given, each once; folders give their photos, deep and sorted by name.

    What names nothing stays in the list as it is, so that it gets its own error line.
    """
    found = dict.fromkeys(path for argument in arguments for path in _meant(argument))
    return list(found)


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder and those below it, by suffix; hidden ones are passed over."""
    paths = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in paths if not _is_hidden(p.relative_to(folder)))


def _meant(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from photos_in(path) or [path]
    elif path.exists() or not glob.has_magic(argument):
        yield path
    else:
        names = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 absolute too
        files = [Path(name) for name in names if Path(name).is_file()]
        yield from files or [path]


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in relative.parts)
