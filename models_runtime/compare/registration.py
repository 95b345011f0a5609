"""Where each place of a photo lies in an earlier photo of the same thing.

Corners and blobs are matched (SIFT, Lowe 2004) and a plane-to-plane mapping is fitted that most of
them agree on (RANSAC); where there is too little texture, shift and turn by enhanced correlation
must do. Of what was found, the mapping is taken after which both photos are most alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.compare.alignment import align
from models_runtime.compare.descriptors import resized
from models_runtime.contracts import Pixels

LEAST_CORRELATION, LEAST_ALIKE = 0.5, 0.8
"""Two photos can be compared where they correlate this much, or where this share of the places is
as light on both: a plain surface with a new hole in it correlates with nothing."""

LEAST_SHARED = 0.25
"""Share of the photo that the earlier one must show."""

_LONGEST = 512
_MOST_POINTS = 1200
_LEAST_POINTS = 12
_DISTINCT = 0.75
_REACH_PX = 3.0
_FLAT = 1e-3
_BLUR = 1.5
_GREY_LEVELS = 8.0
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_BETTER = 1e-4
_MOST_ADJUSTED = 0.02

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Registration:
    """``to_earlier``: float64 (3, 3), from a place x, y, 1 of the photo to one of the earlier
    photo, in pixels of each (Hartley and Zisserman 2004, chapter 4). ``likeness``, 0..1: of both
    where they show the same."""

    to_earlier: Matrix
    likeness: float

    def carried(
        self, mask: NDArray[np.bool_], size: tuple[int, int], scale: float = 1.0
    ) -> NDArray[np.bool_]:
        """A mask of the earlier photo as it lies on the photo of ``size`` (height, width).

        ``scale``: pixels of the result per pixel of the photo; 1 keeps the photo's own.
        """
        matrix = self.to_earlier @ np.diag([1 / scale, 1 / scale, 1.0])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        moved = cv2.warpPerspective(mask.astype(np.uint8), matrix, size[::-1], flags=flags)
        return np.asarray(moved, dtype=bool)


def register(photo: Pixels, earlier: Pixels) -> Registration | None:
    """Find the mapping between two photos, uint8 (height, width, 3) of any sizes.

    None where they do not show the same thing from nearly the same side.
    """
    here, there = _Small.of(photo), _Small.of(earlier)
    tried = (_weighed(matrix, here, there) for matrix in _mappings(here, there))
    fitting = [one for one in tried if one is not None and one.fits]
    if not fitting:
        return None
    best = _refined(max(fitting, key=_Tried.rank), here, there)
    matrix = np.linalg.inv(there.scaling) @ best.matrix @ here.scaling
    return Registration(matrix / matrix[2, 2], min(1.0, max(best.correlation, best.alike)))


@dataclass(frozen=True, slots=True)
class _Tried:
    """A mapping between the small photos and how alike they are after it."""

    matrix: Matrix
    correlation: float
    alike: float

    @property
    def fits(self) -> bool:
        return self.correlation >= LEAST_CORRELATION or self.alike >= LEAST_ALIKE

    def rank(self) -> float:
        return self.correlation + self.alike


@dataclass(frozen=True, slots=True)
class _Small:
    """A photo at working size. ``scaling``: (3, 3), from the photo's pixels to the small one's."""

    pixels: Pixels
    grey: NDArray[np.uint8]
    scaling: Matrix

    @classmethod
    def of(cls, photo: Pixels) -> _Small:
        height, width = photo.shape[:2]
        shrink = min(1.0, _LONGEST / max(height, width))
        size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
        small = resized(photo, size)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return cls(small, grey, np.diag([size[0] / width, size[1] / height, 1.0]))


def _mappings(here: _Small, there: _Small) -> Iterator[Matrix]:
    """What might be the mapping, in pixels of the small photos."""
    height, width = here.grey.shape
    stretch = np.diag([there.grey.shape[1] / width, there.grey.shape[0] / height, 1.0])
    yield stretch
    turned = align(here.pixels, resized(there.pixels, (width, height)))
    # Its warp goes from the reference, which is the earlier photo, to the photo.
    warp = np.vstack([turned.warp.astype(np.float64), [0, 0, 1]])
    yield stretch @ np.linalg.inv(warp)
    by_points = _by_points(here.grey, there.grey)
    if by_points is not None:
        yield by_points


def _by_points(here: NDArray[np.uint8], there: NDArray[np.uint8]) -> Matrix | None:
    sift = cv2.SIFT.create(nfeatures=_MOST_POINTS)
    (mine, mine_words), (theirs, their_words) = (
        sift.detectAndCompute(grey, None) for grey in (here, there)
    )
    if min(len(mine), len(theirs)) < _LEAST_POINTS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(mine_words, their_words, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < _DISTINCT * p[1].distance]
    if len(good) < _LEAST_POINTS:
        return None
    start = np.array([mine[m.queryIdx].pt for m in good], dtype=np.float32)
    end = np.array([theirs[m.trainIdx].pt for m in good], dtype=np.float32)
    matrix, agree = cv2.findHomography(start, end, cv2.RANSAC, _REACH_PX)
    if matrix is None or int(agree.sum()) < _LEAST_POINTS:
        return None
    return np.asarray(matrix, dtype=np.float64)


def _refined(rough: _Tried, here: _Small, there: _Small) -> _Tried:
    """The mapping adjusted until both correlate most (Evangelidis and Psarakis 2008), if it helps:
    where few points agree, or none, shift and turn leave a scale or a tilt over. Only a little: on
    a plain surface a stretched photo would explain a defect that has grown."""
    start = rough.matrix.astype(np.float32)
    try:
        _, found = cv2.findTransformECC(here.grey, there.grey, start, cv2.MOTION_HOMOGRAPHY, _STOP)
    except cv2.error:  # it has not converged
        return rough
    matrix = np.asarray(found, dtype=np.float64)
    finer = _weighed(matrix, here, there)
    if finer is None or _moves(rough.matrix, matrix, here) > _MOST_ADJUSTED * max(here.grey.shape):
        return rough
    return finer if finer.rank() > rough.rank() + _BETTER else rough


def _moves(left: Matrix, right: Matrix, here: _Small) -> float:
    """Pixels between two mappings, at the corner where they differ most."""
    height, width = here.grey.shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    ends = [(matrix @ corners)[:2] / (matrix @ corners)[2] for matrix in (left, right)]
    return float(np.abs(ends[0] - ends[1]).max())


def _weighed(matrix: Matrix, here: _Small, there: _Small) -> _Tried | None:
    """A mapping with how alike both photos are after it; None where it makes no sense."""
    height, width = here.grey.shape
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < _FLAT:
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(
        cv2.warpPerspective(there.grey, matrix, (width, height), flags=flags), dtype=np.uint8
    )
    everywhere = np.full(there.grey.shape, 1, np.uint8)
    shown = cv2.warpPerspective(everywhere, matrix, (width, height), flags=flags) > 0
    if shown.mean() < LEAST_SHARED:
        return None
    left, right = (_soft(grey)[shown] for grey in (here.grey, moved))
    return _Tried(matrix, *_likeness(left, right))


def _soft(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Without the grain, which differs from photo to photo of the very same thing."""
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _BLUR), dtype=np.float32)


def _likeness(left: NDArray[np.float32], right: NDArray[np.float32]) -> tuple[float, float]:
    """Correlation, and the share of places as light on both as far as the eye can tell."""
    a, b = left - left.mean(), right - right.mean()
    spread = float(np.sqrt((a * a).mean() * (b * b).mean()))
    correlation = float((a * b).mean()) / spread if spread > 0 else 0.0
    apart = np.abs((left - np.median(left)) - (right - np.median(right)))
    return correlation, float((apart < max(_GREY_LEVELS, 0.25 * float(left.std()))).mean())
