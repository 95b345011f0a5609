"""Charts as numbers for SVG, each with the table that says the same: no script, no inline style.

Colour is never alone: limits are dashed, signals are diamonds with the number of their rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 16, 30
MOST_LABELS = 7


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a table: ``value`` for CSV, ``text`` for people, ``href`` to what is behind."""

    value: Any
    text: str = ""
    href: str = ""

    @property
    def shown(self) -> str:
        return self.text or ("–" if self.value is None else str(self.value))

    @property
    def is_number(self) -> bool:
        return self.value is None or isinstance(self.value, (int, float))


@dataclass(frozen=True, slots=True)
class Table:
    """What a chart shows, in words and figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """``rules``: numbers of the run rules that speak of it. ``text`` is read out and shown."""

    x: float
    y: float
    text: str
    href: str = ""
    rules: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def first_rule(self) -> str:
        """One number fits above a point; all are in its words and in the list below."""
        return self.rules.partition(",")[0]

    @property
    def diamond(self) -> str:
        return f"M{self.x} {self.y - 6}l6 6l-6 6l-6 -6Z"


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Points over time. ``upper`` and ``lower`` are paths of the limits, in steps."""

    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    path: str
    dots: tuple[Dot, ...]
    centre: float | None = None
    centre_text: str = ""
    upper: str = ""
    lower: str = ""
    show_dots: bool = True

    template = "dashboards/chart_time.html"
    width, height, left = WIDTH, HEIGHT, LEFT
    right, top, bottom = WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Value:
    """A point to be drawn: ``value`` None leaves a gap."""

    label: str
    value: float | None
    text: str
    href: str = ""
    rules: str = ""
    low: float | None = None
    high: float | None = None
    whisker: tuple[float, float] | None = None


