"""Typed readers of the process environment.

Every setting of the application is read through one of these functions. A reader checks the value,
fails with a message that says what to write instead, and notes the setting in `REGISTERED`, from
which docs/configuration.md is made (`python -m inspection.environment`) and checked.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

PROJECT_ROOT = Path(__file__).resolve().parent.parent

# Modules that read settings when they are imported; the table of settings is complete after these.
READING_MODULES = ("inspection.settings", "inspection.supervisor.options")
PAGE = PROJECT_ROOT / "docs" / "configuration.md"
FIRST_MARK = "<!-- settings:"
LAST_MARK = "<!-- end of settings -->"

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})

Value = TypeVar("Value")


class SettingError(ValueError):
    """A setting has a value that can't be used; the message names it and says what to write."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name}={value!r} can't be used: write {wanted}.")
        self.name = name
        self.value = value


@dataclass(frozen=True)
class Setting:
    """One documented setting: `kind` is what to write, `default` is Markdown for a person."""

    name: str
    kind: str
    default: str
    help: str


_registered: dict[str, Setting] = {}
REGISTERED = MappingProxyType(_registered)


def _register(name: str, kind: str, default: str, help: str) -> None:
    setting = Setting(name, kind, default, help)
    known = _registered.setdefault(name, setting)
    if known != setting:
        raise RuntimeError(f"{name} is read twice in different ways: {known} and {setting}")


def _code(value: object) -> str:
    return f"`{value}`" if str(value) else "–"


def _read(name: str, default: Value, parse: Callable[[str], Value]) -> Value:
    raw = os.environ.get(name, "").strip()
    return parse(raw) if raw else default


def text(name: str, *, default: str, help: str, shown: str | None = None) -> str:
    """Read a line of text. An unset or empty variable gives `default`.

    `shown` replaces the default in the documentation, for secrets and values made at run time.
    """
    _register(name, "text", _code(default) if shown is None else shown, help)
    return _read(name, default, str)


