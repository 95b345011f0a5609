"""Pictures of how well a model does, as SVG: confusion matrices and reliability diagrams.

Drawn from counts alone, so that no photo is in them; any browser shows them, and a change of the
figures is a readable change of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from models_runtime.calibration import ReliabilityBin

INK, FAINT, BLUE, GREY = "#1f2933", "#9aa5b1", "#2368a2", "#cbd2d9"
_FONT = 'font-family="system-ui, sans-serif"'


def confusion(title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix: rows are the truth, columns what was said, shades by row.

    ``counts`` is square, with one row and column per name.
    """
    if len(counts) != len(names) or any(len(row) != len(names) for row in counts):
        raise ValueError("a confusion matrix has one row and one column per name")
    cell, left, top = 34, 110, 130
    side = cell * len(names)
    parts = [_text(16, 24, title, 15, bold=True), _text(16, 44, "rows: truth; columns: said", 11)]
    for number, name in enumerate(names):
        middle = number * cell + cell / 2
        parts.append(_text(left - 8, top + middle + 4, name, 11, anchor="end"))
        x = left + middle + 4
        parts.append(_text(x, top - 8, name, 11, turn=f"rotate(-55 {x:.0f} {top - 8})"))
    for r, row in enumerate(counts):
        total = max(1, sum(row))
        for c, count in enumerate(row):
            parts.append(_cell(left + c * cell, top + r * cell, cell, count, count / total, r == c))
    return _page(left + side + 70, top + side + 20, parts)


def _cell(x: float, y: float, side: int, count: int, share: float, right: bool) -> str:
    colour = BLUE if right else "#c0392b"
    box = (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{colour}" '
        f'fill-opacity="{share:.2f}" stroke="{GREY}"/>'
    )
    if not count:
        return box
    ink = "#ffffff" if share > 0.5 else INK
    middle = side / 2
    return box + _text(x + middle, y + middle + 4, str(count), 11, anchor="middle", ink=ink)


def reliability_diagram(title: str, bins: Sequence[ReliabilityBin], note: str = "") -> str:
    """Share of right answers against confidence, with 95 % Clopper–Pearson intervals.

    A dot on the diagonal is an honest confidence; dots grow with the number of cases.
    """
    side, left, top = 280, 56, 80
    total = max(1, sum(one.count for one in bins))

    def at(sure: float, right: float) -> tuple[float, float]:
        return left + sure * side, top + (1 - right) * side

    parts = [_text(16, 24, title, 15, bold=True), _text(16, 44, note, 11)]
    parts.append(
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="{GREY}"/>'
    )
    parts.append(_line(at(0, 0), at(1, 1), FAINT, "4 4"))
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(mark, 0)[0], at(0, mark)[1]
        parts.append(_text(x, top + side + 16, f"{mark:g}", 11, anchor="middle"))
        parts.append(_text(left - 6, y + 4, f"{mark:g}", 11, anchor="end"))
    for one in bins:
        low, high = one.interval()
        x, y = at(one.confidence, one.accuracy)
        parts.append(_line(at(one.confidence, low), at(one.confidence, high), BLUE))
        radius = 3 + 9 * (one.count / total) ** 0.5
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{BLUE}" fill-opacity="0.6">'
            f"<title>{one.count} cases, said {one.confidence:.2f}, right {one.accuracy:.2f}</title>"
            "</circle>"
        )
    parts.append(_text(left + side / 2, top + side + 36, "stated confidence", 12, anchor="middle"))
    parts.append(_text(left, top - 8, "share of right answers", 12))
    return _page(left + side + 24, top + side + 52, parts)


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="1.5"{dashed}/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    size: int,
    anchor: str = "start",
    bold: bool = False,
    ink: str = INK,
    turn: str = "",
) -> str:
    weight = ' font-weight="600"' if bold else ""
    turned = f' transform="{turn}"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {_FONT} font-size="{size}" fill="{ink}" '
        f'text-anchor="{anchor}"{weight}{turned}>{escape(words)}</text>'
    )


def _page(width: float, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
