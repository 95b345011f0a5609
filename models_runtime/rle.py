"""Masks from outside as COCO's compressed runs: checked strictly, measured without pixels.

Needs numpy only, because the web process takes masks from browsers: nothing here costs more than
the runs of the mask, whatever the size of the photo. The format is that of pycocotools'
``maskApi.c``: column-major runs, outside first, five bits a character, each from the fourth on as
the difference to the run two before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.int64]

_ZERO, _MORE, _SIGN, _BITS = 48, 0x20, 0x10, 0x1F
_MOST_CHARACTERS = 7
"""Of one run: 35 bits hold any photo's."""


def runs_of(counts: str, size: tuple[int, int]) -> Runs:
    """The runs, alternately outside and inside, of a mask of ``size`` (height, width).

    ValueError with words where the text is no mask of that size.
    """
    deltas = _numbers(_characters(counts))
    runs = deltas.copy()
    runs[1::2] = np.cumsum(deltas[1::2])
    runs[2::2] = np.cumsum(deltas[2::2])
    if (runs < 0).any():
        raise ValueError("The mask has a run of less than no pixels.")
    if int(runs.sum()) != size[0] * size[1]:
        raise ValueError(
            f"The mask covers {int(runs.sum())} pixels, but the photo of {size[1]} × {size[0]} "
            f"has {size[0] * size[1]}."
        )
    return merged(runs)


def _characters(counts: str) -> Runs:
    try:
        codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - _ZERO
    except UnicodeEncodeError:
        raise ValueError("The mask has characters that no mask has.") from None
    if not len(codes):
        raise ValueError("The mask has no runs.")
    if (codes < 0).any() or (codes > 63).any():
        raise ValueError("The mask has characters that no mask has.")
    if codes[-1] & _MORE:
        raise ValueError("The mask ends in the middle of a run.")
    return np.asarray(codes)


def _numbers(codes: Runs) -> Runs:
    """Signed numbers, each from as many characters as say that more follow, and one."""
    last = np.flatnonzero(codes & _MORE == 0)
    lengths = np.diff(last, prepend=-1)
    if int(lengths.max()) > _MOST_CHARACTERS:
        raise ValueError("The mask has a run longer than any photo.")
    place = np.arange(len(codes)) - np.repeat(last - lengths + 1, lengths)
    parts = (codes & _BITS) << (5 * place)
    values = np.add.reduceat(parts, last - lengths + 1)
    negative = codes[last] & _SIGN != 0
    return np.asarray(values - np.where(negative, np.int64(1) << (5 * lengths), 0))


def merged(runs: Runs) -> Runs:
    """The same mask with no empty run but a first one, so that equal masks have equal runs."""
    edges = np.cumsum(runs)
    starts, ends = edges[0::2][: len(edges[1::2])], edges[1::2]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    apart = starts[1:] != ends[:-1]
    first, last = np.ones(len(starts), bool), np.ones(len(ends), bool)
    first[1:], last[:-1] = apart, apart
    borders = np.stack([starts[first], ends[last]], axis=1).ravel()
    whole = np.diff(borders, prepend=0, append=edges[-1])
    return np.asarray(whole if whole[-1] or len(whole) == 1 else whole[:-1])


def counts_of(runs: Runs) -> str:
    """The compressed text of runs."""
    out = bytearray()
    values = runs.tolist()
    for index, run in enumerate(values):
        value = run - values[index - 2] if index > 2 else run
        more = True
        while more:
            bits = value & _BITS
            value >>= 5
            more = value != -1 if bits & _SIGN else value != 0
            out.append((bits | _MORE if more else bits) + _ZERO)
    return out.decode("ascii")


def area(runs: Runs) -> int:
    """Pixels inside."""
    return int(runs[1::2].sum())


def bounding_box(runs: Runs, height: int) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 of the tightest half-open box, None where the mask is empty."""
    x1, y1, x2, y2 = _ends(runs, height)
    if not len(x1):
        return None
    spans = x2 > x1
    top, bottom = np.where(spans, 0, y1), np.where(spans, height - 1, y2)
    return int(x1.min()), int(top.min()), int(x2.max()) + 1, int(bottom.max()) + 1


def _ends(runs: Runs, height: int) -> tuple[Runs, Runs, Runs, Runs]:
    """Column and row of the first and the last pixel of each filled run."""
    edges = np.cumsum(runs)
    stops = edges[1::2]
    starts = edges[0::2][: len(stops)]
    filled = stops > starts
    x1, y1 = np.divmod(starts[filled], height)
    x2, y2 = np.divmod(stops[filled] - 1, height)
    return x1, y1, x2, y2


def sides(runs: Runs, height: int) -> tuple[float, float]:
    """Longer and shorter side in pixels of the smallest rectangle, turned as it may be, around the
    mask; zeros where it is empty. A side of the rectangle lies on one of the convex hull (Freeman,
    Shapira 1975), so each is tried."""
    found = corners(runs, height)
    if not len(found):
        return 0.0, 0.0
    hull = _hull(_outermost(found))
    edges = np.roll(hull, -1, axis=0) - hull
    along = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    wide, high = (np.ptp(hull @ axis.T, axis=0) for axis in (along, across))
    least = int((wide * high).argmin())
    shorter, longer = sorted((float(wide[least]), float(high[least])))
    return longer, shorter


def corners(runs: Runs, height: int) -> NDArray[np.float64]:
    """Corners (n, 2) of pixels as x, y that have the mask's convex hull.

    A run goes down a column and may go on in the next ones.
    """
    x1, y1, x2, y2 = _ends(runs, height)
    far = x2 > x1
    bottom, top = np.where(far, height, y2 + 1), np.where(far, 0, y1)
    xs = (x1, x1 + 1, x1, x1 + 1, x2, x2 + 1, x2, x2 + 1)
    # Columns between the first and the last are full: their corners are those at x1 + 1 and x2.
    ys = (y1, top, bottom, bottom, bottom, y2 + 1, top, top)
    return np.stack([np.concatenate(xs), np.concatenate(ys)], axis=1).astype(np.float64)


def _outermost(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest and the lowest point at each x, sorted by x, then y."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    change = np.flatnonzero(np.diff(ordered[:, 0]))
    places = np.concatenate([[0], change, change + 1, [len(ordered) - 1]])
    return np.asarray(ordered[np.unique(places)])


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The convex hull's corners in turn (Andrew 1979); ``points`` sorted by x, then y."""
    both: list[list[tuple[float, float]]] = []
    ordered = [(float(x), float(y)) for x, y in points]
    for way in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for point in way:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        both.append(chain[:-1])
    return np.asarray([*both[0], *both[1]]).reshape(-1, 2)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
