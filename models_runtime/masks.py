"""Masks as COCO run-length encoding (Lin et al. 2014; pycocotools) and what is measured on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from models_runtime.contracts import Box, Mask


def encode(pixels: NDArray[np.bool_]) -> Mask:
    """Encode a bool array (height, width) as compressed COCO RLE."""
    rle = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    height, width = (int(n) for n in rle["size"])
    return Mask(size=(height, width), counts=rle["counts"].decode("ascii"))


def decode(mask: Mask) -> NDArray[np.bool_]:
    """Decode to a bool array (height, width)."""
    return np.asarray(coco.decode(_rle(mask))).astype(bool)


def area(mask: Mask) -> int:
    """Area in pixels."""
    return int(coco.area(_rle(mask)))


def bounding_box(mask: Mask) -> Box | None:
    """The tightest box around the mask, None where it is empty."""
    x, y, width, height = (float(v) for v in coco.toBbox(_rle(mask)))
    if width <= 0 or height <= 0:
        return None
    return Box(x1=x, y1=y, x2=x + width, y2=y + height)


def iou(left: Mask, right: Mask) -> float:
    """Intersection over union of two masks of the same size; 1.0 where both are empty."""
    if left.size != right.size:
        raise ValueError(f"masks differ in size: {left.size} and {right.size}")
    if area(left) == 0 and area(right) == 0:
        return 1.0
    return float(coco.iou([_rle(left)], [_rle(right)], [0])[0][0])


def _rle(mask: Mask) -> dict[str, object]:
    return {"size": list(mask.size), "counts": mask.counts.encode("ascii")}
