"""A generative model's answer: the JSON schema asked for, and a tolerant reader that lets through
nothing the plan does not allow.

What cannot be read becomes an abstention or is dropped; the result is always a valid Extraction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models_runtime.contracts import AttributeResult, Box, DefectCandidate, Extraction
from models_runtime.plans import Characteristic, CharacteristicKind, DefectType, PlanSpec
from models_runtime.vlm.conventions import Convention, Size, loc_tokens
from models_runtime.vlm.lenient_json import Json, find_objects
from models_runtime.vlm.sureness import abstained, overall, without_answer
from models_runtime.vlm.token_chances import Chances

MOST_DEFECTS = 20
LONGEST_TEXT = 200
NOT_SAID = 0.5
"""Confidence of an answer that came without one."""

_PARTS = frozenset({"attributes", "defects", "fits_plan", "defect_probability"})
_DEEPEST_WRAPPER = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """Sizes of the photo and of the picture the model was shown, and how it writes boxes."""

    photo: Size
    sent: Size
    boxes: Convention


def answer_schema(plan: PlanSpec, boxes: Convention, *, stated: bool = True) -> Json:
    """JSON schema of the answer to a plan; every string, number and list is bounded.

    ``stated``: ask the model for confidences too, for where token probabilities may be missing. A
    choice at the top is not in every server's subset of JSON schema; where decoding is our own
    (not ``stated``), the answer to a photo that does not fit the plan is over with saying so.
    """
    asked = {c.key: _attribute_schema(c, stated) for c in plan.characteristics}
    found: Json = {
        "type": {"type": "string", "enum": [d.key for d in plan.defects] or ["none"]},
        "box": {"type": "array", "items": _coordinate(boxes), "minItems": 4, "maxItems": 4},
    }
    most = MOST_DEFECTS if plan.defects else 0
    if stated:
        found["confidence"] = _chance_schema()
    parts: Json = {
        "fits_plan": {"type": "boolean"} if stated else {"const": True},
        "attributes": _object(asked),
        "defects": {"type": "array", "items": _object(found), "maxItems": most},
    }
    if not stated:
        return {"anyOf": [_object({"fits_plan": {"const": False}}), _object(parts)]}
    return _object({**parts, "defect_probability": _chance_schema()})


def _coordinate(boxes: Convention) -> Json:
    kind = "integer" if boxes.whole else "number"
    return {"type": kind, "minimum": 0, "maximum": boxes.largest}


def _chance_schema() -> Json:
    return {"type": "number", "minimum": 0, "maximum": 1}


def _attribute_schema(asked: Characteristic, stated: bool) -> Json:
    value = _value_schema(asked)
    return _object({"value": value, "confidence": _chance_schema()}) if stated else value


def _value_schema(asked: Characteristic) -> Json:
    if asked.kind is CharacteristicKind.CHOICE:
        return {"type": ["string", "null"], "enum": [o.value for o in asked.options] + [None]}
    if asked.kind is CharacteristicKind.BOOLEAN:
        return {"type": ["boolean", "null"]}
    if asked.kind is CharacteristicKind.TEXT:
        return {"type": ["string", "null"], "maxLength": LONGEST_TEXT}
    low, high = limits(asked)
    if asked.kind is CharacteristicKind.SCALE:
        whole = {"minimum": math.ceil(low), "maximum": math.floor(high)}
        return {"type": ["integer", "null"], **whole}
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


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
    text: str, plan: PlanSpec, picture: Picture, trust: float = 1.0, chances: Chances | None = None
) -> Extraction | None:
    """Read an answer about one photo; None where there is no answer in it.

    ``chances`` are from token probabilities and come before the confidences that the model states;
    ``trust`` (0..1) draws both towards not knowing, because neither is calibrated.
    """
    found = _sought(text, plan)
    if found is None:
        return None
    answer, complete = found
    if answer.get("fits_plan") is False:
        return abstained(plan, "the model says that this photo does not show what the plan asks")
    said = _Said(plan, picture, trust, chances)
    attributes = said.attributes(_given_attributes(answer, plan))
    defects, read_all = said.defects(answer.get("defects"))
    chance = said.defect_probability(answer, defects, read_all and complete)
    return Extraction(
        attributes=attributes,
        defects=defects,
        defect_probability=chance,
        in_domain=1.0 if chances is None or chances.fits_plan is None else chances.fits_plan,
        confidence=overall(attributes, chance if plan.defects else None),
        abstained=False,
    )


def _sought(text: str, plan: PlanSpec) -> tuple[Json, bool] | None:
    """The object with the answer, out of its wrappers, and whether it was complete."""
    keys = _PARTS | {c.key for c in plan.characteristics}
    objects = find_objects(text)
    for one in objects:
        for candidate in _nested(one.value, _DEEPEST_WRAPPER):
            if keys & candidate.keys():
                return candidate, one.complete
    listed = [one.value for one in objects if _label(one.value) is not None]
    return ({"defects": listed}, objects[-1].complete) if listed else None


def _nested(value: object, depth: int) -> Iterator[Json]:
    """An object and those in it, outermost first; a text that holds an object counts as one."""
    if isinstance(value, str) and "{" in value:
        value = [one.value for one in find_objects(value)]
    if isinstance(value, dict):
        yield value
    if depth and isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _nested(child, depth - 1)


def _given_attributes(answer: Json, plan: PlanSpec) -> Json:
    """Answers by key, however the model arranged them."""
    given = answer.get("attributes", answer)
    if isinstance(given, list):
        named = [one for one in given if isinstance(one, dict)]
        given = {str(one.get("key", one.get("name"))): one for one in named}
    if not isinstance(given, dict):
        return {}
    folded = {_folded(str(key)): value for key, value in given.items()}
    return {
        c.key: given.get(c.key, folded.get(_folded(c.key), folded.get(_folded(c.title or c.key))))
        for c in plan.characteristics
    }


@dataclass(frozen=True, slots=True)
class _Said:
    """Reads the parts of one answer."""

    plan: PlanSpec
    picture: Picture
    trust: float
    chances: Chances | None

    def attributes(self, given: Json) -> tuple[AttributeResult, ...]:
        return tuple(self._attribute(c, given.get(c.key)) for c in self.plan.characteristics)

    def _attribute(self, asked: Characteristic, given: object) -> AttributeResult:
        value, sure = given, None
        if isinstance(given, dict):
            value, sure = given.get("value"), given.get("confidence")
        read = read_value(asked, value)
        if read is None:
            return without_answer(asked)
        measured = self.chances.attributes.get(asked.key) if self.chances else None
        chance = _chance(sure, NOT_SAID) if measured is None else measured
        return AttributeResult(key=asked.key, value=read, confidence=self.trust * chance)

    def defects(self, given: object) -> tuple[tuple[DefectCandidate, ...], bool]:
        """Those that are in the catalogue and have a place, and whether that was all of them."""
        if not isinstance(given, list):
            return (), not self.plan.defects
        made = [self._defect(number, item) for number, item in enumerate(given)]
        kept = sorted((d for d in made if d is not None), key=lambda d: -d.confidence)
        return tuple(kept[:MOST_DEFECTS]), None not in made

    def _defect(self, number: int, item: object) -> DefectCandidate | None:
        if not isinstance(item, dict):
            return None
        kind = _type(_label(item), self.plan)
        box = read_box(item.get("box", item.get("bbox_2d", item.get("bbox"))), self.picture)
        if kind is None or box is None:
            return None
        measured = self.chances.defects if self.chances else ()
        chance = (
            measured[number]
            if number < len(measured)
            else _chance(item.get("confidence"), NOT_SAID)
        )
        return DefectCandidate(
            type=kind.key, box=box, confidence=self.trust * chance, severity=kind.severity
        )

    def defect_probability(
        self, answer: Json, defects: tuple[DefectCandidate, ...], all_read: bool
    ) -> float:
        """Drawn towards 0.5 by ``trust``. Never below it where a part of the list is missing."""
        if not self.plan.defects:
            return 0.0
        chance = self.chances.any_defect if self.chances else None
        if chance is None:
            stated = read_number(answer.get("defect_probability"))
            surest = max((d.confidence for d in defects), default=NOT_SAID)
            chance = surest if stated is None else _chance(stated, surest)
        chance = self.trust * chance + (1 - self.trust) * 0.5
        return chance if all_read else max(0.5, chance)


def read_value(asked: Characteristic, value: object) -> str | int | float | bool | None:
    """A value that the characteristic allows; None for anything else."""
    if asked.kind is CharacteristicKind.CHOICE:
        return _option(asked, value)
    if asked.kind is CharacteristicKind.BOOLEAN:
        return _truth(value)
    if asked.kind is CharacteristicKind.TEXT:
        clean = _plain(value) if isinstance(value, str) else ""
        return clean or None
    number = read_number(value)
    low, high = limits(asked)
    if number is None or not low <= number <= high:
        return None
    return round(number) if asked.kind is CharacteristicKind.SCALE else number


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:LONGEST_TEXT].strip()


def _option(asked: Characteristic, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    exact = [o.value for o in asked.options if o.value == value]
    alike = exact or [o.value for o in asked.options if _folded(o.value) == _folded(value)]
    return alike[0] if len(alike) == 1 else None


def _folded(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "yes": True, "false": False, "no": False}.get(value.strip().lower())
    return None


def read_number(value: object) -> float | None:
    """A finite number, also one that was written as a text."""
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


def _chance(value: object, default: float) -> float:
    """A probability; per cent are understood, anything else is the default."""
    number = read_number(value)
    if number is None or number < 0 or number > 100:
        return default
    return number / 100 if number > 1 else number


def _label(item: Json) -> object:
    return item.get("type", item.get("label"))


def _type(given: object, plan: PlanSpec) -> DefectType | None:
    if not isinstance(given, str):
        return None
    wanted = _folded(given)
    for defect in plan.defects:
        if wanted in {_folded(t) for t in (defect.key, defect.name, *defect.synonyms)}:
            return defect
    return None


def read_box(given: object, picture: Picture) -> Box | None:
    """A box in pixels of the photo, corners put in order and cut to it; None where it has no area.

    Four numbers, an object with x1, y1, x2 and y2, or a text with location tokens.
    """
    if isinstance(given, dict):
        names = ("y1", "x1", "y2", "x2") if picture.boxes.rows_first else ("x1", "y1", "x2", "y2")
        given = [given.get(name) for name in names]
    if isinstance(given, str):
        given = loc_tokens(given)
    if not isinstance(given, list | tuple) or len(given) != 4:
        return None
    numbers = [n for n in map(read_number, given) if n is not None]
    if len(numbers) != 4:
        return None
    return picture.boxes.in_photo(numbers, picture.sent, picture.photo)


def shaped(extraction: Extraction, photo: Size, boxes: Convention) -> Json:
    """An extraction as the object that ``answer_schema`` describes, so that one engine can answer
    in another one's place."""
    return {
        "fits_plan": not extraction.abstained,
        "attributes": {
            answer.key: {"value": answer.value, "confidence": round(answer.confidence, 3)}
            for answer in extraction.attributes
        },
        "defects": [
            {
                "type": defect.type,
                "box": boxes.written(defect.box, photo),
                "confidence": round(defect.confidence, 3),
            }
            for defect in extraction.defects
        ],
        "defect_probability": round(extraction.defect_probability, 3),
    }
