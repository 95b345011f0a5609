"""The plan editor's form: rows of fields to a PlanSpec and back, with errors beside the fields.

Names are ``part-index-field``, for example ``defects-0-name``; indexes only keep rows apart, so a
row may be taken out anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.text import slugify
from pydantic import ValidationError

from models_runtime.plans import PlanSpec

PARTS = ("characteristics", "defects", "playbook")
KEYED = {"characteristics": "title", "defects": "name"}
ROW = re.compile(r"^(characteristics|defects|playbook)-(\d{1,4})-[a-z_0-9]+$")

MOST_ROWS = 60
CHANGED_MESSAGES = {
    "missing": "This is needed.",
    "string_too_short": "This is needed.",
    "string_pattern_mismatch": "Use small letters, digits, - and _ only.",
    "greater_than": "This must be more than 0.",
}
Row = dict[str, Any]


@dataclass
class PlanForm:
    """What the editor shows: plain values, rows by part, and errors by field name."""

    values: Row
    rows: dict[str, list[Row]]
    errors: dict[str, str] = field(default_factory=dict)
    spec: PlanSpec | None = None

    @classmethod
    def of(cls, spec: PlanSpec) -> PlanForm:
        """The form of a plan as it is."""
        plain = spec.model_dump(mode="json")
        rows = {
            "characteristics": [_shown_characteristic(c) for c in plain["characteristics"]],
            "defects": [{**d, "synonyms": ", ".join(d["synonyms"])} for d in plain["defects"]],
            "playbook": [{**r, "defects": ", ".join(r["defects"])} for r in plain["playbook"]],
        }
        values = {name: plain[name] for name in ("name", "subject", "description", "mm_per_px")}
        values |= {f"policy-{name}": value for name, value in plain["policy"].items()}
        return cls(values, _numbered(rows), spec=spec)

    @classmethod
    def sent(cls, data: MultiValueDict[str, str]) -> PlanForm:
        """The form as it was sent; ``spec`` is there if it is a valid plan."""
        rows = {part: [_row(data, part, i) for i in _indexes(data, part)] for part in PARTS}
        for part, source in KEYED.items():
            _fill_keys(rows[part], source)
        form = cls({name: _text(data, name) for name in _plain_names()}, _numbered(rows))
        try:
            form.spec = PlanSpec.model_validate(form.as_spec())
        except ValidationError as error:
            form.errors = dict(form.place(one) for one in error.errors())
        return form

    @property
    def policy(self) -> Row:
        """The values of the policy by their own names."""
        return {
            name.removeprefix("policy-"): value
            for name, value in self.values.items()
            if name.startswith("policy-")
        }

    def as_spec(self) -> Row:
        """The values in the shape of the schema, still unchecked."""
        policy = self.policy
        policy["review_severity"] = policy.get("review_severity") or None
        policy["review_below"] = _number(policy.get("review_below"))
        return {
            "name": self.values["name"],
            "subject": self.values["subject"],
            "description": self.values["description"],
            "mm_per_px": _number(self.values["mm_per_px"]),
            "policy": policy,
            "characteristics": [_characteristic(row) for row in self.rows["characteristics"]],
            "defects": [_defect(row) for row in self.rows["defects"]],
            "playbook": [_rule(row) for row in self.rows["playbook"]],
        }

    def place(self, error: Any) -> tuple[str, str]:
        """The name of the field that an error of the schema belongs to, and words for it."""
        where = list(error["loc"])
        words = CHANGED_MESSAGES.get(error["type"], _plain_words(error["msg"]))
        if where and where[0] in PARTS and len(where) > 1:
            index = self.rows[where[0]][where[1]]["index"]
            last = where[2] if len(where) > 2 else "row"
            return f"{where[0]}-{index}-{last}", words
        if where and where[0] == "policy":
            return f"policy-{where[-1]}", words
        return (str(where[0]) if where else "form"), words


def _plain_words(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _plain_names() -> list[str]:
    policy = ("minor", "major", "critical", "review_below", "review_severity", "report")
    names = [f"policy-{name}" for name in policy]
    return ["name", "subject", "description", "mm_per_px", *names]


def _text(data: Mapping[str, str], name: str) -> str:
    return data.get(name, "").replace("\0", "").replace("\r\n", "\n").strip()


def _indexes(data: Mapping[str, str], part: str) -> list[int]:
    found = {int(m[2]) for name in data if (m := ROW.match(name)) and m[1] == part}
    return sorted(found)[:MOST_ROWS]


def _row(data: MultiValueDict[str, str], part: str, index: int) -> Row:
    start = f"{part}-{index}-"
    row: Row = {
        name.removeprefix(start): _text(data, name) for name in data if name.startswith(start)
    }
    if part == "playbook":
        row["dispositions"] = data.getlist(f"{start}dispositions")
    return row | {"index": index}


def _numbered(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    for part in rows.values():
        for index, row in enumerate(part):
            row.setdefault("index", index)
    return rows


def _fill_keys(rows: list[Row], source: str) -> None:
    """Make a key from the title where none is given, and tell equal ones apart."""
    taken = {row["key"] for row in rows if row.get("key")}
    for row in rows:
        if row.get("key"):
            continue
        base = slugify(row.get(source, ""))[:56] or ""
        key, count = base, 2
        while key in taken:
            key, count = f"{base}-{count}", count + 1
        row["key"] = key
        taken.add(key)


def _number(text: Any) -> Any:
    """A number as people type it, a comma for the decimal point too; the schema judges the rest."""
    if text in ("", None):
        return None
    return str(text).replace(",", ".")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]


def _characteristic(row: Row) -> Row:
    return {
        "key": row.get("key", ""),
        "title": row.get("title", ""),
        "kind": row.get("kind") or "choice",
        "question": row.get("question", ""),
        "options": _options(row.get("options", "")),
        "unit": row.get("unit", ""),
        "minimum": _number(row.get("minimum")),
        "maximum": _number(row.get("maximum")),
        "required": row.get("required") == "on",
    }


def _options(text: str) -> list[Row]:
    """One option a line, with a description after a colon."""
    lines = (line.partition(":") for line in text.splitlines() if line.strip())
    return [{"value": value.strip(), "description": more.strip()} for value, _, more in lines]


def _shown_characteristic(plain: Row) -> Row:
    lines = (
        f"{option['value']}: {option['description']}" if option["description"] else option["value"]
        for option in plain["options"]
    )
    return {**plain, "options": "\n".join(lines), "required": "on" if plain["required"] else ""}


def _defect(row: Row) -> Row:
    return {
        "key": row.get("key", ""),
        "name": row.get("name", ""),
        "definition": row.get("definition", ""),
        "synonyms": _words(row.get("synonyms", "")),
        "severity": row.get("severity") or "major",
        "max_area_mm2": _number(row.get("max_area_mm2")),
    }


def _rule(row: Row) -> Row:
    return {
        "action": "ticket",
        "destination": row.get("destination", ""),
        "dispositions": row.get("dispositions", []),
        "minimum_severity": row.get("minimum_severity") or "major",
        "defects": _words(row.get("defects", "")),
        "requires_approval": row.get("requires_approval") in ("on", True),
    }
