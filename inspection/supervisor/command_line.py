"""The servers for a single `manage.py` command, when `make run` is not there to have them up."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from inspection import environment as env
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.preparation import preparation_of
from inspection.supervisor.services import embedded_services, in_use

WITHOUT_SERVERS = frozenset(
    {"check", "collectstatic", "findstatic", "help", "serve_models", "test", "version"}
)
WITHOUT_TABLES = frozenset({"makemigrations", "migrate", "showmigrations", "sqlmigrate"})


@contextlib.contextmanager
def servers_for(arguments: Sequence[str]) -> Iterator[None]:
    """Have the servers, and tables up to date, while a command runs.

    What runs already is used and left running; what was started for the command stops after it,
    also where it is interrupted, told to end, or its terminal is closed.
    """
    command = arguments[1] if len(arguments) > 1 else "help"
    if command in WITHOUT_SERVERS or command.startswith("-") or "--help" in arguments:
        yield
        return
    layout = Layout(env.state_dir())
    services = embedded_services(layout)
    try:
        with _orderly_end(), in_use(services, layout):
            if command not in WITHOUT_TABLES and services.postgres:
                preparation_of(services, layout, lambda: False, _note).migrate(always=False)
            yield
    except SupervisorError as error:
        sys.exit(str(error))


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, by an exception.

    What is set otherwise, as by nohup, stays.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP)
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, _: FrameType | None) -> None:
    """With the status that a shell gives to a program that ended by a signal."""
    sys.exit(128 + number)


def _note(line: str) -> None:
    sys.stderr.write(f"{line} ...\n")
