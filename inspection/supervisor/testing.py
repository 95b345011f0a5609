"""pytest plugin: a state directory and embedded servers for one test session.

Loaded early (`-p inspection.supervisor.testing`), because pytest-django reads the settings before
any conftest.py. Servers start when the first test asks for one (`postgres_server`,
`valkey_server`), so unit tests never wait for them. Under pytest-xdist the workers share the
controller's directory and servers, and pytest-django gives each worker a database of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspection.supervisor import postgres, processes
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.services import Services, in_use
from inspection.supervisor.valkey import Valkey

OWNER_VARIABLE = "LOUPE_TEST_SESSION"
PREFIX = "loupe-test-"


def _claim_state_dir() -> None:
    """Point LOUPE_STATE at a new directory, once per session; xdist workers inherit it."""
    if OWNER_VARIABLE in os.environ:
        return
    _remove_abandoned()
    state = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    Path(state).chmod(0o711)
    os.environ[OWNER_VARIABLE] = str(os.getpid())
    os.environ["LOUPE_STATE"] = str(Path(state).resolve())


def _remove_abandoned() -> None:
    """Stop the servers and remove the directories of sessions that were killed."""
    for state in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = state.name.removeprefix(PREFIX).partition("-")[0]
        # Another session may be removing its own at this moment.
        with contextlib.suppress(FileNotFoundError):
            mine = state.stat().st_uid == os.geteuid()
            if mine and pid.isdigit() and not processes.alive(int(pid)):
                _remove(Layout(state))


def _remove(layout: Layout) -> None:
    _services(layout).stop()
    database_home = Postgres(layout).home
    for directory in (database_home, layout.state, layout.sockets):
        shutil.rmtree(directory, ignore_errors=True)


def _services(layout: Layout) -> Services:
    return Services(Postgres(layout, durable=False), Valkey(layout))


_claim_state_dir()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove everything at the end of the session that made it."""
    if os.environ.get(OWNER_VARIABLE) == str(os.getpid()):
        _remove(_session_layout())


def _session_layout() -> Layout:
    return Layout(Path(os.environ["LOUPE_STATE"]))


@contextlib.contextmanager
def _shared(services: Services) -> Iterator[None]:
    with in_use(services, _session_layout()):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres | None]:
    """Have Postgres running; None where DATABASE_URL names a real one."""
    if os.environ.get("DATABASE_URL"):
        yield None
        return
    server = postgres.Postgres(_session_layout(), durable=False)
    with _shared(Services(server, None)):
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey | None]:
    """Have the broker running; None where CELERY_BROKER_URL names a real one."""
    if os.environ.get("CELERY_BROKER_URL"):
        yield None
        return
    server = Valkey(_session_layout())
    with _shared(Services(None, server)):
        yield server
