"""The servers for a single `manage.py` command, when `make run` is not there to have them up."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

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

    What runs already is used and left running; what was started for the command stops after it.
    """
    command = arguments[1] if len(arguments) > 1 else "help"
    if command in WITHOUT_SERVERS or command.startswith("-") or "--help" in arguments:
        yield
        return
    layout = Layout(env.state_dir())
    services = embedded_services(layout)
    try:
        with in_use(services, layout):
            if command not in WITHOUT_TABLES and services.postgres:
                preparation_of(services, layout, lambda: False, _note).migrate(always=False)
            yield
    except SupervisorError as error:
        sys.exit(str(error))


def _note(line: str) -> None:
    sys.stderr.write(f"{line} ...\n")
