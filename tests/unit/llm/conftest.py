"""A case to report on: two cracks and a dark area on a solar cell."""

import numpy as np
import pytest

from models_runtime.contracts import (
    AttributeResult,
    Box,
    Disposition,
    Finding,
    ReportInput,
    Triage,
)
from models_runtime.masks import encode
from models_runtime.plans import PlanSpec, Severity

PLAN = PlanSpec.model_validate(
    {
        "name": "Solar cells",
        "subject": "part",
        "mm_per_px": 0.5,
        "characteristics": [
            {"key": "kind", "title": "Kind of cell", "options": ["monocrystalline", "poly"]},
            {"key": "label", "title": "Label present", "kind": "boolean"},
            {"key": "condition", "title": "Condition", "kind": "scale"},
            {"key": "colour", "title": "Colour", "options": ["blue", "black"]},
        ],
        "defects": [
            {"key": "crack", "name": "Crack", "synonyms": ["fracture"], "severity": "major"},
            {"key": "dark-area", "name": "Dark area", "severity": "minor"},
            {"key": "cross", "name": "Cross crack", "severity": "critical"},
        ],
    }
)


def _finding(key, kind, severity, confidence, area, mask):
    return Finding(
        id=key,
        type=kind,
        box=Box(x1=10, y1=10, x2=40, y2=20),
        mask=mask,
        area_px=area,
        area_mm2=area * 0.25,
        severity=severity,
        confidence=confidence,
    )


def _triage(disposition, severity):
    return Triage(
        disposition=disposition,
        severity=severity,
        priority=2,
        queue="review",
        confidence=0.83,
        needs_review=False,
        reasons=("worst finding: Crack (major)",) if severity else (),
        probabilities={disposition: 0.83},
    )


@pytest.fixture
def evidence():
    pixels = np.zeros((100, 200), dtype=bool)
    pixels[10:20, 10:40] = True
    return ReportInput(
        plan=PLAN,
        reference="SN-4711",
        attributes=(
            AttributeResult(key="kind", value="monocrystalline", confidence=0.9),
            AttributeResult(key="label", value=False, confidence=0.8),
            AttributeResult(key="condition", value=4, confidence=0.7),
            AttributeResult(key="colour", value=None, confidence=0.2, abstained=True),
        ),
        findings=(
            _finding("f1", "crack", Severity.MAJOR, 0.91, 300, encode(pixels)),
            _finding("f2", "crack", Severity.MAJOR, 0.64, 120, None),
            _finding("f3", "dark-area", Severity.MINOR, 0.55, 900, None),
        ),
        triage=_triage(Disposition.REWORK, Severity.MAJOR),
    )


@pytest.fixture
def without_findings():
    """Make the evidence of a unit without findings and with this disposition."""

    def make(disposition):
        return ReportInput(
            plan=PLAN,
            reference="SN-1",
            attributes=(),
            findings=(),
            triage=_triage(disposition, None),
        )

    return make
