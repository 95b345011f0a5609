"""Sample photos of the demo: drawn by code, and marked as drawn."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models_runtime.samples import Kind, draw_sample

DESCRIPTION = "Drawn by Loupe's own code for its demo; not a photograph."


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
    """Draw a sample as a PNG file that says so in its description, not in its pixels.

    A label in the picture would be one more thing for the models to find.
    """
    pixels, _ = draw_sample(sample.kind, sample.defect, sample.seed, sample.size)
    told = PngInfo()
    told.add_text("Description", DESCRIPTION)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1, pnginfo=told)
    return out.getvalue()
