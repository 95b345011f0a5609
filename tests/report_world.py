"""Helpers for reports: making one as a worker does, and reading its PDF."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from pypdf import PdfReader
from screen_world import Screens, make_inspection

from inspection.models import Finding, Inspection, ReportDocument
from inspection.selectors.inspections import InspectionFilter
from inspection.selectors.reports.blocks import texts
from inspection.services import background
from inspection.services.intake import fetch
from inspection.services.reports import asking
from inspection.services.reports.making import make
from models_runtime import masks


def work(document: ReportDocument) -> ReportDocument:
    """Do what a worker does."""
    background.work(ReportDocument, document.pk, make)
    document.refresh_from_db()
    return document


def unit_report(world: Screens, who: str = "reviewer", layout: Any = None) -> ReportDocument:
    inspection = Inspection.objects.get(pk=world.inspection.pk)
    return work(asking.ask_for_unit(world.memberships[who], inspection, layout))


def lot_report(
    world: Screens, query: dict[str, str] | None = None, layout: Any = None, title: str = ""
) -> ReportDocument:
    wanted = InspectionFilter.parse(query or {})
    return work(asking.ask_for_lot(world.memberships["manager"], wanted, title, layout))


def decided(world: Screens, reference: str, **values: Any) -> Inspection:
    """One more unit, which the models accepted."""
    unit = make_inspection(
        world.site, world.plan, reference=reference, findings=0, status="decided"
    )
    for name, value in ({"disposition": "accept", "severity": ""} | values).items():
        setattr(unit, name, value)
    unit.save()
    return unit


def pdf_of(document: ReportDocument) -> PdfReader:
    assert document.status == "done", document.message
    return PdfReader(io.BytesIO(fetch(document.pdf_key)))


def blob(finding: Finding) -> None:
    """Give a finding a mask that is no rectangle and has a hole."""
    y, x = np.mgrid[:150, :200]
    distance = ((x - finding.x1 - 15) / 15) ** 2 + ((y - finding.y1 - 10) / 10) ** 2
    mask = masks.encode((distance < 1) & (distance > 0.1))
    Finding.objects.filter(pk=finding.pk).update(mask_counts=mask.counts)
    finding.mask_counts = mask.counts


def squeezed(text: str) -> str:
    """Without blanks: where lines break is a matter of the page."""
    return re.sub(r"\s+", "", text)


def text_of(reader: PdfReader) -> str:
    """All text but the foot of each page, without blanks."""
    return squeezed("".join(page.extract_text() for page in reader.pages))


def said(document: ReportDocument) -> list[str]:
    """Every text that the report is made of."""
    blocks = list((document.head or {}).get("blocks", []))
    for part in document.parts.order_by("number"):
        for unit in part.content["units"]:
            blocks += unit["blocks"]
    return [text for block in blocks for text in texts(block) if text]
