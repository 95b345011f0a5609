"""Making a report, in a worker: what it says is read once and kept, then drawn, then put together.

Units go through in parts of a few. Each part is in rows or in the storage before the next begins,
so that memory does not grow with the lot, and who takes over from a killed worker goes on there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction

from inspection.models import Inspection, Photo, ReportDocument, ReportPart, Site
from inspection.models.background import JobStatus
from inspection.models.report_document import ReportStage
from inspection.printing import pdf
from inspection.printing.pictures import OpenPhoto
from inspection.selectors.reports import words
from inspection.selectors.reports.blocks import Block, texts
from inspection.selectors.reports.lots import head_blocks
from inspection.selectors.reports.parts import UNITS_OF_PART, of_head, of_unit
from inspection.selectors.reports.units import (
    UnitLine,
    line_as_json,
    read_unit,
    unit_blocks,
    unit_line,
)
from inspection.services.background import Claim, JobFailedError
from inspection.services.intake import fetch, put, remove

SIDE_OF_ONE, SIDE_OF_MANY = 1600, 1000
"""Longest side of a photo in pixels, in a report on one unit and on a lot."""
GONE = "Its units are no longer there. Make a new report."


def make(claim: Claim) -> None:
    """Do all that is left to do."""
    document = ReportDocument.objects.select_related("site", "requested_by").get(pk=claim.id)
    steps = {
        ReportStage.GATHER: gather,
        ReportStage.DRAW: draw,
        ReportStage.JOIN: join,
    }
    for stage in list(ReportStage)[list(ReportStage).index(ReportStage(document.stage)) :]:
        steps[stage](document, claim)


def gather(document: ReportDocument, claim: Claim) -> None:
    """Read what is said of each unit, then what is said at the beginning."""
    parts = of_unit(document.layout["parts"])
    for number, ids in enumerate(_chunks(document.units), start=1):
        if not ReportPart.objects.filter(document=document, number=number).exists():
            _keep(document, claim, number, _content(document.site, ids, parts))
        claim.save(done=min(number * UNITS_OF_PART, len(document.units)))
    _keep_head(document, claim)


def _chunks(units: Sequence[str]) -> list[Sequence[str]]:
    return [units[start : start + UNITS_OF_PART] for start in range(0, len(units), UNITS_OF_PART)]


def _content(site: Site, ids: Sequence[str], parts: list[str]) -> dict[str, Any]:
    """What is said of some units; units that are gone by now are left out."""
    rows = Inspection.objects.for_site(site).filter(pk__in=ids)
    rows = rows.select_related("plan", "plan_version", "current_run", "site")
    found = {str(row.pk): row for row in rows.defer("embedding", "search")}
    units, lines = [], []
    for pk in ids:
        if pk not in found:
            continue
        unit = read_unit(found[pk])
        lines.append(line_as_json(unit_line(unit)))
        units.append({"id": pk, "title": str(found[pk]), "blocks": unit_blocks(unit, parts)})
    return {"units": units, "lines": lines}


def _keep(document: ReportDocument, claim: Claim, number: int, content: dict[str, Any]) -> None:
    with transaction.atomic():
        claim.save()
        ReportPart.objects.create(
            site=document.site, document=document, number=number, content=content
        )


def _keep_head(document: ReportDocument, claim: Claim) -> None:
    """Write the beginning. A lot's is a piece of its own, before those of the units."""
    lines = [UnitLine(**line) for part in _parts(document) for line in part.content["lines"]]
    if not lines:
        raise JobFailedError(GONE)
    head = head_blocks(
        of_head(document.layout["parts"]),
        lines,
        title=document.title,
        site=document.site.name,
        maker=words.person(document.requested_by),
        made_at=document.created_at,
        criteria=document.criteria,
    )
    document.head = {"blocks": head}
    if document.inspection_id is None:
        _keep(document, claim, 0, {"units": [], "lines": []})
    _go_on(document, claim, ReportStage.DRAW, head=document.head)


def _go_on(document: ReportDocument, claim: Claim, stage: ReportStage, **values: Any) -> None:
    claim.save(stage=stage, **values)
    document.stage = stage


def _parts(document: ReportDocument) -> list[ReportPart]:
    return list(ReportPart.objects.filter(document=document).order_by("number"))


