"""Masks as polygons that give the same mask back, holes included.

A polygon can't have a hole, so each hole is tied to what is around it by a seam: a line there and
back through the mask itself. Filled by even-odd or by winding, a seam adds and takes nothing.

Two kinds, because readers fill polygons in two ways:

- ``edge_polygons``: corners lie between pixels, as COCO's own reader (``maskApi.c``) fills them.
- ``centre_polygon``: corners are pixels that belong to the mask, as OpenCV's ``fillPoly`` draws
  them, with which the readers of YOLO data sets work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
Point = tuple[int, int]
Ring = list[Point]

_STEPS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
_RIGHT, _DOWN, _LEFT, _UP = range(4)


def edge_polygons(mask: Bits) -> list[Ring]:
    """One polygon for each part of the mask (height, width): corners as x, y between pixels.

    Parts that only touch at a corner are apart.
    """
    rings = _edge_rings(mask)
    owner = {point: ring for ring, (points, _) in enumerate(rings) for point in points}
    hosts: dict[int, Ring] = {}
    place: dict[int, int] = {}
    holes = []
    for index, (steps, area) in enumerate(rings):
        if area > 0:
            hosts[index], place[index] = [(x, y) for x, y, _ in steps], index
        else:
            holes.append(index)
    for index in sorted(holes, key=lambda i: min((y, x) for x, y, _ in rings[i][0])):
        points = [(x, y) for x, y, _ in rings[index][0]]
        x, y = min(points, key=lambda point: (point[1], point[0]))
        top = _top_of_column(mask, x, y)
        host = place[owner[(x, top, _RIGHT)]]
        place[index] = host
        _tie(hosts[host], (x, top), points, (x, y))
    return [_without_needless(ring) for ring in hosts.values()]


def _edge_rings(mask: Bits) -> list[tuple[list[tuple[int, int, int]], int]]:
    """Closed walks along the mask's edge, the mask at the right hand: steps as x, y, direction,
    and twice the signed area (negative around a hole)."""
    left = set(_edges(mask))
    rings = []
    for first in sorted(left):
        if first not in left:
            continue
        steps, area, step = [], 0, first
        while step in left:
            left.remove(step)
            steps.append(step)
            x, y, way = step
            dx, dy = _STEPS[way]
            area += x * (y + dy) - (x + dx) * y
            # Where two pixels touch at a corner, the turn to the right stays with this one.
            ways = ((way + turn) % 4 for turn in (1, 0, 3))
            after = ((x + dx, y + dy, next_way) for next_way in ways)
            step = next((one for one in after if one in left), first)
        rings.append((steps, area))
    return rings


def _edges(mask: Bits) -> list[tuple[int, int, int]]:
    """Sides of pixels between inside and outside, each as a step with the inside at the right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    found: list[tuple[int, int, int]] = []
    sides = (
        (padded[:-2, 1:-1], _RIGHT, (0, 0)),
        (padded[1:-1, 2:], _DOWN, (1, 0)),
        (padded[2:, 1:-1], _LEFT, (1, 1)),
        (padded[1:-1, :-2], _UP, (0, 1)),
    )
    for beyond, way, (dx, dy) in sides:
        ys, xs = np.nonzero(inside & ~beyond)
        found += [(x + dx, y + dy, way) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    return found


def _top_of_column(mask: Bits, x: int, y: int) -> int:
    """The first row of the run of mask pixels that ends above row ``y``."""
    outside = np.flatnonzero(~mask[:y, x])
    return int(outside[-1]) + 1 if len(outside) else 0


def _tie(host: Ring, at: Point, hole: Ring, start: Point) -> None:
    """Put the hole into the host's walk, by a seam from ``at`` to ``start`` and back."""
    turn = hole.index(start)
    place = host.index(at)
    host[place:place] = [at, *hole[turn:], *hole[:turn], start]


def _without_needless(ring: Ring) -> Ring:
    """Without corners on a straight way, and without a point that is said twice."""
    kept = [point for place, point in enumerate(ring) if point != ring[place - 1]]
    corners = []
    for place, (x, y) in enumerate(kept):
        before, after = kept[place - 1], kept[(place + 1) % len(kept)]
        ax, ay, bx, by = x - before[0], y - before[1], after[0] - x, after[1] - y
        if ax * by != ay * bx or ax * bx + ay * by < 0:
            corners.append((x, y))
    return corners or ring[:1]


def centre_polygon(mask: Bits) -> Ring:
    """One polygon of pixels (x, y) for the whole mask; empty where it is.

    Parts of the mask are tied together by lines there and back, which readers draw one pixel
    thick: see ``part_count``.
    """
    import cv2  # here, because light modules import this one

    found, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    contours = [[(int(x), int(y)) for x, y in contour.reshape(-1, 2)] for contour in found]
    parents = [int(row[3]) for row in tree.reshape(-1, 4)]
    hosts = {index: list(ring) for index, ring in enumerate(contours) if parents[index] < 0}
    holes = [index for index, parent in enumerate(parents) if parent >= 0]
    for index in sorted(holes, key=lambda i: min((y, x) for x, y in contours[i])):
        # The topmost row of the contour is mask; the hole begins one row further down.
        x, y = min(contours[index], key=lambda point: (point[1], point[0]))
        host = hosts[parents[index]]
        reached = set(host)
        row = y
        while (x, row) not in reached:
            row -= 1
        _tie(host, (x, row), contours[index], (x, y))
    parts = sorted(hosts.values(), key=len, reverse=True)
    whole = parts[0]
    for part in parts[1:]:
        at, start = _nearest(whole, part)
        _tie(whole, at, part, start)
    return _without_needless(whole)


def part_count(mask: Bits) -> int:
    """How many parts (eight neighbours) a mask has."""
    import cv2

    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def _nearest(one: Ring, two: Ring, most: int = 400) -> tuple[Point, Point]:
    """A pair of points that are close; of long rings only some are looked at."""
    left, right = one[:: 1 + len(one) // most], two[:: 1 + len(two) // most]
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    far = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    i, j = divmod(int(far.argmin()), far.shape[1])
    return left[i], right[j]


def flat(ring: Sequence[tuple[float, float]]) -> list[float]:
    """x1, y1, x2, y2, …"""
    return [value for point in ring for value in point]
