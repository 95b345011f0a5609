"""Annotations in the pixels of their photo, filled the way that each format's own reader does."""

from __future__ import annotations

import numpy as np

from models_runtime import masks
from models_runtime.contracts import Mask
from models_runtime.formats.annotated import Annotation, Four, Outline, Runs


def placed(annotation: Annotation, size: tuple[int, int]) -> tuple[Four, Mask | None]:
    """Box x1, y1, x2, y2 and mask on a photo of ``size`` (width, height).

    ValueError with words where the outline covers no pixel.
    """
    mask = _mask(annotation.shape, size)
    if mask is not None:
        box = masks.bounding_box(mask)
        if box is None:
            raise ValueError("its outline covers no pixel.")
        return (box.x1, box.y1, box.x2, box.y2), mask
    assert annotation.box is not None, "an annotation has a box or a shape"
    wide, high = size if annotation.is_share else (1, 1)
    x1, y1, x2, y2 = annotation.box
    return (x1 * wide, y1 * high, x2 * wide, y2 * high), None


def _mask(shape: Runs | Outline | None, size: tuple[int, int]) -> Mask | None:
    if shape is None:
        return None
    if isinstance(shape, Runs):
        return Mask(size=shape.size, counts=shape.counts)
    return _filled_as_yolo(shape, size) if shape.is_share else _filled_as_coco(shape, size)


def _filled_as_coco(outline: Outline, size: tuple[int, int]) -> Mask:
    from pycocotools import mask as coco

    width, height = size
    parts = coco.frPyObjects([list(polygon) for polygon in outline.polygons], height, width)
    counts = coco.merge(parts)["counts"].decode("ascii")
    return Mask(size=(height, width), counts=counts)


def _filled_as_yolo(outline: Outline, size: tuple[int, int]) -> Mask:
    """As Ultralytics does: corners cut to whole pixels, which belong to the mask."""
    import cv2

    width, height = size
    canvas = np.zeros((height, width), np.uint8)
    for polygon in outline.polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2) * (width, height)
        cut = np.clip(np.floor(points), 0, (width - 1, height - 1)).astype(np.int32)
        cv2.fillPoly(canvas, [cut], 1)
    return masks.encode(canvas.astype(bool))
