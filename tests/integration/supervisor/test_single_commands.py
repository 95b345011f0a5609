"""`manage.py` without a running `make run`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from inspection.environment import PROJECT_ROOT
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.services import Services, in_use
from inspection.supervisor.valkey import Valkey

pytestmark = pytest.mark.integration


@pytest.fixture
def layout():
    base = Path(tempfile.mkdtemp(prefix="loupe-command-"))
    base.chmod(0o755)
    made = Layout(base / "state")
    home = Postgres(made).home
    yield made
    for directory in (base, home, made.sockets):
        shutil.rmtree(directory, ignore_errors=True)


def manage(layout: Layout, *words: str) -> subprocess.CompletedProcess[str]:
    given = {"LOUPE_STATE": str(layout.state), "DATABASE_URL": "", "CELERY_BROKER_URL": ""}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT_ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
    )


COUNT_USERS = "from inspection.models import User; print('users:', User.objects.count())"


def test_a_command_brings_servers_and_tables_and_takes_only_what_it_brought_away(layout):
    postgres = Postgres(layout, durable=False)
    alone = manage(layout, "shell", "-v", "0", "-c", COUNT_USERS)
    assert alone.stdout == "users: 0\n", alone.stderr
    assert not postgres.healthy()
    with in_use(Services(postgres, Valkey(layout)), layout):
        beside = manage(layout, "shell", "-v", "0", "-c", COUNT_USERS)
        assert beside.stdout == "users: 0\n", beside.stderr
        assert postgres.healthy()


AT_WORK = """
import time
from inspection.supervisor.command_line import servers_for
with servers_for(["manage.py", "migrate"]):
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_leaves_no_server_behind(layout, number):
    given = {"LOUPE_STATE": str(layout.state), "DATABASE_URL": "", "CELERY_BROKER_URL": ""}
    with subprocess.Popen(
        [sys.executable, "-c", AT_WORK],
        cwd=PROJECT_ROOT,
        env=os.environ | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Tests that run in the background may ignore what is sent here, and children inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "at work\n"
        assert Postgres(layout).healthy()
        command.send_signal(number)
        assert command.wait(60) != 0
    assert not Postgres(layout).healthy()
    assert Valkey(layout).pid() is None


def test_help_starts_no_server(layout):
    told = manage(layout, "inspect", "--help")
    assert "PHOTO" in told.stdout
    assert not layout.postgres.exists()
