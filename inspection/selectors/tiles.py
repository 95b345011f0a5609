"""Tiles of a photo that is larger than its served copy: which there are, and under which keys.

Level 0 is the photo itself, each further one half as large, until one tile holds all of it.
"""

from __future__ import annotations

from inspection.models import Photo

VIEW_SIDE = 4096
"""Long side of the served copy: full resolution up to 12 megapixels or so, a few MB at most."""
SIDE = 1024


def is_large(width: int, height: int) -> bool:
    """Whether the served copy shows less than the photo."""
    return max(width, height) > VIEW_SIDE


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Width and height of each level, rounded up."""
    sizes = [(width, height)]
    while max(sizes[-1]) > SIDE:
        wide, high = sizes[-1]
        sizes.append(((wide + 1) // 2, (high + 1) // 2))
    return sizes


def tile_name(start: str, level: int, x: int, y: int) -> str:
    return f"{start}/{level}/{x}_{y}.jpg"


def tile_key(photo: Photo, level: int, x: int, y: int) -> str:
    """Where a tile lies, "" where there is none."""
    sizes = level_sizes(photo.width or 1, photo.height or 1)
    if not photo.tiles_key or level >= len(sizes):
        return ""
    wide, high = sizes[level]
    inside = x * SIDE < wide and y * SIDE < high
    return tile_name(photo.tiles_key, level, x, y) if inside else ""
