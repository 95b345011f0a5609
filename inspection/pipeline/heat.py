"""Where a photo differs from the golden ones, as a transparent picture to lay over it."""

from __future__ import annotations

import hashlib
import io
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from inspection.services.intake import put

SHOWN_FROM, FULL_AT = 0.5, 1.5
"""Of the heat, of which 1 is the threshold of what is still normal."""
MOST_ALPHA = 190
PALE, DEEP = np.array([255, 236, 128.0]), np.array([189, 0, 38.0])
"""From yellow to dark red: its lightness tells the same as its hue."""


def keep_heat(photo: UUID, heat: NDArray[np.float32]) -> str:
    """Store the picture of a heat map (rows, columns), and return its key. Its name tells of what
    is in it, because browsers keep it."""
    data = picture(heat)
    key = f"served/{photo}/heat-{hashlib.sha256(data).hexdigest()[:12]}.png"
    put(key, data)
    return key


def picture(heat: NDArray[np.float32]) -> bytes:
    """A PNG with transparency, of as many pixels as the map has places."""
    from PIL import Image

    strength = np.clip((heat - SHOWN_FROM) / (FULL_AT - SHOWN_FROM), 0, 1)[..., None]
    colour = PALE + (DEEP - PALE) * strength
    pixels = np.concatenate([colour, strength * MOST_ALPHA], axis=2)
    out = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(out, "PNG", optimize=True)
    return out.getvalue()
