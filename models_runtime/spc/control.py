"""Control charts for shares (p), rates (u) and single values (I), with limits per point.

Montgomery, "Introduction to Statistical Quality Control", chapters 6 and 7; Laney 2002, "Improved
control charts for attributes", where units of a day are more alike than chance allows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SIGMAS = 3.0
D2 = 1.128
"""Mean range of two values of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Point:
    """One subgroup: ``value`` is hits ÷ size. ``z``: distance from the centre in its own standard
    deviations, 0 where there is no spread. Without units (``size`` 0) there is no value."""

    hits: float
    size: float
    value: float | None
    low: float
    high: float
    z: float | None


@dataclass(frozen=True, slots=True)
class ControlChart:
    """``centre`` is the mean over all units. ``spread`` is what the limits were widened by: 1 for
    the usual ones; ``laney`` is the factor that the data ask for (σ of z)."""

    centre: float
    points: tuple[Point, ...]
    laney: float
    spread: float = 1.0


def p_chart(hits: Sequence[int], sizes: Sequence[int], *, laney: bool = False) -> ControlChart:
    """Shares of defective units. Limits p̄ ± 3·√(p̄(1−p̄)/n), cut to 0..1.

    Raises ValueError where hits exceed the units, or nothing was counted.
    """
    if any(hit > size for hit, size in zip(hits, sizes, strict=True)):
        raise ValueError("more hits than units")
    return _chart(hits, sizes, lambda p, n: math.sqrt(p * (1 - p) / n), 1.0, laney)


def u_chart(hits: Sequence[int], sizes: Sequence[float], *, laney: bool = False) -> ControlChart:
    """Defects per unit. Limits ū ± 3·√(ū/n), not below 0. Raises ValueError without any unit."""
    return _chart(hits, sizes, lambda u, n: math.sqrt(u / n), math.inf, laney)


def _chart(
    hits: Sequence[float],
    sizes: Sequence[float],
    sigma_of: Callable[[float, float], float],
    most: float,
    laney: bool,
) -> ControlChart:
    if min(hits, default=0) < 0 or min(sizes, default=0) < 0 or not sum(sizes):
        raise ValueError("a control chart needs counts, and at least one unit")
    centre = sum(hits) / sum(sizes)
    sigmas = [sigma_of(centre, size) if size else 0.0 for size in sizes]
    zs = [_z(h, n, centre, s) for h, n, s in zip(hits, sizes, sigmas, strict=True)]
    factor = _sigma_z([z for z in zs if z is not None])
    spread = max(factor, 1.0) if laney else 1.0
    points = tuple(
        Point(
            hits=hit,
            size=size,
            value=hit / size if size else None,
            low=max(0.0, centre - SIGMAS * sigma * spread),
            high=min(most, centre + SIGMAS * sigma * spread),
            z=None if z is None else z / spread,
        )
        for hit, size, sigma, z in zip(hits, sizes, sigmas, zs, strict=True)
    )
    return ControlChart(centre, points, factor, spread)


def _z(hits: float, size: float, centre: float, sigma: float) -> float | None:
    if not size:
        return None
    return (hits / size - centre) / sigma if sigma else 0.0


def _sigma_z(zs: Sequence[float]) -> float:
    """Spread of the standardised points by their moving range (Laney 2002); 1 if they're few."""
    if len(zs) < 2:
        return 1.0
    ranges = [abs(after - before) for before, after in itertools.pairwise(zs)]
    return sum(ranges) / len(ranges) / D2


def individuals_chart(values: Sequence[float | None], baseline: int | None = None) -> ControlChart:
    """Single values. Limits mean ± 3·(mean moving range ÷ 1.128), of the first ``baseline`` values
    that there are, else of all. Raises ValueError with fewer than two values."""
    there = [value for value in values if value is not None]
    base = there[:baseline] if baseline else there
    if len(base) < 2:
        raise ValueError("limits need at least two values")
    centre, sigma = sum(base) / len(base), _sigma_z(base)
    points = tuple(
        Point(
            hits=value or 0.0,
            size=0.0 if value is None else 1.0,
            value=value,
            low=centre - SIGMAS * sigma,
            high=centre + SIGMAS * sigma,
            z=None if value is None else (value - centre) / sigma if sigma else 0.0,
        )
        for value in values
    )
    return ControlChart(centre, points, 1.0)
