"""JSON objects in what language models write: fenced, surrounded by words, cut off, or half Python.

Lenient about spelling, strict about meaning: what is not there is not made up. The last value of a
text that ends too early may be half of a value, so it is dropped, and a key given twice with
different values counts as not answered.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LONGEST = 200_000
"""Characters that are looked at."""
MOST_TRIES = 60
DEEPEST = 30

_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_BLANK = re.compile(r"\s*")
_QUOTED = {
    '"': re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL),
    "'": re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL),
}
_BARE = re.compile(r"[-+\w.]+")
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "false": False, "False": False, "null": None, "None": None,
    "NaN": None, "nan": None, "Infinity": None, "-Infinity": None, "inf": None, "-inf": None,
}  # fmt: skip
"""NaN and Infinity are no JSON; they count as missing."""
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a text. ``complete``: False where the text ended before its closing brace."""

    value: Json
    complete: bool


class _MalformedError(ValueError):
    """There is no JSON at this place."""


def find_objects(text: str) -> list[Found]:
    """The outermost JSON objects in a text, in its order; none where there are none."""
    text = _THOUGHT.sub(" ", text[:LONGEST])
    found: list[Found] = []
    at, tries = text.find("{"), 0
    while at >= 0 and tries < MOST_TRIES:
        tries += 1
        reader = _Reader(text, at)
        try:
            value = reader.value(0)
        except (_MalformedError, RecursionError):
            at = text.find("{", at + 1)
            continue
        if isinstance(value, dict) and (value or not reader.cut):
            found.append(Found(value, not reader.cut))
        at = text.find("{", reader.at)
    return found


class _Reader:
    """Reads one value from a place on. ``cut``: the text ended before the value did."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at, self.cut = text, at, False

    def value(self, depth: int) -> object:
        if depth > DEEPEST:
            raise _MalformedError
        match self._next():
            case "":
                self.cut = True
                return _MISSING
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case '"' | "'":
                return self._string()
        return self._bare()

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.text[self.at : self.at + 1]

    def _object(self, depth: int) -> Json:
        members: Json = {}
        self.at += 1
        while not self._closed("}"):
            key = self._string() if self._next() in ('"', "'") else None
            if self.cut:
                break
            sign = self._next()
            if not isinstance(key, str) or sign not in (":", ""):
                raise _MalformedError
            self.at += 1
            value = self.value(depth + 1)
            if value is not _MISSING:
                same = key not in members or members[key] == value
                members[key] = value if same else None
            if self.cut:
                break
            self._comma("}")
        return members

    def _list(self, depth: int) -> list[object]:
        items: list[object] = []
        self.at += 1
        while not self._closed("]"):
            value = self.value(depth + 1)
            if value is not _MISSING:
                items.append(value)
            if self.cut:
                break
            self._comma("]")
        return items

    def _closed(self, sign: str) -> bool:
        found = self._next()
        if found == "":
            self.cut = True
        elif found == sign:
            self.at += 1
            return True
        return self.cut

    def _comma(self, closing: str) -> None:
        """Between two members; one before the closing brace is let pass."""
        sign = self._next()
        if sign == ",":
            self.at += 1
        elif sign not in (closing, ""):
            raise _MalformedError

    def _string(self) -> object:
        mark = self.text[self.at]
        quoted = _QUOTED[mark].match(self.text, self.at)
        if quoted is None:
            self.cut, self.at = True, len(self.text)
            return _MISSING
        self.at = quoted.end()
        inside = quoted.group()[1:-1]
        if mark == "'":
            inside = inside.replace("\\'", "'").replace('"', '\\"')
        try:
            return json.loads(f'"{inside}"', strict=False)
        except ValueError:
            raise _MalformedError from None

    def _bare(self) -> object:
        word = _BARE.match(self.text, self.at)
        if word is None:
            raise _MalformedError
        self.at = word.end()
        if self.at == len(self.text):
            self.cut = True
            return _MISSING
        if word.group() in _WORDS:
            return _WORDS[word.group()]
        try:
            return json.loads(word.group().removeprefix("+"))
        except ValueError:
            raise _MalformedError from None
