"""Masks as COCO run-length encoding (Lin et al. 2014; pycocotools) and what is measured on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from models_runtime import rle
from models_runtime.contracts import Box, Mask


def encode(pixels: NDArray[np.bool_]) -> Mask:
    """Encode a bool array (height, width) as compressed COCO RLE."""
    rle = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    height, width = (int(n) for n in rle["size"])
    return Mask(size=(height, width), counts=rle["counts"].decode("ascii"))


def decode(mask: Mask) -> NDArray[np.bool_]:
    """Decode to a bool array (height, width); ValueError where the runs don't fit the size.

    In numpy, because pycocotools' own decoder warns under numpy 2.
    """
    height, width = mask.size
    runs = np.asarray(_runs(mask.counts), dtype=np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise ValueError(f"the mask's runs don't add up to {height} × {width} pixels")
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def area(mask: Mask) -> int:
    """Area in pixels."""
    return int(coco.area(_rle(mask)))


def bounding_box(mask: Mask) -> Box | None:
    """The tightest box around the mask, None where it is empty."""
    x, y, width, height = (float(v) for v in coco.toBbox(_rle(mask)))
    if width <= 0 or height <= 0:
        return None
    return Box(x1=x, y1=y, x2=x + width, y2=y + height)


def length(mask: Mask) -> float:
    """Longer side in pixels of the smallest rectangle, turned as it may be, around the mask.

    Pixels count from edge to edge: a row of n is n long. 0.0 where the mask is empty.
    """
    import cv2  # here, because light modules import this one

    corners = _corners(mask)
    return float(max(cv2.minAreaRect(corners)[1])) if len(corners) else 0.0


def _corners(mask: Mask) -> NDArray[np.float32]:
    """Corners (n, 2) as x, y that have the mask's convex hull, without unpacking the mask."""
    runs = np.asarray(_runs(mask.counts), dtype=np.int64)
    return rle.corners(runs, mask.size[0]).astype(np.float32)


def iou(left: Mask, right: Mask) -> float:
    """Intersection over union of two masks of the same size; 1.0 where both are empty."""
    if left.size != right.size:
        raise ValueError(f"masks differ in size: {left.size} and {right.size}")
    if area(left) == 0 and area(right) == 0:
        return 1.0
    return float(coco.iou([_rle(left)], [_rle(right)], [0])[0][0])


def tidied(pixels: NDArray[np.bool_], speck: float = 0.02) -> NDArray[np.bool_]:
    """The mask (height, width) without specks and pinholes: parts and holes smaller than this share
    of its area go. The largest part stays, whatever its size."""
    least = speck * float(pixels.sum())
    whole = pixels | (_small_parts(~pixels, least, keep_largest=False))
    return np.asarray(whole & ~_small_parts(whole, least, keep_largest=True))


def _small_parts(
    pixels: NDArray[np.bool_], least: float, *, keep_largest: bool
) -> NDArray[np.bool_]:
    """The connected parts (eight neighbours) of fewer than ``least`` pixels."""
    import cv2  # here, because light modules import this one

    _, parts, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    small = sizes < least
    small[0] = False
    if keep_largest and len(sizes) > 1:
        small[1 + int(sizes[1:].argmax())] = False
    return np.asarray(small[parts], dtype=np.bool_)


def _rle(mask: Mask) -> dict[str, object]:
    return {"size": list(mask.size), "counts": mask.counts.encode("ascii")}


def _runs(counts: str) -> list[int]:
    """Unpack COCO's string of runs: six bits a character, each run against the one before last."""
    runs: list[int] = []
    value = shift = 0
    for char in counts.encode("ascii"):
        bits = char - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
