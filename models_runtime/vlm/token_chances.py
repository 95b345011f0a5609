"""Confidence from token probabilities: how likely the model was to write just this value.

Of an attribute: the product of the probabilities of the tokens that write its value, and nothing of
the JSON around it; for free text and numbers their geometric mean, because a product would call
every long answer unsure. Of a defect: the chance that the list goes on at its place, times that of
its type; the box's digits say how exactly it lies, not whether it is there. Of any defect: the
chance that the list is not empty.

Where decoding is constrained, the probabilities are to be those among the tokens that the schema
allows: then a token that could not be another one counts 1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from models_runtime.openai_client import Token
from models_runtime.plans import CharacteristicKind, PlanSpec

Path = tuple[str | int, ...]

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"\s*")
_SCALAR = re.compile(r"-?\d[-+.\deE]*|true|false|null")
_LONG = (CharacteristicKind.TEXT, CharacteristicKind.NUMBER)


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities of what was written. ``fits_plan`` and ``any_defect`` are of the statement
    "yes", whatever was written; None where it was not written at all."""

    fits_plan: float | None = None
    attributes: dict[str, float] = field(default_factory=dict)
    defects: tuple[float, ...] = ()
    any_defect: float | None = None


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where the parts of a JSON text are: (start, end) of each scalar, and for each list the places
    where it was decided whether it goes on: one per item, and that of its end. ``quotes``: a text's
    quotes belong to it."""

    quotes: bool
    scalars: dict[Path, tuple[int, int]] = field(default_factory=dict)
    goes_on: dict[Path, list[int]] = field(default_factory=dict)


def token_chances(
    text: str, tokens: Sequence[Token], plan: PlanSpec, *, constrained: bool
) -> Chances | None:
    """Read the chances from an answer that is strictly JSON; None where it is not, or where its
    tokens are not those of the text.

    ``constrained``: the probabilities are among the tokens that the schema allows. The quote that
    opens a text then says only that it is not null, and counts; otherwise it is left out as syntax.
    """
    start = text.find("{")
    if not tokens or start < 0 or b"".join(t.text for t in tokens) != text.encode():
        return None
    spans = _Spans(quotes=constrained)
    try:
        _walk(text, start, (), spans)
    except (ValueError, IndexError, RecursionError):
        return None
    return _Reader(text, tokens, spans).chances(plan)


class _Reader:
    def __init__(self, text: str, tokens: Sequence[Token], spans: _Spans) -> None:
        self._text, self._spans = text, spans
        ends = list(accumulate(len(t.text) for t in tokens))
        self._pieces = list(zip([0, *ends[:-1]], ends, tokens, strict=True))

    def chances(self, plan: PlanSpec) -> Chances:
        whole = {
            c.key: chance
            for c in plan.characteristics
            if (chance := self._attribute(c.key, c.kind in _LONG)) is not None
        }
        places = self._spans.goes_on.get(("defects",), [])
        return Chances(
            fits_plan=self._yes(("fits_plan",)),
            attributes=whole,
            defects=tuple(self._defect(n, place) for n, place in enumerate(places[:-1])),
            any_defect=self._any(places),
        )

    def _attribute(self, key: str, long: bool) -> float | None:
        spans = self._spans.scalars
        span = spans.get(("attributes", key)) or spans.get(("attributes", key, "value"))
        return None if span is None else self._chance(span, mean=long)

    def _yes(self, path: Path) -> float | None:
        span = self._spans.scalars.get(path)
        if span is None:
            return None
        chance = self._chance(span)
        return chance if self._text[slice(*span)] == "true" else 1 - chance

    def _defect(self, number: int, place: int) -> float:
        named = self._spans.scalars.get(("defects", number, "type"))
        there = self._chance((place, place + 1))
        return there * (self._chance(named) if named else 1.0)

    def _any(self, places: list[int]) -> float | None:
        if not places:
            return None
        chance = self._chance((places[0], places[0] + 1))
        return chance if len(places) > 1 else 1 - chance

    def _chance(self, span: tuple[int, int], mean: bool = False) -> float:
        """Of the tokens that overlap a span of characters."""
        first, last = (len(self._text[:at].encode()) for at in span)
        some = [t.logprob for start, end, t in self._pieces if start < last and end > first]
        if not some:
            return 0.0
        total = math.fsum(some)
        return min(1.0, math.exp(total / len(some) if mean else total))


def _walk(text: str, at: int, path: Path, spans: _Spans) -> int:
    """Note where the parts of a JSON value are; returns the place after it."""
    at = _skip(text, at)
    if text[at] == "{":
        return _walk_object(text, at, path, spans)
    if text[at] == "[":
        return _walk_list(text, at, path, spans)
    if text[at] == '"':
        _, end = _string(text, at)
        quotes = spans.quotes or end - at == 2
        spans.scalars[path] = (at, end) if quotes else (at + 1, end - 1)
        return end
    found = _SCALAR.match(text, at)
    if found is None:
        raise ValueError("no JSON")
    spans.scalars[path] = found.span()
    return found.end()


def _walk_object(text: str, at: int, path: Path, spans: _Spans) -> int:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _string(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError("no JSON")
        at = _skip(text, _walk(text, at + 1, (*path, key), spans))
        at = _skip(text, at + 1) if text[at] == "," else at
    return at + 1


def _walk_list(text: str, at: int, path: Path, spans: _Spans) -> int:
    places = spans.goes_on.setdefault(path, [])
    at = _skip(text, at + 1)
    places.append(at)
    number = 0
    while text[at] != "]":
        at = _skip(text, _walk(text, at, (*path, number), spans))
        number += 1
        places.append(at)
        at = _skip(text, at + 1) if text[at] == "," else at
    return at + 1


def _string(text: str, at: int) -> tuple[str, int]:
    """The text in quotes at this place, and the place after it."""
    value, end = _DECODER.raw_decode(text, at)
    if not isinstance(value, str):
        raise ValueError("no text")
    return value, end


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
