"""A generative model's answer: the JSON schema asked for, and a tolerant reader that lets through
nothing the plan does not allow.

What cannot be read becomes an abstention or is dropped; the result is always a valid Extraction.
"""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any, Literal

from models_runtime.contracts import AttributeResult, Box, DefectCandidate, Extraction
from models_runtime.errors import TransientError
from models_runtime.plans import Characteristic, CharacteristicKind, DefectType, PlanSpec

BoxUnit = Literal["unit", "thousand", "pixels"]
"""Coordinates of a model's boxes: 0..1, 0..1000 (the default of Qwen-VL and Gemini), or pixels of
the picture it was sent."""

MOST_DEFECTS = 20
LONGEST_TEXT = 200

Json = dict[str, Any]


def answer_schema(plan: PlanSpec, unit: BoxUnit) -> Json:
    """JSON schema of the answer to a plan; every string, number and list is bounded."""
    far = {"unit": 1, "thousand": 1000, "pixels": 10000}[unit]
    attributes = {c.key: _attribute_schema(c) for c in plan.characteristics}
    chance = {"type": "number", "minimum": 0, "maximum": 1}
    defect = _object(
        {
            "type": {"type": "string", "enum": [d.key for d in plan.defects] or ["none"]},
            "box": {
                "type": "array",
                "items": {"type": "number", "minimum": 0, "maximum": far},
                "minItems": 4,
                "maxItems": 4,
            },
            "confidence": chance,
        }
    )
    most = MOST_DEFECTS if plan.defects else 0
    return _object(
        {
            "fits_plan": {"type": "boolean"},
            "attributes": _object(attributes),
            "defects": {"type": "array", "items": defect, "maxItems": most},
            "defect_probability": chance,
        }
    )


def _attribute_schema(asked: Characteristic) -> Json:
    value: Json
    if asked.kind is CharacteristicKind.CHOICE:
        value = {"type": ["string", "null"], "enum": [o.value for o in asked.options] + [None]}
    elif asked.kind is CharacteristicKind.BOOLEAN:
        value = {"type": ["boolean", "null"]}
    elif asked.kind is CharacteristicKind.TEXT:
        value = {"type": ["string", "null"], "maxLength": LONGEST_TEXT}
    else:
        low, high = limits(asked)
        kind = "integer" if asked.kind is CharacteristicKind.SCALE else "number"
        value = {"type": [kind, "null"], "minimum": low, "maximum": high}
    chance = {"type": "number", "minimum": 0, "maximum": 1}
    return _object({"value": value, "confidence": chance})


def limits(asked: Characteristic) -> tuple[float, float]:
    """Least and largest number allowed; a scale runs from 1 to 10 where the plan says nothing."""
    scale = asked.kind is CharacteristicKind.SCALE
    low = asked.minimum if asked.minimum is not None else (1.0 if scale else -1e9)
    high = asked.maximum if asked.maximum is not None else (10.0 if scale else 1e9)
    return low, max(low, high)


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_answer(
    text: str,
    plan: PlanSpec,
    sent: tuple[int, int],
    photo: tuple[int, int],
    unit: BoxUnit,
    trust: float = 1.0,
) -> Extraction:
    """Read an answer about a photo of (height, width) ``photo`` that was sent at size ``sent``.

    ``trust`` scales the model's own confidences. TransientError where no JSON object is in it.
    """
    answer = find_object(text)
    if answer.get("fits_plan") is False:
        return _refused(plan)
    given = answer.get("attributes")
    given = given if isinstance(given, dict) else {}
    attributes = tuple(_attribute(c, given.get(c.key), trust) for c in plan.characteristics)
    defects = _defects(answer.get("defects"), plan, sent, photo, unit, trust)
    chance = _chance(answer.get("defect_probability"), None)
    if chance is None:
        chance = max((d.confidence for d in defects), default=0.1 if plan.defects else 0.0)
    answered = [a.confidence for a in attributes if not a.abstained]
    parts = answered + ([trust * max(chance, 1 - chance)] if plan.defects else [])
    return Extraction(
        attributes=attributes,
        defects=defects,
        defect_probability=chance if plan.defects else 0.0,
        in_domain=1.0,
        confidence=min(parts, default=0.0),
        abstained=False,
    )


def _refused(plan: PlanSpec) -> Extraction:
    return Extraction(
        attributes=tuple(_abstain(c) for c in plan.characteristics),
        defects=(),
        defect_probability=0.5 if plan.defects else 0.0,
        in_domain=0.0,
        confidence=0.0,
        abstained=True,
        reasons=("the model says that this photo does not show what the plan is about",),
    )


_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_COMMA = re.compile(r",(\s*[}\]])")


def find_object(text: str) -> Json:
    """The first JSON object in a text: fenced, surrounded by words, with trailing commas, or in
    Python's spelling. TransientError where there is none."""
    text = _THOUGHT.sub(" ", text[:200_000])
    for piece in [*_FENCE.findall(text), text]:
        for candidate in _braced(piece):
            found = _parsed(candidate)
            if isinstance(found, dict):
                return found
    raise TransientError("the model's answer holds no JSON object")


