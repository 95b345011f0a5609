"""What goes wrong on the command line, sorted by who can do something about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.registry import DEFAULTS
from models_runtime.runtime import Runtime
from models_runtime.schema import Problem


class CallError(Exception):
    """The call itself is wrong: arguments, plan or golden photos. The message says what to do."""


UNFORESEEN = (RuntimeError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, OSError,
              MemoryError)  # fmt: skip
"""What an engine may raise by mistake. One photo's trouble must not end the others' inspection."""


def as_problem(error: Exception) -> Problem:
    """Put an error of an engine into words for the JSON line."""
    match error:
        case InputError():
            return Problem(kind="input", message=str(error))
        case TransientError():
            return Problem(kind="transient", message=f"{error}. Try again later.")
        case FatalError() | EngineError():
            return Problem(kind="fatal", message=str(error))
    return Problem(kind="fatal", message=f"unforeseen {type(error).__name__}: {error}")


def runtime_from(engines: Sequence[str], environment: Mapping[str, str] | None = None) -> Runtime:
    """Build the runtime from the environment and ``KIND=SETTING`` arguments, which come first."""
    runtime = Runtime.from_environment(environment)
    settings = {kind.value: text for kind, text in runtime.settings.items()}
    for argument in engines:
        kind, equals, text = argument.partition("=")
        if not equals or kind not in settings:
            kinds = ", ".join(sorted(a.value for a in DEFAULTS))
            raise CallError(
                f"--engine {argument}: write KIND=SETTING, where KIND is one of {kinds}"
            )
        settings[kind] = text
    return Runtime.from_settings(settings, runtime.cost_per_hour)
