"""The chances that the dial compares with its thresholds."""

from __future__ import annotations

from models_runtime.contracts import Box, DefectCandidate, Extraction
from models_runtime.plans import PlanSpec, Severity
from models_runtime.risk.chances import ANY_DEFECT, class_names, unit_chances

PLAN = PlanSpec.model_validate(
    {"name": "Lids", "defects": [{"key": "dent", "name": "Dent"}, {"key": "hole", "name": "Hole"}]}
)


def photo(*places: tuple[str, float]) -> Extraction:
    defects = tuple(
        DefectCandidate(
            type=kind,
            box=Box(x1=0, y1=0, x2=4, y2=4),
            confidence=chance,
            severity=Severity.MAJOR,
        )
        for kind, chance in places
    )
    return Extraction(
        attributes=(), defects=defects, defect_probability=0.3, in_domain=1.0, confidence=0.7,
        abstained=False,
    )  # fmt: skip


def test_the_surest_place_of_all_photos_counts() -> None:
    photos = [photo(("dent", 0.2), ("dent", 0.6)), photo(("dent", 0.4)), photo()]
    assert unit_chances(PLAN, 0.7, photos) == {ANY_DEFECT: 0.7, "dent": 0.6, "hole": 0.0}
    assert tuple(unit_chances(PLAN, 0.7, photos)) == class_names(PLAN)


def test_a_type_that_the_plan_does_not_know_is_left_to_triage() -> None:
    assert unit_chances(PLAN, 0.1, [photo(("rust", 0.9))])["dent"] == 0.0
    assert "rust" not in unit_chances(PLAN, 0.1, [photo(("rust", 0.9))])


def test_a_plan_without_a_catalogue_has_one_class() -> None:
    assert unit_chances(PlanSpec(name="Things"), 0.4, []) == {ANY_DEFECT: 0.4}
