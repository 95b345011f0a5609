"""The two drawings of the risk page as numbers for SVG: no drawing library, no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 40
RATE_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SHARE_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
SMALLEST_RATE = 0.001


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid at ``at`` pixels, and the share it stands for."""

    at: float
    share: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A point in pixels with the shares it stands for; ``low`` and ``high`` end its whisker."""

    x: float
    y: float
    across: float
    up: float
    low: float = 0.0
    high: float = 0.0
    radius: float = 3.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """``path`` joins the dots; ``chosen`` is the one that holds now."""

    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    path: str
    dots: tuple[Dot, ...]
    chosen: Dot | None = None

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - RIGHT
    top = TOP
    bottom = HEIGHT - BOTTOM
    middle = (LEFT + WIDTH - RIGHT) / 2


def pass_curve(points: Sequence[Sequence[float]], chosen_rate: float) -> Chart:
    """Stated escape rate across (logarithmic), share that passes up.

    ``points``: [rate, share that passes, …] in ascending order of rate. Between two of them the
    share is at least the lower one, so the line goes in steps.
    """
    largest = max(point[0] for point in points)
    span = math.log(largest / SMALLEST_RATE)

    def across(rate: float) -> float:
        place = math.log(max(rate, SMALLEST_RATE) / SMALLEST_RATE) / span
        return round(LEFT + place * (WIDTH - RIGHT - LEFT), 1)

    dots = tuple(Dot(across(p[0]), _up(p[1]), p[0], p[1]) for p in points)
    steps = f"M{dots[0].x} {dots[0].y}" + "".join(f"H{dot.x}V{dot.y}" for dot in dots[1:])
    columns = tuple(Tick(across(rate), rate) for rate in RATE_TICKS if rate <= largest)
    here = next((dot for dot in dots if math.isclose(dot.across, chosen_rate)), None)
    return Chart(columns, _share_rows(), steps, dots, here)


def reliability_diagram(bins: Sequence[Sequence[float]]) -> Chart:
    """Stated chance across, share of defective units up, with Clopper–Pearson whiskers.

    ``bins``: [mean chance, share of defective, low, high, units].
    """
    most = max((found[4] for found in bins), default=1.0)
    dots = tuple(
        Dot(
            _across(chance),
            _up(share),
            chance,
            share,
            low=_up(low),
            high=_up(high),
            radius=round(3 + 3 * math.sqrt(count / most), 1),
            count=int(count),
        )
        for chance, share, low, high, count in bins
    )
    columns = tuple(Tick(_across(share), share) for share in SHARE_TICKS)
    diagonal = f"M{_across(0.0)} {_up(0.0)}L{_across(1.0)} {_up(1.0)}"
    return Chart(columns, _share_rows(), diagonal, dots)


def _share_rows() -> tuple[Tick, ...]:
    return tuple(Tick(_up(share), share) for share in SHARE_TICKS)


def _across(share: float) -> float:
    return round(LEFT + share * (WIDTH - RIGHT - LEFT), 1)


def _up(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)
