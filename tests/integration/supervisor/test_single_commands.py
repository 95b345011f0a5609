"""`manage.py` without a running `make run`."""

from __future__ import annotations

import os
import shutil
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


def test_help_starts_no_server(layout):
    told = manage(layout, "inspect", "--help")
    assert "PHOTO" in told.stdout
    assert not layout.postgres.exists()
