"""What generative models answer, and what may come through."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from models_runtime.contracts import Extraction
from models_runtime.plans import PlanSpec
from models_runtime.vlm.answers import Picture, answer_schema, read_answer, read_box
from models_runtime.vlm.conventions import CONVENTIONS, THOUSAND, UNIT
from models_runtime.vlm.token_chances import Chances
from tests.unit.vlm.plans import GARMENTS as PLAN

PICTURE = Picture(photo=(500, 1000), sent=(100, 200), boxes=THOUSAND)
STAIN = {"type": "stain", "box": [100, 200, 300, 400], "confidence": 0.75}


def read(answer: object, trust: float = 1.0, chances: Chances | None = None) -> Extraction:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    found = read_answer(text, PLAN, PICTURE, trust, chances)
    assert found is not None
    return found


def values(found: Extraction) -> dict[str, object]:
    return {a.key: a.value for a in found.attributes}


def answered(found: Extraction) -> dict[str, object]:
    return {a.key: a.value for a in found.attributes if not a.abstained}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "A nice dress!",
        "[]",
        "{}",
        "null",
        '{"a": 1}',
        '"attributes"',
        '{"error": "busy"}',
    ],
)
def test_no_answer_is_no_extraction(text: str) -> None:
    assert read_answer(text, PLAN, PICTURE) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"attributes": {"category": "Dress"}}', {"category": "Dress"}),
        ('{"attributes": {"category": {"value": "Dress"}}}', {"category": "Dress"}),
        ('{"category": "Dress", "kids": false}', {"category": "Dress", "kids": False}),
        ('{"answer": {"attributes": {"category": "Dress"}}}', {"category": "Dress"}),
        ('{"r": {"a": {"attributes": {"kids": true}}}}', {"kids": True}),
        ('[{"attributes": {"kids": true}}]', {"kids": True}),
        ('{"arguments": "{\\"attributes\\": {\\"kids\\": true}}"}', {"kids": True}),
        ('{"attributes": [{"key": "kids", "value": "yes"}]}', {"kids": True}),
        ('{"attributes": {"Category": "dress"}}', {"category": "Dress"}),
        ('{"attributes": {"Kind": "T shirt"}}', {"category": "T-Shirt"}),
        ('I see {"x": 1}. {"attributes": {"kids": true}}', {"kids": True}),
        ("{'attributes': {'kids': True, 'brand': None}}", {"kids": True}),
        ('{"attributes": {"kids": true, "category": "Dre', {"kids": True}),
        ('{"attributes": {"kids": true, "condition": 1', {"kids": True}),
        ('{"attributes": {"kids": true, "kids": false}}', {}),
        ('{"attributes": {"condition": NaN}}', {}),
        ('{"attributes": "none"}', {}),
        ('{"attributes": null, "defects": null}', {}),
        ('{"attributes": {"price": 12}}', {}),
    ],
)
def test_answers_in_odd_shapes(text: str, expected: dict[str, object]) -> None:
    assert answered(read(text)) == expected


def test_a_bare_list_of_boxes_is_read_as_defects() -> None:
    found = read('```json\n[{"bbox_2d": [0, 0, 500, 500], "label": "spot"}]\n```')
    assert [d.type for d in found.defects] == ["stain"]
    assert found.attributes[0].abstained


def test_a_good_answer_comes_through() -> None:
    found = read(
        {
            "fits_plan": True,
            "attributes": {
                "category": {"value": "Dress", "confidence": 0.9},
                "kids": {"value": False, "confidence": 0.8},
                "condition": {"value": 7, "confidence": 0.6},
                "length": {"value": 95.5, "confidence": 0.7},
                "brand": {"value": "Acme", "confidence": 0.5},
            },
            "defects": [{"type": "stain", "box": [100, 200, 300, 400], "confidence": 0.75}],
            "defect_probability": 0.8,
        }
    )
    assert values(found) == {
        "category": "Dress",
        "kids": False,
        "condition": 7,
        "length": 95.5,
        "brand": "Acme",
    }
    (defect,) = found.defects
    assert (defect.box.x1, defect.box.y1, defect.box.x2, defect.box.y2) == (100, 100, 300, 200)
    assert defect.severity == "minor"
    assert found.defect_probability == 0.8


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("category", "dress", "Dress"),
        ("category", "t shirt", "T-Shirt"),
        ("category", "Trousers", None),
        ("category", 3, None),
        ("category", None, None),
        ("kids", "yes", True),
        ("kids", "No", False),
        ("kids", 1, None),
        ("condition", 11, None),
        ("condition", "8", 8),
        ("condition", True, None),
        ("condition", [7], None),
        ("length", -1, None),
        ("length", "NaN", None),
        ("brand", "", None),
        ("brand", "a\x00b" + "c" * 500, "ab" + "c" * 198),
        ("length", "95.5", 95.5),
        ("length", 1e400, None),
        ("condition", 0, None),
        ("condition", "good", None),
    ],
)
def test_values_outside_the_plan_become_abstentions(
    key: str, given: object, expected: object
) -> None:
    found = read({"attributes": {key: {"value": given, "confidence": 0.9}}})
    answer = next(a for a in found.attributes if a.key == key)
    assert answer.value == expected
    assert answer.abstained is (expected is None)


@pytest.mark.parametrize(
    "defect",
    [
        "stain",
        {"type": "rust", "box": [0, 0, 10, 10]},
        {"type": "stain"},
        {"type": "stain", "box": [1, 2, 3]},
        {"type": "stain", "box": [5, 5, 5, 5]},
        {"type": "stain", "box": ["a", 0, 1, 1]},
        {"type": "stain", "box": [2000, 2000, 3000, 3000]},
        {"type": "stain", "box": [1e400, 0, 1, 1]},
        {"type": ["stain"], "box": [0, 0, 10, 10]},
        None,
    ],
)
def test_defects_that_point_nowhere_or_at_nothing_known_are_dropped(defect: object) -> None:
    text = json.dumps({"defects": [defect]})
    assert read(text).defects == ()


def test_corners_in_the_wrong_order_and_beyond_the_edge_are_put_right() -> None:
    found = read({"defects": [{"type": "spot", "box": [900, 400, -50, 200], "confidence": 90}]})
    (defect,) = found.defects
    assert defect.type == "stain"
    assert defect.confidence == 0.9
    assert (defect.box.x1, defect.box.x2) == (0, 900)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("unit", [0.1, 0.2, 0.3, 0.4]),
        ("hundred", [10, 20, 30, 40]),
        ("thousand", [100, 200, 300, 400]),
        ("thousand", {"x1": 100, "y1": 200, "x2": 300, "y2": 400}),
        ("thousand", ["100", "200", "300", "400"]),
        ("thousand", "<loc_100><loc_200><loc_300><loc_400>"),
        ("pixels", [20, 20, 60, 40]),
        ("rows-thousand", [200, 100, 400, 300]),
        ("rows-thousand", {"x1": 100, "y1": 200, "x2": 300, "y2": 400}),
        ("rows-1024", [205, 102, 410, 307]),
        ("rows-1024", "<loc0205><loc0102><loc0410><loc0307>"),
    ],
)
def test_the_same_box_in_each_convention(name: str, given: object) -> None:
    box = read_box(given, Picture((500, 1000), (100, 200), CONVENTIONS[name]))
    assert box is not None
    assert [round(v) for v in (box.x1, box.y1, box.x2, box.y2)] == [100, 100, 300, 200]


def test_a_list_of_defects_that_is_missing_or_partly_unreadable_is_no_sign_of_soundness() -> None:
    sound = {"attributes": {"kids": True}, "defects": [], "defect_probability": 0.05}
    assert read(sound).defect_probability == 0.05
    for broken in (
        {**sound, "defects": None},
        {**sound, "defects": [{"type": "rust", "box": [0, 0, 9, 9]}]},
        {**sound, "defects": [{"type": "stain"}]},
        json.dumps(sound)[:-1],
    ):
        assert read(broken).defect_probability == 0.5


def test_trust_draws_what_the_model_states_towards_not_knowing() -> None:
    said = {
        "attributes": {"kids": {"value": True, "confidence": 1.0}},
        "defects": [STAIN],
        "defect_probability": 1.0,
    }
    found = read(said, trust=0.5)
    assert found.attributes[1].confidence == 0.5
    assert found.defects[0].confidence == 0.375
    assert found.defect_probability == 0.75


def test_measured_chances_come_before_stated_ones() -> None:
    said = {
        "fits_plan": True,
        "attributes": {"kids": {"value": True, "confidence": 1.0}},
        "defects": [STAIN],
        "defect_probability": 1.0,
    }
    found = read(said, chances=Chances(0.9, {"kids": 0.6}, (0.4,), 0.7))
    assert found.attributes[1].confidence == 0.6
    assert found.defects[0].confidence == 0.4
    assert found.defect_probability == 0.7
    assert found.in_domain == 0.9


def test_a_photo_that_does_not_fit_the_plan_gives_no_answers() -> None:
    found = read({"fits_plan": False, "attributes": {"category": {"value": "Dress"}}})
    assert found.abstained
    assert found.reasons
    assert found.defects == ()
    assert all(a.abstained for a in found.attributes)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["value", "confidence", "type", "box", "category", "kids", "condition"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(attributes=JSON, defects=JSON, chance=JSON, fits=JSON)
def test_whatever_json_comes_the_result_is_valid(
    attributes: object, defects: object, chance: object, fits: object
) -> None:
    text = json.dumps(
        {
            "attributes": attributes,
            "defects": defects,
            "defect_probability": chance,
            "fits_plan": fits,
        }
    )
    found = read(text)
    assert [a.key for a in found.attributes] == [c.key for c in PLAN.characteristics]
    assert {d.type for d in found.defects} <= {"stain", "hole"}
    assert all(d.box.x2 <= 1000 and d.box.y2 <= 500 for d in found.defects)
    assert Extraction.model_validate(found.model_dump()) == found


def test_the_schema_accepts_the_good_and_refuses_the_unbounded() -> None:
    schema = answer_schema(PLAN, THOUSAND)
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)
    good = {
        "fits_plan": True,
        "attributes": {
            "category": {"value": None, "confidence": 0.1},
            "kids": {"value": True, "confidence": 0.1},
            "condition": {"value": 3, "confidence": 0.1},
            "length": {"value": 1, "confidence": 0.1},
            "brand": {"value": "x", "confidence": 0.1},
        },
        "defects": [{"type": "hole", "box": [0, 0, 1, 1], "confidence": 1}],
        "defect_probability": 0.5,
    }
    assert check.is_valid(good)
    good["attributes"]["brand"]["value"] = "x" * 201  # type: ignore[index]
    assert not check.is_valid(good)


def test_every_string_number_and_list_of_the_schema_is_bounded() -> None:
    for boxes in (UNIT, THOUSAND):
        for stated in (True, False):
            assert unbounded(answer_schema(PLAN, boxes, stated=stated)) == []


def unbounded(schema: object, path: str = "") -> list[str]:
    """Where a schema lets a weak model write without end."""
    if not isinstance(schema, dict):
        return []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    needed = {"string": {"maxLength"}, "array": {"maxItems"}, "object": {"required"},
              "number": {"minimum", "maximum"}, "integer": {"minimum", "maximum"}}  # fmt: skip
    found = [
        f"{path}: {kind}"
        for kind in kinds
        if "enum" not in schema and not needed.get(kind, set()) <= schema.keys()
    ]
    inner = {**schema.get("properties", {}), "[]": schema.get("items")}
    return found + [bad for key, one in inner.items() for bad in unbounded(one, f"{path}/{key}")]


def test_an_option_that_could_be_two_is_neither() -> None:
    plan = PlanSpec.model_validate(
        {"name": "P", "characteristics": [{"key": "c", "options": ["a-b", "ab"]}]}
    )
    for text, value in (("ab", "ab"), ("a-b", "a-b"), ("A B", None)):
        found = read_answer(json.dumps({"attributes": {"c": text}}), plan, PICTURE)
        assert found is not None
        assert found.attributes[0].value == value
