"""What an export is asked for, as it is kept in its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inspection.models.transfer import ExportFormat
from inspection.selectors.exports import CHOICES

SHAPES: Mapping[str, Mapping[str, str]] = {
    ExportFormat.COCO: {
        "rle": "Masks as runs (RLE): exact, also with holes",
        "polygon": "Masks as polygons: for programs that don't read RLE",
    },
    ExportFormat.YOLO: {
        "segment": "Segmentation: outlines of masks",
        "detect": "Detection: boxes only",
    },
}
"""Of each format that has several, how outlines are written; the first is the default."""
WITH_PHOTOS = (ExportFormat.COCO, ExportFormat.YOLO, ExportFormat.VOC)


@dataclass(frozen=True)
class ExportOptions:
    """``shape``: one of ``SHAPES``, "" for formats that have one way only. ``findings``: one of
    ``selectors.exports.CHOICES``. ``photos``: put the photos into the file, too."""

    shape: str = ""
    findings: str = "standing"
    photos: bool = False

    @classmethod
    def of(cls, format: str, *, shape: str, findings: str, photos: bool) -> ExportOptions:
        """With what fits the format; unknown values fall back to the default."""
        shapes = SHAPES.get(format, {})
        return cls(
            shape=shape if shape in shapes else next(iter(shapes), ""),
            findings=findings if findings in CHOICES else "standing",
            photos=photos and format in WITH_PHOTOS,
        )

    @classmethod
    def parsed(cls, kept: Mapping[str, Any]) -> ExportOptions:
        """Back from JSON."""
        return cls(**kept)

    def kept(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
