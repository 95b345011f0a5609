"""Confidence is read from the tokens of the values, and of nothing else."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.openai_client import Token
from models_runtime.vlm.token_chances import Chances, token_chances
from tests.unit.vlm.plans import GARMENTS

ANSWER = (
    '{"fits_plan": true, "attributes": {"category": "Dress", "kids": null, "condition": 7, '
    '"length": 95.5, "brand": "Ågård"}, "defects": [{"type": "stain", "box": [1, 2, 3, 4]}, '
    '{"type": "hole", "box": [5, 6, 7, 8]}]}'
)


def tokens(text: str, chances: dict[str, float] | None = None, size: int = 3) -> list[Token]:
    """The text in pieces; those in ``chances`` are pieces of their own with that probability."""
    named = chances or {}
    marks = "|".join(re.escape(piece) for piece in named) or "(?!)"
    made = []
    for piece in re.split(f"({marks})", text):
        parts = [piece] if piece in named else re.findall(f"(?s).{{1,{size}}}", piece)
        made += [Token(part.encode(), math.log(named.get(piece, 1.0))) for part in parts]
    return made


def read(text: str, chances: dict[str, float], constrained: bool = False) -> Chances:
    found = token_chances(text, tokens(text, chances), GARMENTS, constrained=constrained)
    assert found is not None
    return found


def test_an_attribute_is_as_sure_as_its_value_was_likely() -> None:
    found = read(ANSWER, {"Dress": 0.6, "null": 0.3, "7": 0.9, '"brand": "': 0.01})
    assert found.attributes["category"] == pytest.approx(0.6)
    assert found.attributes["kids"] == pytest.approx(0.3)
    assert found.attributes["condition"] == pytest.approx(0.9)
    assert found.attributes["brand"] == pytest.approx(1.0), "syntax does not count"


def test_pieces_of_a_choice_multiply_and_those_of_a_text_average() -> None:
    found = read(ANSWER, {"Dre": 0.5, "ss": 0.5, "Ågå": 0.25, "rd": 1.0})
    assert found.attributes["category"] == pytest.approx(0.25)
    assert found.attributes["brand"] == pytest.approx(0.5)


def test_in_constrained_decoding_the_opening_quote_is_the_choice_against_null() -> None:
    chances = {'"Dress': 0.5}
    assert read(ANSWER, chances, constrained=True).attributes["category"] == pytest.approx(0.5)
    chances = {' "': 0.5}
    text = '{"attributes": {"category": "Dress"}}'
    assert read(text, chances, constrained=True).attributes["category"] == pytest.approx(0.5)
    assert read(text, chances, constrained=False).attributes["category"] == pytest.approx(1.0)


def test_a_defect_is_as_sure_as_the_list_went_on_and_its_type_was_likely() -> None:
    found = read(ANSWER, {"[{": 0.8, "stain": 0.5, '}, {"type": "': 0.25, "hole": 0.5, "6": 0.01})
    assert found.defects == pytest.approx((0.4, 0.125))
    assert found.any_defect == pytest.approx(0.8)


def test_an_empty_list_says_how_surely_it_is_empty() -> None:
    text = '{"fits_plan": false, "attributes": {}, "defects": []}'
    found = read(text, {"[]": 0.9, "false": 0.7})
    assert found.any_defect == pytest.approx(0.1)
    assert found.fits_plan == pytest.approx(0.3)
    assert found.defects == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{",
        '{"a" 1}',
        "{'a': 1}",
        '{"a": nope}',
        '{"attributes": {"kids": tru',
        "{" * 9000,
    ],
)
def test_what_is_not_strictly_json_has_no_chances(text: str) -> None:
    assert token_chances(text, tokens(text), GARMENTS, constrained=False) is None


def test_tokens_of_another_text_are_not_used() -> None:
    assert token_chances(ANSWER, tokens(ANSWER[1:]), GARMENTS, constrained=False) is None
    assert token_chances(ANSWER, [], GARMENTS, constrained=False) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.lists(st.floats(0.001, 1), min_size=300, max_size=300))
def test_however_it_is_cut_chances_are_probabilities(size: int, chances: list[float]) -> None:
    pieces = tokens(ANSWER, size=size)
    some = [Token(t.text, math.log(p)) for t, p in zip(pieces, chances, strict=False)]
    found = token_chances(ANSWER, some, GARMENTS, constrained=True)
    assert found is not None
    numbers = [*found.attributes.values(), *found.defects, found.any_defect, found.fits_plan]
    assert all(n is not None and 0 <= n <= 1 for n in numbers)
    assert len(found.attributes) == 5
    assert len(found.defects) == 2
