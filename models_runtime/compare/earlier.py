"""What has changed since an earlier photo of the same asset, and what became of its defects.

Both photos are registered, the earlier one is laid onto the present one, the light is evened out,
and the places are compared by the same descriptors as those of golden photos, each with the places
around it. What the pixels say decides, not only what a model found: a defect that nobody had marked
on the earlier photo was there before if its place looks the same on both, and one that is not found
again is fixed only if its place has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime import masks
from models_runtime.compare.descriptors import Grid, describe, resized, working_size
from models_runtime.compare.golden import box_of, enlarged
from models_runtime.compare.registration import Matrix, Registration, register
from models_runtime.contracts import (
    Architecture,
    Box,
    Comparison,
    Deviation,
    EngineRef,
    Finding,
    FindingSource,
    PhotoPixels,
    Pixels,
)

REF = EngineRef(architecture=Architecture.COMPARE, engine="earlier-photo", version="1")

MOST_DEVIATIONS = 5
SMALLEST = 16
"""Pixels a photo must have each way to be compared with another one."""

_LONGEST = 384
_REACH = 1
_LEAST_CHANGE = 12.0
_CLEAR_OF_NOISE = 6.0
_COVERED = 0.25
_SIDES = 3
"""Cells at the rim of what both photos show are not compared: half of what they describe is cut."""


@dataclass(frozen=True)
class EarlierPhoto:
    """A photo of the same asset from before (or the template it was made from), with the findings
    on it, in its own pixels. ``dismissed``: what a person said is none; that it has gone since is
    not worth telling."""

    photo: PhotoPixels
    findings: tuple[Finding, ...] = ()
    dismissed: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Change:
    """What is different on ``photo`` since ``earlier``.

    ``heat``: float32 (rows, columns) over the photo; above 1 is a change. ``shown``: bool of the
    same shape, what both photos show.
    """

    photo: PhotoPixels
    earlier: EarlierPhoto
    registration: Registration
    heat: NDArray[np.float32]
    shown: NDArray[np.bool_]

    @cached_property
    def comparison(self) -> Comparison:
        """The places that have changed, as deviations in pixels of the photo."""
        deviations = self._deviations()
        likeliest = max((one.score for one in deviations), default=0.0)
        return Comparison(likeliest, self.heat, deviations, FindingSource.EARLIER)

    def has_changed(self, place: NDArray[np.bool_]) -> bool:
        """Whether a place, bool (height, width) of the photo, looks different than before."""
        cells = self._cells(place)
        return bool((self.heat[cells] > 1).any())

    def is_shown(self, place: NDArray[np.bool_]) -> bool:
        """Whether the earlier photo shows at least half of a place of this one."""
        cells = self._cells(place)
        return bool(cells.any()) and float(self.shown[cells].mean()) >= 0.5

    def carried(self, finding: Finding) -> NDArray[np.bool_]:
        """The place of an earlier finding, bool (height, width) of the photo."""
        place = place_of(finding, self.earlier.photo)
        return self.registration.carried(place, (self.photo.height, self.photo.width))

    def _cells(self, place: NDArray[np.bool_]) -> NDArray[np.bool_]:
        rows, columns = self.heat.shape
        share = cv2.resize(place.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        most = float(share.max())
        return np.asarray(share >= min(_COVERED, most / 2)) & (most > 0)

    def _deviations(self) -> tuple[Deviation, ...]:
        """Islands of heat above 1, hottest first."""
        count, islands = cv2.connectedComponents((self.heat > 1).astype(np.uint8))
        peaks = [(float(self.heat[islands == i].max()), i) for i in range(1, count)]
        found = []
        for peak, island in sorted(peaks, reverse=True)[:MOST_DEVIATIONS]:
            mask = enlarged(islands == island, (self.photo.height, self.photo.width))
            box = box_of(mask)
            if box is not None:
                found.append(Deviation(box, mask, _sure(peak)))
        return tuple(found)


def compare_earlier(photo: PhotoPixels, earlier: EarlierPhoto) -> Change | None:
    """Say what has changed; None where both can't be laid onto each other."""
    return nearest(photo, [earlier])


def nearest(photo: PhotoPixels, candidates: Sequence[EarlierPhoto]) -> Change | None:
    """Compare with that of several photos of the asset which shows the most alike view.

    None where none does, or where a photo is too small to hold anything (see SMALLEST).
    """
    large = [one for one in candidates if is_large_enough(one.photo) and is_large_enough(photo)]
    registered = [(register(photo.pixels, one.photo.pixels), one) for one in large]
    fitting = [(found, one) for found, one in registered if found is not None]
    if not fitting:
        return None
    registration, earlier = max(fitting, key=lambda pair: pair[0].likeness)
    heat, shown = _heat(photo.pixels, earlier.photo.pixels, registration)
    return Change(photo, earlier, registration, heat, shown)