def integer(
    name: str,
    *,
    default: int,
    help: str,
    minimum: int | None = None,
    maximum: int | None = None,
    shown: str | None = None,
) -> int:
    """Read a whole number within `minimum` and `maximum`, both included; `shown` as in `text`."""
    wanted = "a whole number" + _range(minimum, maximum)
    _register(name, wanted.removeprefix("a "), _code(default) if shown is None else shown, help)

    def parse(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise SettingError(name, raw, wanted) from None
        return _within(name, raw, value, minimum, maximum, wanted)

    return _read(name, default, parse)


def number(
    name: str,
    *,
    default: float,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
) -> float:
    """Read a decimal number within `minimum` and `maximum`, both included; never nan."""
    wanted = "a number" + _range(minimum, maximum)
    _register(name, wanted.removeprefix("a "), _code(f"{default:g}"), help)

    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise SettingError(name, raw, wanted) from None
        if value != value:
            raise SettingError(name, raw, wanted)
        return _within(name, raw, value, minimum, maximum, wanted)

    return _read(name, default, parse)


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return f" of at most {maximum}" if maximum is not None else ""


Numeric = TypeVar("Numeric", int, float)


def _within(
    name: str,
    raw: str,
    value: Numeric,
    minimum: Numeric | None,
    maximum: Numeric | None,
    wanted: str,
) -> Numeric:
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise SettingError(name, raw, wanted)
    return value


def boolean(name: str, *, default: bool, help: str) -> bool:
    """Read a switch: 1, true, yes, on or 0, false, no, off, in any case."""
    _register(name, "yes or no", _code("yes" if default else "no"), help)

    def parse(raw: str) -> bool:
        word = raw.lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise SettingError(name, raw, "1, true, yes, on or 0, false, no, off")

    return _read(name, default, parse)


def path(name: str, *, default: str | Path, help: str) -> Path:
    """Read a path. A relative one (the default too) starts at the project root; `~` is home."""
    _register(name, "path", _code(default), help)
    return _read(name, _absolute(str(default)), _absolute)


def _absolute(raw: str) -> Path:
    return (PROJECT_ROOT / Path(raw).expanduser()).absolute()


def words(name: str, *, default: Sequence[str] = (), help: str) -> list[str]:
    """Read words separated by commas; blanks around them and empty ones are dropped."""
    _register(name, "words separated by commas", _code(",".join(default)), help)
    return _read(name, list(default), _split)


def _split(raw: str) -> list[str]:
    return [word.strip() for word in raw.split(",") if word.strip()]


def url(
    name: str, *, default: str, schemes: Sequence[str], help: str, shown: str | None = None
) -> str:
    """Read a URL whose scheme is one of `schemes`. An empty default means "none given"."""
    wanted = "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes)
    _register(name, wanted.removeprefix("a "), _code(default) if shown is None else shown, help)

    def parse(raw: str) -> str:
        try:
            scheme = urlsplit(raw).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes or "://" not in raw:
            raise SettingError(name, without_password(raw), wanted)
        return raw

    return _read(name, default, parse)


def without_password(address: str) -> str:
    """Hide the password of a URL, so that it can be printed."""
    head, at, tail = address.rpartition("@")
    scheme, separator, user = head.rpartition("://")
    if not at or ":" not in user:
        return address
    return f"{scheme}{separator}{user.partition(':')[0]}:***@{tail}"


def choice(name: str, *, default: str, choices: Sequence[str], help: str) -> str:
    """Read one of `choices`, exactly as spelt there."""
    wanted = "one of " + ", ".join(choices)
    _register(name, wanted, _code(default), help)

    def parse(raw: str) -> str:
        if raw not in choices:
            raise SettingError(name, raw, wanted)
        return raw

    return _read(name, default, parse)


def state_dir() -> Path:
    """Return the directory that holds everything the application writes on this machine."""
    return path(
        "LOUPE_STATE",
        default="var/state",
        help="Directory of everything written on this machine: embedded Postgres and Valkey, "
        "uploaded photos, logs. Back this up.",
    )


def available_cores() -> int:
    """Cores that this process may use, which a container or `taskset` may have narrowed."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 2


def documented_table() -> str:
    """Render every registered setting as a Markdown table, sorted by name."""
    rows = ["| setting | write | default | what it does |", "|---|---|---|---|"]
    for setting in sorted(_registered.values(), key=lambda setting: setting.name):
        cells = [f"`{setting.name}`", setting.kind, setting.default, setting.help]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows).replace(f"{PROJECT_ROOT}/", "") + "\n"


def complete_table() -> str:
    """Import everything that reads settings and return the table of all of them."""
    # As `python -m`, this file runs as __main__ beside the module of the same code that the
    # settings register with: that one's table is the full one.
    environment = importlib.import_module("inspection.environment")
    for module in READING_MODULES:
        importlib.import_module(module)
    return str(environment.documented_table())


def with_table(page: str, table: str) -> str:
    """Return the page with the table of settings between its two marks replaced."""
    head, _, rest = page.partition(FIRST_MARK)
    mark_end, _, tail = rest.partition(LAST_MARK)
    if not mark_end or not tail:
        raise ValueError(f"{PAGE} has lost its marks {FIRST_MARK} and {LAST_MARK}")
    first_line = FIRST_MARK + mark_end.partition("\n")[0]
    return f"{head}{first_line}\n{table}{LAST_MARK}{tail}"


def main(arguments: Sequence[str]) -> None:
    """Print the table of settings; `--write` puts it into docs/configuration.md."""
    table = complete_table()
    if list(arguments) == ["--write"]:
        PAGE.write_text(with_table(PAGE.read_text(), table))
    else:
        sys.stdout.write(table)


if __name__ == "__main__":
    main(sys.argv[1:])
