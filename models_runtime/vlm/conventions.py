"""How each family of models writes boxes, and from there to pixels of the photo and back.

The table says what the makers document; where they document nothing, fractions are asked for, which
the prompt can explain. ``boxes=NAME`` in an engine's setting overrides it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models_runtime.contracts import Box
from models_runtime.errors import FatalError

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, slots=True)
class Convention:
    """``full``: the number that stands for the far edge, None for pixels of the picture sent.
    ``whole``: whole numbers only. ``rows_first``: y before x."""

    name: str
    full: float | None
    whole: bool = True
    rows_first: bool = False

    @property
    def order(self) -> str:
        return "[y1, x1, y2, x2]" if self.rows_first else "[x1, y1, x2, y2]"

    @property
    def words(self) -> str:
        """For the prompt."""
        if self.full is None:
            return f"{self.order} in pixels of the picture"
        return f"{self.order}, where 0 to {self.full:g} is the whole picture"

    @property
    def largest(self) -> float:
        """The largest number that a box may hold."""
        return 10_000 if self.full is None else self.full

    def scale(self, sent: Size) -> tuple[float, float]:
        """The numbers for the far edges (down, across) of a picture sent at this size."""
        return (sent[0], sent[1]) if self.full is None else (self.full, self.full)

    def in_photo(self, numbers: Sequence[float], sent: Size, photo: Size) -> Box | None:
        """Four numbers of the model as a box in the photo, corners put in order and cut to it.

        None where less than a pixel is left. Numbers must be finite.
        """
        down, across = self.scale(sent)
        a, b, c, d = numbers
        x1, y1, x2, y2 = (b, a, d, c) if self.rows_first else (a, b, c, d)
        xs = sorted(min(max(x * photo[1] / across, 0.0), float(photo[1])) for x in (x1, x2))
        ys = sorted(min(max(y * photo[0] / down, 0.0), float(photo[0])) for y in (y1, y2))
        if xs[1] - xs[0] < 1 or ys[1] - ys[0] < 1:
            return None
        return Box(x1=xs[0], y1=ys[0], x2=xs[1], y2=ys[1])

    def written(self, box: Box, photo: Size) -> list[float]:
        """A box in pixels of the photo as a model of this convention would write it, if the photo
        was sent as it is."""
        down, across = self.scale(photo)
        x1, x2 = box.x1 * across / photo[1], box.x2 * across / photo[1]
        y1, y2 = box.y1 * down / photo[0], box.y2 * down / photo[0]
        numbers = [y1, x1, y2, x2] if self.rows_first else [x1, y1, x2, y2]
        return [round(n) for n in numbers] if self.whole else [round(n, 6) for n in numbers]


UNIT = Convention("unit", 1.0, whole=False)
HUNDRED = Convention("hundred", 100.0)
THOUSAND = Convention("thousand", 1000.0)
PIXELS = Convention("pixels", None)
ROWS_THOUSAND = Convention("rows-thousand", 1000.0, rows_first=True)
LOC_TOKENS = Convention("rows-1024", 1024.0, rows_first=True)

CONVENTIONS = {
    one.name: one for one in (UNIT, HUNDRED, THOUSAND, PIXELS, ROWS_THOUSAND, LOC_TOKENS)
}

FAMILIES: dict[str, Convention] = {
    "qwen2_vl": THOUSAND,  # Wang et al. 2024: normalised to [0, 1000)
    "qwen2_5_vl": PIXELS,  # Bai et al. 2025: pixels of the picture as the model sees it
    "qwen3_vl": THOUSAND,  # model card: relative coordinates from 0 to 1000
    "qwen3_vl_moe": THOUSAND,
    "internvl": THOUSAND,  # Chen et al. 2024: normalised to [0, 1000]
    "glm4v": THOUSAND,  # model card: normalised to 0..1000
    "glm4v_moe": THOUSAND,
    "florence2": THOUSAND,  # Xiao et al. 2023: 1000 bins, <loc_0> to <loc_999>
    "paligemma": LOC_TOKENS,  # Beyer et al. 2024: y first, 1024 bins, <loc0000> to <loc1023>
    "llava": UNIT,  # Liu et al. 2023: fractions of the picture
    "llava_next": UNIT,
    "llava_onevision": UNIT,
}
"""By ``model_type`` of the model's configuration."""

_LOC = re.compile(r"<loc_?(\d{1,4})>")


def convention_of(model_type: str, override: str = "") -> Convention:
    """The convention of a family, UNIT where none is known; FatalError for an unknown override."""
    if override:
        return convention_named(override)
    return FAMILIES.get(model_type, UNIT)


def convention_named(name: str) -> Convention:
    """FatalError where there is none of this name."""
    if name not in CONVENTIONS:
        raise FatalError(f"boxes={name!r} must be one of: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def loc_tokens(text: str) -> list[int]:
    """The numbers of location tokens such as <loc0123> or <loc_12>; none where there are none."""
    return [int(number) for number in _LOC.findall(text)]