def is_large_enough(photo: PhotoPixels) -> bool:
    """Whether there is anything to compare."""
    return min(photo.width, photo.height) >= SMALLEST


def place_of(finding: Finding, photo: PhotoPixels) -> NDArray[np.bool_]:
    """The pixels of a finding, bool (height, width); those of its box where it has no mask."""
    shape = (photo.height, photo.width)
    if finding.mask is not None and tuple(finding.mask.size) == shape:
        return masks.decode(finding.mask)
    return filled(finding.box, shape)


def filled(box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A box as a mask of ``shape`` (height, width); at least one pixel where it lies inside."""
    place = np.zeros(shape, dtype=bool)
    top, left = int(np.floor(box.y1)), int(np.floor(box.x1))
    place[top : max(top + 1, round(box.y2)), left : max(left + 1, round(box.x2))] = True
    return place


def _heat(
    photo: Pixels, earlier: Pixels, registration: Registration
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    size = working_size(photo, _LONGEST)
    # Both are drawn in the very same way: two ways of shrinking would differ by themselves.
    grow = np.diag([photo.shape[1] / size[0], photo.shape[0] / size[1], 1.0])
    here, _ = _drawn(photo, grow, size)
    there, shown = _drawn(earlier, registration.to_earlier @ grow, size)
    here_grid, there_grid = describe(here), describe(_in_the_same_light(there, here, shown))
    apart = _apart(here_grid, there_grid)
    cells = cv2.resize(shown.astype(np.uint8), apart.shape[::-1], interpolation=cv2.INTER_AREA)
    clear = cv2.erode(
        cells, np.ones((_SIDES, _SIDES), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1
    )
    compared = np.asarray(clear, dtype=bool)
    apart[~compared] = 0
    heat = apart / _threshold(apart[compared])
    return np.asarray(heat, dtype=np.float32), compared


def _drawn(
    pixels: Pixels, place: Matrix, size: tuple[int, int]
) -> tuple[Pixels, NDArray[np.bool_]]:
    """A photo drawn at ``size`` (width, height), and where there is something of it to draw.

    ``place``: (3, 3), from a place in the result to one in ``pixels``.
    """
    # It is averaged to about the same scale first: sampling alone would alias.
    scale = min(1.0, max(size) * 1.5 / max(pixels.shape[:2]))
    smaller = tuple(max(8, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    small = resized(pixels, (smaller[0], smaller[1])) if scale < 1 else pixels
    shrink = np.diag([small.shape[1] / pixels.shape[1], small.shape[0] / pixels.shape[0], 1.0])
    matrix, flags = shrink @ place, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpPerspective(small, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = np.full(small.shape[:2], 255, np.uint8)
    shown = cv2.warpPerspective(inside, matrix, size, flags=flags)
    return np.asarray(drawn, dtype=np.uint8), np.asarray(shown) > 127


def _in_the_same_light(there: Pixels, here: Pixels, shown: NDArray[np.bool_]) -> Pixels:
    """With exposure and white balance of the other photo: median and spread of each channel."""
    if not shown.any():
        return there
    source, target = there[shown].astype(np.float32), here[shown].astype(np.float32)
    (low, mid, high), (low_to, mid_to, high_to) = (
        np.percentile(values, (10, 50, 90), axis=0) for values in (source, target)
    )
    gain = np.clip((high_to - low_to + 8) / (high - low + 8), 0.5, 2.0)
    lit = np.clip((there - mid) * gain + mid_to + 0.5, 0, 255)
    return np.asarray(lit, dtype=np.uint8)


def _apart(here: Grid, there: Grid) -> NDArray[np.float32]:
    """(rows, columns): what has come, or gone; each place against those within one cell."""
    come, gone = _nearest_around(here, there), _nearest_around(there, here)
    return np.maximum(come, gone)


def _nearest_around(grid: Grid, other: Grid) -> NDArray[np.float32]:
    rows, columns, _ = grid.shape
    padded = np.pad(other, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)), mode="edge")
    best = np.full((rows, columns), np.inf, dtype=np.float32)
    for down in range(2 * _REACH + 1):
        for across in range(2 * _REACH + 1):
            difference = grid - padded[down : down + rows, across : across + columns]
            np.minimum(best, np.square(difference).mean(axis=-1), out=best)
    return np.asarray(np.sqrt(best), dtype=np.float32)


def _threshold(apart: NDArray[np.float32]) -> float:
    """From where on a difference is a change: well clear of what differs all over the photo."""
    if not apart.size:
        return _LEAST_CHANGE
    middle = float(np.median(apart))
    spread = 1.4826 * float(np.median(np.abs(apart - middle)))
    return max(_LEAST_CHANGE, middle + _CLEAR_OF_NOISE * spread)


def _sure(peak: float) -> float:
    """Rises with the peak from one half. One pair of photos holds nothing to calibrate it on."""
    return min(0.95, 1 - 0.5 / max(1.0, peak))
