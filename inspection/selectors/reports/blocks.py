"""The blocks that a report is made of, as JSON. Renderers draw them and add no words of their own.

Each block has a ``kind``; the functions here are the only ones that make them. Sizes are in pixels
of the upright photo, masks are compressed COCO RLE for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Block = dict[str, Any]
Pairs = Sequence[tuple[str, str]]

COLOURS = {"critical": "#c1121f", "major": "#d96c00", "minor": "#1f6fb2"}
"""Of masks by severity: told apart by colour-blind people, and each mark has its number too."""


def heading(text: str) -> Block:
    return {"kind": "heading", "text": text}


def paragraph(text: str, tone: str = "") -> Block:
    """``tone``: "" or "muted"."""
    return {"kind": "paragraph", "text": text, "tone": tone}


def verdict(word: str, tone: str, text: str) -> Block:
    """``tone``: accept, rework, reject, hold, or "" where there is none."""
    return {"kind": "verdict", "word": word, "tone": tone, "text": text}


def facts(rows: Pairs) -> Block:
    """Terms and values; pairs without a value are left out."""
    return {"kind": "facts", "rows": [[term, value] for term, value in rows if value]}


def table(
    label: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widths: Sequence[int],
    figures: Sequence[int] = (),
    mono: Sequence[int] = (),
) -> Block:
    """``widths``: shares of the columns. ``figures``: columns that are set to the right, ``mono``:
    those of letters of one width."""
    return {
        "kind": "table",
        "label": label,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "widths": list(widths),
        "figures": list(figures),
        "mono": list(mono),
    }


def photo(
    photo_id: str, name: str, size: tuple[int, int], caption: str, marks: Sequence[Block]
) -> Block:
    """A photo of ``size`` (width, height) with findings drawn on it."""
    return {
        "kind": "photo",
        "photo": photo_id,
        "name": name,
        "size": list(size),
        "caption": caption,
        "marks": list(marks),
    }


def mark(
    number: int, label: str, severity: str, box: Sequence[float], mask: dict[str, Any] | None
) -> Block:
    """A finding on a photo. ``mask``: {"size": [height, width], "counts": …} or None."""
    return {
        "number": number,
        "label": label,
        "colour": COLOURS.get(severity, "#555555"),
        "box": list(box),
        "mask": mask,
    }


def finding(
    mark: Block, photo_id: str, size: tuple[int, int], title: str, lines: Sequence[str]
) -> Block:
    """A crop of the photo around the finding, and what is said of it."""
    return {
        "kind": "finding",
        "photo": photo_id,
        "size": list(size),
        "mark": mark,
        "title": title,
        "lines": [line for line in lines if line],
    }


def texts(block: Block) -> Iterator[str]:
    """Every text of a block, in order: what both page and PDF have to say."""
    match block["kind"]:
        case "heading" | "paragraph":
            yield block["text"]
        case "verdict":
            yield block["word"]
            yield block["text"]
        case "facts":
            for term, value in block["rows"]:
                yield term
                yield value
        case "table":
            yield from block["columns"]
            for row in block["rows"]:
                yield from row
        case "photo":
            yield block["caption"]
        case "finding":
            yield block["title"]
            yield from block["lines"]
