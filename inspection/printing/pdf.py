"""Blocks of a report as PDF pages, by fpdf2. Sizes are in mm, letters in points."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from inspection.printing.pictures import OpenPhoto, Overlay, Picture, overlay
from inspection.selectors.reports.blocks import Block

FONTS = Path(__file__).parent / "fonts"
MARGIN, FOOT = 16.0, 16.0
INK, MUTED, LINE, SOFT = (27, 28, 30), (90, 92, 97), (214, 214, 208), (243, 243, 240)
TONES = {
    "accept": (23, 106, 64),
    "rework": (125, 74, 0),
    "reject": (161, 29, 23),
    "hold": (86, 60, 148),
}
PHOTO_HEIGHT = 118.0
GAP = 3.0
"""Between the columns of a table."""
CROP_WIDTH = 46.0
CROP_HEIGHT = 40.0
LOGO_WIDTH, LOGO_HEIGHT = 60.0, 18.0

logging.getLogger("fontTools").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Sheet:
    """What is the same on each page of a report. ``first_page`` is the number of the first page of
    this piece; ``fonts`` are further font files."""

    paper: str
    title: str
    footer: str
    first_page: int = 1
    fonts: tuple[Path, ...] = ()
    is_wide: bool = True
    """Whether there may be letters of East Asia: their font takes a while to read."""


Opener = Callable[[str, tuple[int, int]], OpenPhoto | None]
"""Gives the photo of an id and size (width, height); None where its file is gone."""


class Pages(FPDF):
    """A PDF with the fonts and the foot of a report."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(format="Letter" if sheet.paper == "letter" else "A4")
        self.sheet = sheet
        self.set_margins(MARGIN, MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(True, FOOT + 4)
        self.set_lang("en")
        self.set_title(sheet.title)
        self.set_creator("Loupe")
        self._add_fonts()

    def _add_fonts(self) -> None:
        self.add_font("Text", "", FONTS / "DejaVuSans.ttf")
        self.add_font("Text", "B", FONTS / "DejaVuSans-Bold.ttf")
        names = []
        if self.sheet.is_wide:
            self.add_font("Wide", "", FONTS / "DroidSansFallbackFull.ttf")
            names.append("Wide")
        for number, path in enumerate(self.sheet.fonts):
            self.add_font(f"More{number}", "", path)
            names.append(f"More{number}")
        if names:
            self.set_fallback_fonts(names, exact_match=False)

    def footer(self) -> None:
        """Called by fpdf2 at the end of each page."""
        self.set_y(-FOOT)
        self.ink(7.5, MUTED)
        number = f"Page {self.sheet.first_page + self.page_no() - 1}"
        width = self.epw - 22
        self.cell(width, 5, shortened(self, self.sheet.footer, width))
        self.cell(22, 5, number, align="R")

    def ink(self, size: float, colour: tuple[int, int, int] = INK, *, bold: bool = False) -> None:
        """How the next letters look."""
        self.set_font("Text", "B" if bold else "", size)
        self.set_text_color(*colour)

    def text_block(self, text: str, height: float, width: float = 0, align: str = "L") -> None:
        """Lines of text from here on, below each other."""
        self.shape(text)
        self.multi_cell(width, height, text, align=align, new_x=XPos.LEFT, new_y=YPos.NEXT)

    def lines_of(self, text: str, width: float) -> list[str]:
        """The text as it breaks into lines."""
        said = self.multi_cell(width, 5, text, align="L", dry_run=True, output="LINES")
        assert isinstance(said, list), "as asked for by output"
        return [str(line) for line in said] or [""]

    def shape(self, text: str) -> None:
        """Join letters where the script asks for it; it costs time where it does not."""
        wanted = needs_shaping(text)
        if wanted != bool(self.text_shaping):
            self.set_text_shaping(wanted)

    def needs(self, height: float) -> None:
        """Begin a page where there is less room than this."""
        if self.will_page_break(height):
            self.add_page()


def needs_shaping(text: str) -> bool:
    """Whether it has letters that run from right to left or change with their neighbours."""
    if text.isascii():
        return False
    return any(
        unicodedata.bidirectional(letter) in ("R", "AL", "AN") or "\u0900" <= letter <= "\u0fff"
        for letter in text
    )


def is_wide(texts: Iterable[str]) -> bool:
    """Whether a text has letters from U+2E80 on, where the scripts of East Asia begin."""
    return any(letter >= "\u2e80" for text in texts if not text.isascii() for letter in text)


def clean(text: str) -> str:
    """Without what no font draws: control characters, and line feeds as blanks between lines."""
    kept = (c if c.isprintable() or c == "\n" else " " for c in text.replace("\r\n", "\n"))
    return "".join(kept)


def shortened(pages: Pages, text: str, width: float) -> str:
    """The beginning that fits into one line."""
    text = clean(text).replace("\n", " ")
    pages.shape(text)
    if pages.get_string_width(text) <= width:
        return text
    while text and pages.get_string_width(text + "…") > width:
        text = text[:-1]
    return text + "…"


def draw_head(
    sheet: Sheet, site: str, blocks: Iterable[Block], logo: bytes | None
) -> tuple[bytes, int]:
    """The beginning of a report as PDF, and of how many pages."""
    pages = Pages(sheet)
    pages.add_page()
    draw_masthead(pages, site, logo)
    draw_blocks(pages, list(blocks), lambda _id, _size: None)
    return finish(pages)


def draw_units(sheet: Sheet, units: Iterable[Block], photos: Opener) -> tuple[bytes, int]:
    """Units, each on a page of its own, as PDF, and of how many pages."""
    pages = Pages(sheet)
    for unit in units:
        pages.add_page()
        draw_unit(pages, unit, photos)
    return finish(pages)


def draw_whole(
    sheet: Sheet,
    site: str,
    head: Iterable[Block],
    logo: bytes | None,
    unit: Block,
    photos: Opener,
) -> tuple[bytes, int]:
    """A report on one unit: its beginning and the unit on the same pages."""
    pages = Pages(sheet)
    pages.add_page()
    draw_masthead(pages, site, logo)
    draw_blocks(pages, list(head), photos)
    draw_unit(pages, unit, photos, titled=False)
    return finish(pages)


def finish(pages: Pages) -> tuple[bytes, int]:
    count = pages.page_no()
    return bytes(pages.output()), count


def draw_masthead(pages: Pages, site: str, logo: bytes | None) -> None:
    """Logo or name of the site, then the title."""
    if logo is not None:
        info = pages.image(
            BytesIO(logo), w=LOGO_WIDTH, h=LOGO_HEIGHT, keep_aspect_ratio=True,
            x=pages.l_margin, alt_text=site,
        )  # fmt: skip
        pages.set_y(pages.t_margin + float(info.rendered_height) + 6)
    pages.ink(20, bold=True)
    pages.text_block(clean(pages.sheet.title), 9)
    pages.ln(3)


def draw_unit(pages: Pages, unit: Block, photos: Opener, *, titled: bool = True) -> None:
    """One unit: its name, which the outline lists too, and its blocks."""
    pages.start_section(clean(unit["title"]).replace("\n", " ") or " ")
    if titled:
        pages.ink(16, bold=True)
        pages.text_block(clean(unit["title"]), 7.5)
        pages.ln(2)
    draw_blocks(pages, unit["blocks"], photos)


def draw_blocks(pages: Pages, blocks: Sequence[Block], photos: Opener) -> None:
    """Blocks below each other; a heading stays with what follows it."""
    for place, block in enumerate(blocks):
        if block["kind"] == "heading":
            following = blocks[place + 1]["kind"] if place + 1 < len(blocks) else ""
            pages.needs(10 + ROOM.get(following, 12))
        DRAWN_BY[block["kind"]](pages, block, photos)


ROOM = {"photo": 70.0, "finding": 44.0, "table": 14.0}
"""Room that a block wants after its heading, in mm."""


def _heading(pages: Pages, block: Block, _: Opener) -> None:
    pages.ln(3)
    pages.ink(11.5, bold=True)
    pages.text_block(clean(block["text"]), 6)
    pages.ln(1)


def _paragraph(pages: Pages, block: Block, _: Opener) -> None:
    pages.ink(9, MUTED if block["tone"] == "muted" else INK)
    pages.text_block(clean(block["text"]), 4.8)
    pages.ln(1.5)


def _verdict(pages: Pages, block: Block, _: Opener) -> None:
    pages.needs(18)
    top = pages.get_y() + 1
    colour = TONES.get(block["tone"], MUTED)
    pages.set_y(top)
    pages.set_x(pages.l_margin + 5)
    pages.ink(17, colour, bold=True)
    pages.text_block(clean(block["word"]), 8)
    pages.set_x(pages.l_margin + 5)
    pages.ink(9, MUTED)
    pages.text_block(clean(block["text"]), 4.8)
    pages.set_fill_color(*colour)
    pages.rect(pages.l_margin, top, 1.6, pages.get_y() - top, style="F")
    pages.ln(3)


def _facts(pages: Pages, block: Block, _: Opener) -> None:
    term_width = 40.0
    for term, value in block["rows"]:
        term, value = clean(term), clean(value)
        pages.ink(8.5, INK)
        pages.shape(value)
        pages.needs(min(4.8 * len(pages.lines_of(value, pages.epw - term_width)), 40))
        pages.ink(8.5, MUTED)
        pages.shape(term)
        pages.cell(term_width, 4.8, term)
        pages.ink(8.5, INK)
        pages.shape(value)
        pages.multi_cell(
            pages.epw - term_width, 4.8, value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
    pages.ln(2)


def _table(pages: Pages, block: Block, _: Opener) -> None:
    whole = sum(block["widths"])
    widths = [pages.epw * share / whole for share in block["widths"]]
    _table_head(pages, block, widths)
    for row in block["rows"]:
        _table_row(pages, block, widths, [clean(cell) for cell in row])
    pages.ln(3)


def _table_head(pages: Pages, block: Block, widths: list[float]) -> None:
    pages.needs(14)
    pages.set_fill_color(*SOFT)
    pages.ink(7.5, MUTED, bold=True)
    for place, (text, width) in enumerate(zip(block["columns"], widths, strict=True)):
        align = "R" if place in block["figures"] else "L"
        pages.cell(width - GAP, 5.6, text, align=align, fill=True)
        pages.cell(GAP, 5.6, "", fill=True)
    pages.ln(6.4)


def _table_row(pages: Pages, block: Block, widths: list[float], cells: list[str]) -> None:
    lines = [
        _lines(pages, block, place, text, width)
        for place, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    height = 4.4 * max(len(some) for some in lines) + 1.2
    if pages.will_page_break(min(height, 120)):
        pages.add_page()
        _table_head(pages, block, widths)
    for start in range(max(len(some) for some in lines)):
        if pages.will_page_break(4.4):
            pages.add_page()
            _table_head(pages, block, widths)
        _table_line(pages, block, widths, [some[start : start + 1] for some in lines])
    pages.set_draw_color(*LINE)
    pages.set_line_width(0.15)
    pages.line(pages.l_margin, pages.get_y() + 0.3, pages.l_margin + pages.epw, pages.get_y() + 0.3)
    pages.ln(1.2)


def _size_of(block: Block, place: int) -> float:
    return 6.8 if place in block["mono"] else 8.2


def _lines(pages: Pages, block: Block, place: int, text: str, width: float) -> list[str]:
    pages.ink(_size_of(block, place))
    pages.shape(text)
    return pages.lines_of(text, width - GAP)


def _table_line(pages: Pages, block: Block, widths: list[float], cells: list[list[str]]) -> None:
    for place, (texts, width) in enumerate(zip(cells, widths, strict=True)):
        text = texts[0] if texts else ""
        pages.ink(_size_of(block, place))
        pages.shape(text)
        align = "R" if place in block["figures"] else "L"
        pages.cell(width - GAP, 4.4, text, align=align)
        pages.set_x(pages.get_x() + GAP)
    pages.ln(4.4)


def _photo(pages: Pages, block: Block, photos: Opener) -> None:
    size = (int(block["size"][0]), int(block["size"][1]))
    opened = photos(block["photo"], size)
    if opened is None:
        _paragraph(
            pages, {"text": f"{block['caption']} (its file is gone)", "tone": "muted"}, photos
        )
        return
    picture = opened.whole()
    width = min(pages.epw, PHOTO_HEIGHT * picture.width / picture.height)
    height = width * picture.height / picture.width
    pages.needs(height + 8)
    left, top = pages.l_margin, pages.get_y()
    _place(pages, picture, left, top, width, block["caption"])
    for mark in block["marks"]:
        _mark(pages, mark, picture, left, top, width)
    pages.set_xy(pages.l_margin, top + height + 1)
    pages.ink(7.8, MUTED)
    pages.text_block(clean(block["caption"]), 4.4)
    pages.ln(2.5)


def _place(pages: Pages, picture: Picture, left: float, top: float, width: float, alt: str) -> None:
    pages.image(BytesIO(picture.jpeg), x=left, y=top, w=width, alt_text=clean(alt))


def _mark(
    pages: Pages, mark: Block, picture: Picture, left: float, top: float, width: float
) -> None:
    """Mask, or box where there is none, and number of a finding on a photo."""
    step = width / (picture.box[2] - picture.box[0])
    drawn = overlay(mark, picture.detail)
    if drawn is not None:
        _lay(pages, drawn, picture, left, top, step)
    else:
        _box(pages, mark, picture, left, top, step)
    _number(pages, mark, picture, left, top, step)


def _lay(
    pages: Pages, drawn: Overlay, picture: Picture, left: float, top: float, step: float
) -> None:
    x1, y1, x2, y2 = drawn.box
    pages.image(
        drawn.image, x=left + (x1 - picture.box[0]) * step, y=top + (y1 - picture.box[1]) * step,
        w=(x2 - x1) * step, h=(y2 - y1) * step,
    )  # fmt: skip


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _box(pages: Pages, mark: Block, picture: Picture, left: float, top: float, step: float) -> None:
    x1, y1, x2, y2 = mark["box"]
    pages.set_draw_color(*_rgb(mark["colour"]))
    pages.set_line_width(0.5)
    pages.rect(
        left + (x1 - picture.box[0]) * step, top + (y1 - picture.box[1]) * step,
        (x2 - x1) * step, (y2 - y1) * step,
    )  # fmt: skip


def _number(
    pages: Pages, mark: Block, picture: Picture, left: float, top: float, step: float
) -> None:
    """The number in a disc beside the finding's upper left corner, inside the photo."""
    size = 4.2
    x = left + (mark["box"][0] - picture.box[0]) * step - size
    y = top + (mark["box"][1] - picture.box[1]) * step - size
    x = min(max(x, left), left + (picture.box[2] - picture.box[0]) * step - size)
    y = min(max(y, top), top + (picture.box[3] - picture.box[1]) * step - size)
    pages.set_fill_color(*_rgb(mark["colour"]))
    pages.set_draw_color(255, 255, 255)
    pages.set_line_width(0.25)
    pages.ellipse(x, y, size, size, style="DF")
    pages.ink(6.5, (255, 255, 255), bold=True)
    pages.set_xy(x, y)
    pages.cell(size, size, str(mark["number"]), align="C")


def _finding(pages: Pages, block: Block, photos: Opener) -> None:
    size = (block["size"][0], block["size"][1])
    opened = photos(block["photo"], size)
    pages.needs(CROP_HEIGHT + 4)
    left, top, low = pages.l_margin, pages.get_y(), 0.0
    if opened is not None:
        picture = opened.crop(block["mark"]["box"])
        width = min(CROP_WIDTH, CROP_HEIGHT * picture.width / picture.height)
        _place(pages, picture, left, top, width, f"Crop: {block['title']}")
        low = width * picture.height / picture.width
        with pages.rect_clip(left, top, width, low):
            _crop_mark(pages, block["mark"], picture, left, top, width)
    page = pages.page
    _beside(pages, block, left + CROP_WIDTH + 5, top)
    if pages.page == page:
        pages.set_xy(pages.l_margin, max(pages.get_y(), top + low) + 3)


def _crop_mark(
    pages: Pages, mark: Block, picture: Picture, left: float, top: float, width: float
) -> None:
    step = width / (picture.box[2] - picture.box[0])
    drawn = overlay(mark, picture.detail)
    if drawn is not None:
        _lay(pages, drawn, picture, left, top, step)
    else:
        _box(pages, mark, picture, left, top, step)


def _beside(pages: Pages, block: Block, left: float, top: float) -> None:
    width = pages.l_margin + pages.epw - left
    pages.set_xy(left, top)
    pages.ink(10, bold=True)
    pages.text_block(clean(block["title"]), 5, width)
    for line in block["lines"]:
        pages.set_x(left)
        pages.ink(8.5)
        pages.text_block(clean(line), 4.6, width)
    pages.set_x(pages.l_margin)


DRAWN_BY: dict[str, Callable[[Pages, Any, Opener], None]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "verdict": _verdict,
    "facts": _facts,
    "table": _table,
    "photo": _photo,
    "finding": _finding,
}
