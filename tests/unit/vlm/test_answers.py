"""What generative models write instead of JSON, and what may come through."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from models_runtime.contracts import Extraction
from models_runtime.errors import TransientError
from models_runtime.plans import PlanSpec
from models_runtime.vlm.answers import answer_schema, find_object, read_answer, read_box

PLAN = PlanSpec.model_validate(
    {
        "name": "Garments",
        "characteristics": [
            {"key": "category", "options": ["T-Shirt", "Dress"]},
            {"key": "kids", "kind": "boolean"},
            {"key": "condition", "kind": "scale"},
            {"key": "length", "kind": "number", "minimum": 0, "maximum": 300},
            {"key": "brand", "kind": "text"},
        ],
        "defects": [
            {"key": "stain", "name": "Stain", "synonyms": ["spot"], "severity": "minor"},
            {"key": "hole", "name": "Hole"},
        ],
    }
)


def read(answer: object) -> Extraction:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return read_answer(text, PLAN, (100, 200), (500, 1000), "thousand")


def values(found: Extraction) -> dict[str, object]:
    return {a.key: a.value for a in found.attributes}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        'Sure! Here it is:\n```\n{"a": 1}\n```\nAnything else?',
        'The answer is {"a": 1} as you see.',
        '{"a": 1,}',
        "{'a': 1}",
        '<think>{"a": 2} or so</think>{"a": 1}',
        '{"a": 1} {"a": 2}',
        '{"a": 1',
        'x } {"a": 1}',
    ],
)
def test_an_object_is_found_in_what_models_write(text: str) -> None:
    assert find_object(text) == {"a": 1}


@pytest.mark.parametrize("text", ["", "no", "[1, 2]", "null", "}{x", "{]", '{"a"', "{a: b}"])
def test_no_object_is_a_transient_error(text: str) -> None:
    with pytest.raises(TransientError):
        find_object(text)


def test_brace_inside_a_string_does_not_end_the_object() -> None:
    assert find_object('{"a": "}{", "b": "\\"}"}') == {"a": "}{", "b": '"}'}


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
    ("unit", "given"),
    [
        ("unit", [0.1, 0.2, 0.3, 0.4]),
        ("thousand", [100, 200, 300, 400]),
        ("pixels", [20, 20, 60, 40]),
    ],
)
def test_the_same_box_in_each_unit(unit: str, given: list[float]) -> None:
    box = read_box(given, (100, 200), (500, 1000), unit)  # type: ignore[arg-type]
    assert box is not None
    assert [round(v) for v in (box.x1, box.y1, box.x2, box.y2)] == [100, 100, 300, 200]


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


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='{}[]",:\\ a1`', max_size=60))
def test_garbage_is_an_object_or_a_transient_error(text: str) -> None:
    with contextlib.suppress(TransientError):
        assert isinstance(find_object(text), dict)


def test_the_schema_accepts_the_good_and_refuses_the_unbounded() -> None:
    schema = answer_schema(PLAN, "thousand")
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