def time_chart(
    values: Sequence[Value], unit: str, *, centre: float | None = None, zero: bool = True
) -> TimeChart:
    """``unit``: "%" for shares of 1, else what follows a figure. ``zero``: the axis begins at 0."""
    ends = [v for value in values for v in _ends(value) if v is not None]
    ends += [centre] if centre is not None else []
    ticks = nice_ticks(0.0 if zero else min(ends, default=0), max(ends, default=1))
    low, high = ticks[0], ticks[-1]

    def up(value: float) -> float:
        share = (value - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    step = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    places = [round(LEFT + step * (n + 0.5), 1) for n in range(len(values))]
    dots = tuple(_dot(value, x, up) for value, x in zip(values, places, strict=True)
                 if value.value is not None)  # fmt: skip
    return TimeChart(
        rows=tuple(Tick(up(tick), figure(tick, unit)) for tick in ticks),
        columns=_labels(values, places),
        path=_line(values, places, up),
        dots=dots,
        centre=None if centre is None else up(centre),
        centre_text="" if centre is None else figure(centre, unit),
        upper=_steps([value.high for value in values], step, up),
        lower=_steps([value.low for value in values], step, up),
        show_dots=len(dots) <= 130,
    )


def _ends(value: Value) -> tuple[float | None, ...]:
    return (value.value, value.low, value.high, *(value.whisker or ()))


def _dot(value: Value, x: float, up: Any) -> Dot:
    low, high = value.whisker or (None, None)
    return Dot(
        x=x,
        y=up(value.value),
        text=f"{value.label}: {value.text}",
        href=value.href,
        rules=value.rules,
        low=None if low is None else up(low),
        high=None if high is None else up(high),
    )


def _labels(values: Sequence[Value], places: Sequence[float]) -> tuple[Tick, ...]:
    every = max(1, math.ceil(len(values) / MOST_LABELS))
    return tuple(Tick(places[n], values[n].label) for n in range(0, len(values), every))


def _line(values: Sequence[Value], places: Sequence[float], up: Any) -> str:
    """A line that breaks where there is no value."""
    path, pen = "", "M"
    for value, x in zip(values, places, strict=True):
        if value.value is None:
            pen = "M"
            continue
        path, pen = f"{path}{pen}{x} {up(value.value)}", "L"
    return path


def _steps(limits: Sequence[float | None], step: float, up: Any) -> str:
    """Limits hold for the whole width of their point."""
    path, pen = "", "M"
    for place, limit in enumerate(limits):
        if limit is None or not math.isfinite(limit):
            pen = "M"
            continue
        begin, end = round(LEFT + step * place, 1), round(LEFT + step * (place + 1), 1)
        path, pen = f"{path}{pen}{begin} {up(limit)}H{end}", "L"
    return path


def nice_ticks(low: float, high: float) -> list[float]:
    """Four to seven round figures that hold both ends."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def figure(value: float, unit: str) -> str:
    """With as many digits as it needs."""
    if unit == "%":
        return f"{value * 100:.3g} %" if value < 1 else f"{value * 100:.0f} %"
    text = f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


BAR_WIDTH, BAR_LEFT, BAR_RIGHT, BAR_STEP = 720, 190, 140, 30


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a list: ``parts`` are (width, pattern) one after the other from ``x`` on."""

    label: str
    text: str
    y: float
    parts: tuple[tuple[float, float, str], ...]
    href: str = ""
    low: float | None = None
    high: float | None = None
    together: float | None = None

    @property
    def middle(self) -> float:
        return self.y + 9


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars from the left, the longest at the top. ``path`` joins what they make together."""

    bars: tuple[Bar, ...]
    legend: tuple[tuple[str, str], ...] = ()
    path: str = ""
    mean: float | None = None

    template = "dashboards/chart_bars.html"
    width, left, right = BAR_WIDTH, BAR_LEFT, BAR_WIDTH - BAR_RIGHT

    @property
    def height(self) -> int:
        return len(self.bars) * BAR_STEP + 6


@dataclass(frozen=True, slots=True)
class Length:
    """A bar to be drawn: ``parts`` (amount, pattern) in the unit of all bars of the chart."""

    label: str
    text: str
    parts: tuple[tuple[float, str], ...]
    href: str = ""
    interval: tuple[float, float] | None = None
    together: float | None = None


def bar_chart(
    lengths: Sequence[Length],
    *,
    legend: Sequence[tuple[str, str]] = (),
    mean: float | None = None,
) -> BarChart:
    """All bars on one scale; ``together`` (0..1) is drawn over the whole width."""
    ends = [sum(a for a, _ in one.parts) for one in lengths]
    ends += [one.interval[1] for one in lengths if one.interval]
    most = max(ends, default=0) or 1.0
    room = BAR_WIDTH - BAR_LEFT - BAR_RIGHT
    bars = tuple(_bar(one, n, room / most, room) for n, one in enumerate(lengths))
    joined = [f"{bar.together} {bar.middle}" for bar in bars if bar.together is not None]
    return BarChart(
        bars=bars,
        legend=tuple(legend),
        path="M" + "L".join(joined) if joined else "",
        mean=None if mean is None else round(BAR_LEFT + mean * room / most, 1),
    )


def _bar(one: Length, place: int, scale: float, room: float) -> Bar:
    x, parts = float(BAR_LEFT), []
    for amount, pattern in one.parts:
        parts.append((round(x, 1), round(amount * scale, 1), pattern))
        x += amount * scale
    low, high = one.interval or (None, None)
    return Bar(
        label=one.label,
        text=one.text,
        y=place * BAR_STEP + 6,
        parts=tuple(parts),
        href=one.href,
        low=None if low is None else round(BAR_LEFT + low * scale, 1),
        high=None if high is None else round(BAR_LEFT + high * scale, 1),
        together=None if one.together is None else round(BAR_LEFT + one.together * room, 1),
    )


@dataclass(frozen=True, slots=True)
class HeatCell:
    x: int
    y: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class HeatChart:
    """A grid over a photo of a sound unit: the more findings touch a cell, the larger its dot."""

    cells: tuple[HeatCell, ...]
    side: int
    photo: str = ""

    template = "dashboards/chart_heat.html"


def heat_chart(cells: Sequence[int], side: int, photo: str) -> HeatChart:
    """Levels 1..8 in equal steps up to the fullest cell; empty cells are left out."""
    most = max(cells, default=0)
    drawn = [
        HeatCell(n % side, n // side, max(1, math.ceil(8 * hits / most)), _cell_text(n, side, hits))
        for n, hits in enumerate(cells)
        if hits
    ]
    return HeatChart(tuple(drawn), side, photo)


def _cell_text(place: int, side: int, hits: int) -> str:
    return f"column {place % side + 1}, row {place // side + 1}: {hits} findings"


@dataclass(frozen=True, slots=True)
class Figure:
    """A question with the picture that answers it. ``empty``: what to do where there is nothing to
    draw. ``notes`` explain, ``signals`` are (number, text, href) of what stands out."""

    key: str
    title: str
    question: str
    chart: Any = None
    table: Table | None = None
    notes: tuple[str, ...] = ()
    signals: tuple[tuple[str, str, str], ...] = ()
    empty: str = ""
    wide: bool = True
    alarms: tuple[str, ...] = field(default=())
