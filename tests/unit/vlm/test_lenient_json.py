"""What language models write instead of JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.vlm.lenient_json import find_objects

ONE = {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '  \n{"a": 1}\n ',
        '\ufeff{"a": 1}',
        '```json\n{"a": 1}\n```',
        '```JSON {"a": 1}```',
        'Sure! Here it is:\n```\n{"a": 1}\n```\nAnything else?',
        'The answer is {"a": 1} as you see.',
        '{"a": 1,}',
        '{"a": 1, }',
        "{'a': 1}",
        '{"a": +1}',
        '<think>{"a": 2} or so</think>{"a": 1}',
        '{"a": 1} {"a": 2}',
        'x } {"a": 1}',
        'the set {a, b} and {"a": 1}',
        '[{"a": 1}]',
        '{"a": 1, "a": 1}',
        "{\"a\"\n:\t1}",
    ],
)  # fmt: skip
def test_an_object_is_found_whole(text: str) -> None:
    first = find_objects(text)[0]
    assert first.value == ONE
    assert first.complete


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1', {}),
        ('{"a": 1, "b": 23', {"a": 1}),
        ('{"a": 1, "b": tru', {"a": 1}),
        ('{"a": 1, "b": "Dre', {"a": 1}),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": 1, "b"', {"a": 1}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": 1, "b": {"c": [1, 2', {"a": 1, "b": {"c": [1]}}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": [1, 2]', {"a": [1, 2]}),
    ],
)
def test_half_a_value_is_not_a_value(text: str, value: object) -> None:
    found = find_objects(text)
    assert [one.value for one in found] == ([value] if value else [])
    assert all(not one.complete for one in found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": NaN}', None),
        ('{"a": -Infinity}', None),
        ("{'a': None}", None),
        ("{'a': True}", True),
        ('{"a": 1, "a": 2}', None),
        ('{"a": "it\\u0027s"}', "it's"),
        ("{'a': 'it\\'s \"so\"'}", 'it\'s "so"'),
        ('{"a": "}{"}', "}{"),
        ('{"a": "x\ny"}', "x\ny"),
        ('{"a": {}}', {}),
        ('{"a": []}', []),
        ('{"a": 1e3}', 1000.0),
    ],
)
def test_values_mean_what_they_say(text: str, value: object) -> None:
    assert find_objects(text)[0].value == {"a": value}


@pytest.mark.parametrize(
    "text",
    [
        "", "no", "[1, 2]", "null", "}{x", "{]", '{"a"', "{a: b}", "{'a' 1}", '{"a": }', '{"a": .}',
        '{"a": 1 "b": 2}', '{"a": 00x}', "{" * 500, '{"a":' * 100, "<think>{\"a\": 1}",
    ],
)  # fmt: skip
def test_what_is_no_object_is_none(text: str) -> None:
    assert find_objects(text) == []


def test_a_hostile_text_is_read_in_time_and_to_a_limit() -> None:
    assert find_objects('{"a": [' * 100_000) == []
    assert find_objects(" " * 300_000 + '{"a": 1}') == []
    assert find_objects('{"a": ' + "9" * 5000 + "}") == []


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]\"',:\\ a1`tn-.e", max_size=60))
def test_garbage_never_raises(text: str) -> None:
    assert all(isinstance(one.value, dict) for one in find_objects(text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), st.booleans())
def test_valid_json_is_read_as_json_reads_it(value: dict[str, object], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    if "<think>" not in text:
        assert find_objects(text)[0].value == value