def draw(document: ReportDocument, claim: Claim) -> None:
    """Draw each part that has no pages yet, and keep them in the storage."""
    numbers = list(_parts_without_content(document))
    pages = 0
    for pk, number, key, count in numbers:
        if not key:
            part = ReportPart.objects.get(pk=pk)
            data, count = _drawn(document, part, pages + 1)
            key = f"reports/{document.site_id}/{document.pk}/{claim.attempt}-{number}.pdf"
            put(key, data)
            claim.save(done=_done(document, number))
            ReportPart.objects.filter(pk=pk).update(pdf_key=key, pages=count)
        pages += count
    _go_on(document, claim, ReportStage.JOIN)


def _parts_without_content(document: ReportDocument) -> list[tuple[UUID, int, str, int]]:
    rows = ReportPart.objects.filter(document=document).order_by("number")
    return list(rows.values_list("pk", "number", "pdf_key", "pages"))


def _done(document: ReportDocument, number: int) -> int:
    units = len(document.units)
    return units + min(number * UNITS_OF_PART, units)


def _drawn(document: ReportDocument, part: ReportPart, first_page: int) -> tuple[bytes, int]:
    units = part.content["units"]
    head = (document.head or {}).get("blocks", [])
    sheet = _sheet(document, first_page, [*head, *(b for unit in units for b in unit["blocks"])])
    logo = _logo(document)
    opener = partial(_open, _keys(units), _longest(document))
    site = document.site.name
    if part.number == 0:
        return pdf.draw_head(sheet, site, head, logo)
    if document.inspection_id is not None:
        return pdf.draw_whole(sheet, site, head, logo, units[0], opener)
    return pdf.draw_units(sheet, units, opener)


def _sheet(document: ReportDocument, first_page: int, said: Sequence[Block]) -> pdf.Sheet:
    footer = " · ".join(text for text in (document.layout["footer"], document.title) if text)
    every = (text for block in said for text in texts(block))
    return pdf.Sheet(
        paper=document.layout["paper"],
        title=document.title,
        footer=footer,
        first_page=first_page,
        fonts=tuple(Path(path) for path in settings.REPORT_FONTS),
        is_wide=pdf.is_wide([document.title, footer, document.site.name, *every]),
    )


def _longest(document: ReportDocument) -> int:
    return SIDE_OF_ONE if document.inspection_id is not None else SIDE_OF_MANY


def _logo(document: ReportDocument) -> bytes | None:
    key = document.layout.get("logo", "")
    try:
        return fetch(key) if key else None
    except FileNotFoundError:
        return None


def _keys(units: Sequence[Block]) -> dict[str, str]:
    """By photo of these units, under which key its served copy is stored."""
    ids = {block["photo"] for unit in units for block in unit["blocks"] if "photo" in block}
    rows = Photo.objects.filter(pk__in=ids, inspection__in=[unit["id"] for unit in units])
    return {str(pk): key for pk, key in rows.values_list("pk", "view_key") if key}


def _open(
    keys: dict[str, str], longest: int, photo: str, size: tuple[int, int]
) -> OpenPhoto | None:
    try:
        return OpenPhoto(fetch(keys[photo]), size, longest) if photo in keys else None
    except (FileNotFoundError, OSError):
        return None


def join(document: ReportDocument, claim: Claim) -> None:
    """Put the pieces together to one file."""
    pieces = [key for _, _, key, _ in _parts_without_content(document)]
    key = f"reports/{document.site_id}/{document.pk}/{claim.attempt}.pdf"
    with TemporaryFile() as whole:
        pages = _joined(document, pieces, whole)
        size, digest = whole.tell(), hashlib.sha256()
        whole.seek(0)
        while chunk := whole.read(1 << 20):
            digest.update(chunk)
        whole.seek(0)
        default_storage.save(key, File(whole, name=key))
    ended = claim.end(
        JobStatus.DONE, pdf_key=key, pdf_sha256=digest.hexdigest(), size_bytes=size, pages=pages,
        done=document.total,
    )  # fmt: skip
    if not ended:
        remove([key])
        return
    ReportPart.objects.filter(document=document).update(pdf_key="")
    remove(pieces)


def _joined(document: ReportDocument, pieces: Sequence[str], whole: Any) -> int:
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, TextStringObject

    if len(pieces) == 1:
        whole.write(fetch(pieces[0]))
        return int(sum(pages for *_, pages in _parts_without_content(document)))
    with PdfWriter() as writer:
        for key in pieces:
            with default_storage.open(key, "rb") as piece:
                writer.append(piece)
        writer.add_metadata({"/Title": document.title, "/Creator": "Loupe"})
        writer.root_object[NameObject("/Lang")] = TextStringObject("en")
        pages = len(writer.pages)
        writer.write(whole)
    return pages
