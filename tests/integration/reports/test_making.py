"""Reports are made as asked, page and PDF say the same, and masks are the findings'."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from judging_world import key
from report_world import decided, lot_report, pdf_of, said, squeezed, text_of, unit_report
from screen_world import Screens

from inspection.models import Finding, Inspection
from inspection.services import reviews
from inspection.services.intake import fetch
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


def test_the_pdf_says_all_that_the_report_is_made_of(screens: Screens) -> None:
    document = unit_report(screens)
    text = text_of(pdf_of(document))
    assert [line for line in said(document) if squeezed(line) not in text] == []
    for fact in ("Rework", "Dent", "Scratch", "600 px", "Colour", "bare", "0" * 64):
        assert squeezed(fact) in text


def test_masks_in_the_pdf_are_those_of_the_findings(screens: Screens) -> None:
    pictures = [i.image for page in pdf_of(unit_report(screens)).pages for i in page.images]
    drawn = [np.asarray(p)[..., 3] > 0 for p in pictures if p.mode == "RGBA"]
    assert len(drawn) == 4, "each of two on the photo and in its crop"
    for finding in screens.findings:
        mask = Mask(size=(150, 200), counts=finding.mask_counts)
        x1, y1, x2, y2 = (int(s) for s in (finding.x1, finding.y1, finding.x2, finding.y2))
        wanted = masks.decode(mask)[y1:y2, x1:x2]
        assert any(d.shape == wanted.shape and (d == wanted).all() for d in drawn)
