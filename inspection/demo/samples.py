"""Sample photos of the demo: drawn by code, and marked as drawn."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from models_runtime.contracts import Box
from models_runtime.samples import Kind, draw_sample

LABEL = "drawn sample"
LABEL_SIZE = 12
MARGIN = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """One unit of the demo. ``defect`` is what is drawn on it, None for a sound one."""

    reference: str
    plan: str
    kind: Kind
    defect: str | None
    seed: int
    size: tuple[int, int] = (480, 480)
    note: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.reference.lower()}.png"


CELL = (400, 400)
SAMPLES: tuple[Sample, ...] = (
    Sample("CELL-0412", "solar-cells", "solar", "crack", 3, CELL),
    Sample("CELL-0413", "solar-cells", "solar", None, 8, CELL),
    Sample("CELL-0414", "solar-cells", "solar", "dark", 5, CELL, "Module tested after hail."),
    Sample("CELL-0415", "solar-cells", "solar", "cross", 7, CELL),
    Sample("GARMENT-2201", "garments-for-resale", "garment", "stain", 3),
    Sample("GARMENT-2202", "garments-for-resale", "garment", None, 9),
    Sample("GARMENT-2203", "garments-for-resale", "garment", "hole", 14),
    Sample("WALL-NORTH", "walls-and-roads", "wall", "crack", 11, (480, 640)),
)


def sample_photo(sample: Sample) -> bytes:
    """Draw a sample as a PNG file with a small label in a corner that has no defect."""
    pixels, defects = draw_sample(sample.kind, sample.defect, sample.seed, sample.size)
    image = Image.fromarray(pixels)
    _label(image, [defect.box for defect in defects])
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _label(image: Image.Image, taken: list[Box]) -> None:
    """Write the label in grey on a grey plate, so that it stands out little from any picture."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(LABEL_SIZE)
    left, top, right, bottom = draw.textbbox((0, 0), LABEL, font=font)
    width, height = int(right - left) + 2 * MARGIN, int(bottom - top) + 2 * MARGIN
    x, y = _free_corner(image.size, (width, height), taken)
    draw.rounded_rectangle((x, y, x + width - 1, y + height - 1), 3, fill=(96, 96, 96))
    draw.text((x + MARGIN - left, y + MARGIN - top), LABEL, font=font, fill=(232, 232, 232))


def _free_corner(
    size: tuple[int, int], plate: tuple[int, int], taken: list[Box]
) -> tuple[int, int]:
    """Where the plate (width, height) hides none of the boxes; lower right where none is free."""
    near = MARGIN
    far_x, far_y = size[0] - MARGIN - plate[0], size[1] - MARGIN - plate[1]
    corners = [(far_x, far_y), (near, far_y), (far_x, near), (near, near)]
    free = [
        (x, y)
        for x, y in corners
        if not any(
            box.x1 < x + plate[0] and x < box.x2 and box.y1 < y + plate[1] and y < box.y2
            for box in taken
        )
    ]
    return (free or corners)[0]
