"""``--golden DIR``: learn what is normal from a folder of photos of sound units."""

from __future__ import annotations

import sys
from pathlib import Path

from models_runtime.cli.photo_paths import photos_in
from models_runtime.cli.problems import CallError
from models_runtime.compare.golden import GoldenMemory
from models_runtime.compare.patches import seen_by
from models_runtime.contracts import Extractor, PhotoPixels
from models_runtime.errors import InputError
from models_runtime.intake.decode import decode_photo
from models_runtime.scaling import WorkingCopy

_WORKING_PIXELS = 1_000_000


def memory_from(folder: Path, extractor: Extractor | None = None) -> GoldenMemory:
    """Learn from all readable photos in a folder; unreadable ones are named on stderr.

    Where the extractor lets its features be seen, they are compared too.
    """
    if not folder.is_dir():
        raise CallError(f"--golden {folder} is not a folder. Name a folder of sound photos.")
    photos: list[PhotoPixels] = []
    for path in photos_in(folder):
        try:
            photos.append(WorkingCopy.of(decode_photo(path).photo, _WORKING_PIXELS).photo)
        except InputError as error:
            print(f"warning: golden photo {path.name} is left out: {error}", file=sys.stderr)
    try:
        return GoldenMemory.learn(photos, *seen_by(extractor))
    except InputError as error:
        raise CallError(f"--golden {folder}: {error}") from None