def _braced(text: str) -> list[str]:
    """Outermost {...} parts, braces in quotes ignored; an unclosed one is closed at the end."""
    parts: list[str] = []
    stack: list[str] = []
    start, quoted, skip = -1, False, False
    for at, sign in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            quoted = sign != '"'
            skip = sign == "\\"
        elif sign == '"' and stack:
            quoted = True
        elif sign in "{[" and (stack or sign == "{"):
            start = at if not stack else start
            stack.append("}" if sign == "{" else "]")
        elif stack and sign == stack[-1]:
            stack.pop()
            if not stack:
                parts.append(text[start : at + 1])
    if stack and start >= 0:
        parts.append(text[start:] + ('"' if quoted else "") + "".join(reversed(stack)))
    return parts[:20]


def _parsed(text: str) -> object:
    for attempt in (text, _COMMA.sub(r"\1", text)):
        try:
            return json.loads(attempt, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    try:
        return ast.literal_eval(text) if len(text) < 20_000 else None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _no_constant(name: str) -> None:
    """NaN and Infinity are no JSON; they count as missing."""


def _attribute(asked: Characteristic, given: object, trust: float) -> AttributeResult:
    value, sure = given, None
    if isinstance(given, dict):
        value, sure = given.get("value"), given.get("confidence")
    read = _value(asked, value)
    if read is None:
        return _abstain(asked)
    chance = _chance(sure, 0.5) or 0.0
    return AttributeResult(key=asked.key, value=read, confidence=trust * chance)


def _value(asked: Characteristic, value: object) -> str | int | float | bool | None:
    if asked.kind is CharacteristicKind.CHOICE:
        return _option(asked, value)
    if asked.kind is CharacteristicKind.BOOLEAN:
        return _truth(value)
    if asked.kind is CharacteristicKind.TEXT:
        clean = _plain(value) if isinstance(value, str) else ""
        return clean or None
    number = _number(value)
    low, high = limits(asked)
    if number is None or not low <= number <= high:
        return None
    return round(number) if asked.kind is CharacteristicKind.SCALE else number


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:LONGEST_TEXT].strip()


def _option(asked: Characteristic, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    wanted = _folded(value)
    return next((o.value for o in asked.options if _folded(o.value) == wanted), None)


def _folded(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "yes": True, "false": False, "no": False}.get(value.strip().lower())
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%"))
        except ValueError:
            return None
    if isinstance(value, int | float) and abs(value) < 1e12 and math.isfinite(value):
        return float(value)
    return None


def _chance(value: object, default: float | None) -> float | None:
    """A probability; per cent are understood, anything else is the default."""
    number = _number(value)
    if number is None or number < 0 or number > 100:
        return default
    return number / 100 if number > 1 else number


def _abstain(asked: Characteristic) -> AttributeResult:
    return AttributeResult(key=asked.key, value=None, confidence=0.0, abstained=True)


def _defects(
    given: object,
    plan: PlanSpec,
    sent: tuple[int, int],
    photo: tuple[int, int],
    unit: BoxUnit,
    trust: float,
) -> tuple[DefectCandidate, ...]:
    made = []
    for item in given if isinstance(given, list) else []:
        if not isinstance(item, dict):
            continue
        kind = _type(item.get("type", item.get("label")), plan)
        box = read_box(item.get("box", item.get("bbox_2d", item.get("bbox"))), sent, photo, unit)
        if kind is not None and box is not None:
            chance = trust * (_chance(item.get("confidence"), 0.5) or 0.0)
            made.append(
                DefectCandidate(type=kind.key, box=box, confidence=chance, severity=kind.severity)
            )
    made.sort(key=lambda candidate: -candidate.confidence)
    return tuple(made[:MOST_DEFECTS])


def _type(given: object, plan: PlanSpec) -> DefectType | None:
    if not isinstance(given, str):
        return None
    wanted = _folded(given)
    for defect in plan.defects:
        if wanted in {_folded(t) for t in (defect.key, defect.name, *defect.synonyms)}:
            return defect
    return None


def read_box(
    given: object, sent: tuple[int, int], photo: tuple[int, int], unit: BoxUnit
) -> Box | None:
    """A box in pixels of the photo, corners put in order and cut to it; None where it has no area.

    ``sent`` and ``photo`` are (height, width).
    """
    if isinstance(given, dict):
        given = [given.get(k) for k in ("x1", "y1", "x2", "y2")]
    if not isinstance(given, list | tuple) or len(given) != 4:
        return None
    numbers = [_number(v) for v in given]
    if any(n is None for n in numbers):
        return None
    high, wide = {"unit": (1, 1), "thousand": (1000, 1000), "pixels": sent}[unit]
    left, top, right, bottom = (float(n or 0.0) for n in numbers)
    xs = sorted(min(max(x * photo[1] / wide, 0.0), float(photo[1])) for x in (left, right))
    ys = sorted(min(max(y * photo[0] / high, 0.0), float(photo[0])) for y in (top, bottom))
    if xs[1] - xs[0] < 1 or ys[1] - ys[0] < 1:
        return None
    return Box(x1=xs[0], y1=ys[0], x2=xs[1], y2=ys[1])
