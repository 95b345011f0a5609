"""Read a plan file, and say line or field and remedy where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models_runtime.cli.problems import CallError
from models_runtime.plans import PlanSpec

_MOST_BYTES = 2_000_000
_ADVICE = {
    "missing": "add it",
    "extra_forbidden": "there is no such field; remove it or correct its name",
    "enum": "use one of the values named",
    "literal_error": "use one of the values named",
    "string_pattern_mismatch": "use small letters, digits, - and _ only",
}


def load_plan(path: Path) -> PlanSpec:
    """Read and check a plan; CallError names file, line or field, and what to do."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CallError(f"plan {path} has more than 2 MB: is it the right file?")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CallError(f"plan {path} can't be read: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise CallError(f"plan {path} is not UTF-8 text. Save it as UTF-8 JSON.") from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise CallError(
            f"plan {path}, line {error.lineno}, column {error.colno}: {error.msg}. "
            "Correct the JSON there."
        ) from None
    except RecursionError:
        raise CallError(f"plan {path} is nested too deep to be a plan.") from None
    return _checked(path, text, data)


def _checked(path: Path, text: str, data: Any) -> PlanSpec:
    if not isinstance(data, dict):
        raise CallError(f'plan {path} must be a JSON object such as {{"name": "Solar cells"}}.')
    try:
        return PlanSpec.model_validate(data)
    except ValidationError as error:
        lines = [_in_words(problem, text) for problem in error.errors()[:10]]
        raise CallError(f"plan {path} is not valid:\n  " + "\n  ".join(lines)) from None


def _in_words(problem: Any, text: str) -> str:
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem["loc"]).lstrip(".")
    message = str(problem["msg"]).removeprefix("Value error, ")
    advice = _ADVICE.get(problem["type"])
    line = _line_of(problem["loc"], text)
    place = f"line {line}, {where}" if line and where else where or "plan"
    return f"{place}: {message}" + (f" ({advice})" if advice else "")


def _line_of(location: tuple[int | str, ...], text: str) -> int | None:
    """The line of the last field name, searched after those of its parents; None if not found."""
    position = 0
    for part in location:
        if isinstance(part, int):
            continue
        found = text.find(f'"{part}"', position)
        if found < 0:
            return None
        position = found
    return text.count("\n", 0, position) + 1 if position else None
