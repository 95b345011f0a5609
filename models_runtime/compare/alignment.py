"""Bring a photo onto a reference by shift and turn, where they show the same thing in one place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import Pixels

_LONGEST = 96
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)


@dataclass(frozen=True, slots=True)
class Alignment:
    """``warp``: float32 (2, 3), from a place in the reference to one in the photo, in pixels.

    ``likeness``: correlation of both after aligning, -1..1.
    """

    warp: NDArray[np.float32]
    likeness: float


STAY = Alignment(np.eye(2, 3, dtype=np.float32), 0.0)


def align(photo: Pixels, reference: Pixels) -> Alignment:
    """Find shift and turn by enhanced correlation (Evangelidis and Psarakis 2008).

    Both are uint8 (height, width, 3) of the same size. STAY where nothing fits.
    """
    moving, fixed, scale = _small(photo), _small(reference), _LONGEST / max(photo.shape[:2])
    window = cv2.createHanningWindow(fixed.shape[::-1], cv2.CV_32F)
    # Copies: phaseCorrelate multiplies the window into its arguments.
    shift, _ = cv2.phaseCorrelate(fixed.copy(), moving.copy(), window)
    starts = ((0.0, 0.0), (float(shift[0]), float(shift[1])))
    found = [_refined(moving, fixed, start) for start in starts]
    best = max((a for a in found if a is not None), key=lambda a: a.likeness, default=STAY)
    warp = best.warp.copy()
    warp[:, 2] /= scale
    return Alignment(warp, best.likeness)


def onto_reference(photo: Pixels, alignment: Alignment) -> Pixels:
    """The photo as the reference lies; what comes in from outside repeats the rim."""
    height, width = photo.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(photo, alignment.warp, (width, height), flags=flags, borderMode=border)
    return np.asarray(moved, dtype=np.uint8)


def onto_photo(
    heat: NDArray[np.float32], alignment: Alignment, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring a map of the reference, already of ``size`` (width, height), back onto the photo."""
    moved = cv2.warpAffine(heat, alignment.warp, size, flags=cv2.INTER_LINEAR)
    return np.asarray(moved, dtype=np.float32)


def _small(pixels: Pixels) -> NDArray[np.float32]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = _LONGEST / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), dtype=np.float32)


def _refined(
    moving: NDArray[np.float32], fixed: NDArray[np.float32], start: tuple[float, float]
) -> Alignment | None:
    warp = np.array([[1, 0, start[0]], [0, 1, start[1]]], dtype=np.float32)
    try:
        likeness, found = cv2.findTransformECC(fixed, moving, warp, cv2.MOTION_EUCLIDEAN, _STOP)
    except cv2.error:  # it has not converged
        return None
    return Alignment(np.asarray(found, dtype=np.float32), float(likeness))
