import pytest

from models_runtime.contracts import AttributeResult, Box, Finding, TriageInput
from models_runtime.plans import PlanSpec, Severity
from models_runtime.slm import features

PLAN = PlanSpec.model_validate(
    {
        "name": "Cells",
        "mm_per_px": 1.0,
        "characteristics": [{"key": "condition", "kind": "scale"}],
        "defects": [{"key": "crack", "name": "Crack", "max_area_mm2": 5}],
    }
)


def finding(severity, confidence, mm2=9.0):
    return Finding(
        id="f",
        type="crack",
        box=Box(x1=0, y1=0, x2=1, y2=1),
        mask=None,
        area_px=50,
        area_mm2=mm2,
        severity=severity,
        confidence=confidence,
    )


def named(case, concern=None):
    values = features.row(features.numbers(case), concern)
    return dict(zip(features.NAMES, values, strict=True))


def case(findings=(), attributes=(), **changes):
    fields = {
        "plan": PLAN,
        "attributes": tuple(attributes),
        "findings": tuple(findings),
        "defect_probability": 0.5,
        "in_domain": 0.9,
        "extraction_abstained": False,
        "photo_area_px": 1000,
    }
    return TriageInput(**{**fields, **changes})


def test_every_feature_has_a_value_within_reach():
    crowd = [finding(Severity.CRITICAL, 1.0)] * 200
    for some in (case(), case(crowd, defect_probability=1.0), case(defect_probability=0.0)):
        assert all(-1.0 <= value <= 1.0 for value in named(some, (1.0, 1.0, 1.0)).values())


def test_two_doubtful_findings_make_one_likelier():
    row = named(case([finding(Severity.MAJOR, 0.5), finding(Severity.MAJOR, 0.5)]))
    assert row["any_major"] == pytest.approx(0.75)
    assert row["top_major"] == pytest.approx(0.5)
    assert row["any_critical"] == 0.0


def test_tolerated_findings_are_counted_apart():
    row = named(case([finding(Severity.MAJOR, 0.9, mm2=3.0)]))
    assert row["any_major"] == 0.0
    assert row["tolerated"] > 0.0


def test_the_worst_condition_counts_and_abstained_answers_do_not():
    given = AttributeResult(key="condition", value=1, confidence=0.9)
    silent = AttributeResult(key="condition", value=None, confidence=0.1, abstained=True)
    assert named(case(attributes=[given]))["worst_condition"] == 0.0
    assert named(case(attributes=[silent]))["worst_condition"] == 1.0
    assert named(case(attributes=[given, silent]))["attributes_abstained"] == 0.5


def test_an_absent_note_differs_from_a_calm_one():
    assert named(case())["has_note"] == 0.0
    assert named(case(), (0.1, 0.0, 0.0))["has_note"] == 1.0
