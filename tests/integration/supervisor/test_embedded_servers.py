"""Postgres and Valkey really started, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from inspection.supervisor import processes
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout, embedded_database_url
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.services import Services, in_use
from inspection.supervisor.valkey import Valkey

pytestmark = pytest.mark.integration


@pytest.fixture
def layout():
    # Not tmp_path: pytest keeps that below a 0700 directory, where root's Postgres can't go.
    base = Path(tempfile.mkdtemp(prefix="loupe servers "))
    base.chmod(0o755)
    made = Layout(base / "a state dir")
    home = Postgres(made).home
    yield made
    Services(Postgres(made), Valkey(made)).stop()
    for directory in (base, home, made.sockets):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres(layout):
    server = Postgres(layout, durable=False)
    server.start()
    return server


@pytest.fixture
def valkey(layout):
    server = Valkey(layout)
    server.start()
    return server


def rows(layout: Layout) -> list[int]:
    with psycopg.connect(embedded_database_url(layout.state)) as connection:
        return [value for (value,) in connection.execute("SELECT n FROM t ORDER BY n")]


def commit(layout: Layout, statement: str) -> None:
    with psycopg.connect(embedded_database_url(layout.state)) as connection:
        connection.execute(statement)


def test_committed_rows_survive_a_stop_and_a_kill(layout, postgres):
    commit(layout, "CREATE TABLE t AS SELECT 1 AS n")
    postgres.stop()
    assert not postgres.healthy()
    postgres.start()
    commit(layout, "INSERT INTO t VALUES (2)")
    os.kill(postgres.pid(), signal.SIGKILL)
    postgres.start()
    assert rows(layout) == [1, 2]


def test_a_running_postgres_is_reused(postgres):
    before = postgres.pid()
    Postgres(postgres.layout).start()
    assert postgres.pid() == before


def test_a_pid_file_that_names_another_program_does_not_keep_postgres_down(postgres):
    pid_file = postgres.data / "postmaster.pid"
    left = pid_file.read_text().splitlines()
    postgres.stop()
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        # As after a reboot: the id in the file now belongs to somebody else.
        pid_file.write_text("\n".join([str(bystander.pid), *left[1:]]) + "\n")
        postgres.start()
        assert postgres.healthy()
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_a_killed_postgres_that_nobody_reaps_does_not_keep_the_next_one_down(postgres):
    pid_file = postgres.data / "postmaster.pid"
    left = pid_file.read_text().splitlines()
    postgres.stop()
    # In a container without an init process the dead server stays a zombie.
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    try:
        assert processes.wait_until(lambda: processes.describe(zombie.pid).zombie, 10)
        pid_file.write_text("\n".join([str(zombie.pid), *left[1:]]) + "\n")
        postgres.start()
        assert postgres.healthy()
    finally:
        zombie.wait()


def test_a_postgres_whose_socket_was_cleaned_away_comes_back(layout, postgres):
    commit(layout, "CREATE TABLE t AS SELECT 1 AS n")
    shutil.rmtree(layout.sockets)
    postgres.start()
    assert rows(layout) == [1]


def test_a_first_start_that_was_cut_short_is_made_again(layout):
    server = Postgres(layout, durable=False)
    server.user.own(server.home)
    (server.data / "base").mkdir(parents=True)
    server.start()
    assert server.healthy()


def test_data_of_another_major_version_is_refused_with_what_to_do(postgres):
    postgres.stop()
    version = postgres.data / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(SupervisorError, match=r"PostgreSQL 16.*pg_dump"):
        postgres.start()
    version.write_text("18\n")


def test_nobody_else_can_reach_the_sockets(layout, postgres, valkey):
    assert postgres.sockets.stat().st_mode & 0o077 == 0
    assert valkey.socket.parent.stat().st_mode & 0o077 == 0


def test_a_socket_directory_that_somebody_else_made_is_refused(layout):
    layout.sockets.symlink_to("/")
    try:
        with pytest.raises(SupervisorError, match="belongs to somebody else"):
            Valkey(layout).start()
    finally:
        layout.sockets.unlink()


def test_messages_survive_a_killed_broker(valkey):
    queue(valkey).rpush("intake", "photo")
    # The append-only file is synced every second; waiting for it is what a message does too.
    queue(valkey).waitaof(1, 0, 5000)
    pid = valkey.pid()
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(pid), 5)
    valkey.start()
    assert queue(valkey).lrange("intake", 0, -1) == [b"photo"]


def test_a_running_broker_is_reused_and_stops_when_told(valkey):
    before = valkey.pid()
    valkey.start()
    assert valkey.pid() == before
    valkey.stop()
    assert not processes.alive(before)
    valkey.stop()


def test_a_broker_whose_socket_was_cleaned_away_comes_back(valkey):
    queue(valkey).rpush("intake", "photo")
    valkey.socket.unlink()
    valkey.start()
    assert queue(valkey).llen("intake") == 1


def queue(valkey: Valkey) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(valkey.socket))


def test_servers_stop_with_their_last_user_only(layout):
    services = Services(Postgres(layout, durable=False), Valkey(layout))
    with in_use(services, layout):
        with in_use(services, layout):
            assert services.postgres.healthy()
        assert services.postgres.healthy()
        assert services.valkey.healthy()
    assert not services.postgres.healthy()
    assert not services.valkey.healthy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a 0700 home that Postgres can't enter")
def test_root_can_keep_the_project_below_a_closed_directory(layout):
    layout.state.parent.chmod(0o700)
    server = Postgres(layout, durable=False)
    try:
        server.start()
        assert server.healthy()
        assert layout.state.parent.stat().st_mode & 0o777 == 0o700
        assert not server.home.is_relative_to(layout.state)
    finally:
        server.stop()
        shutil.rmtree(server.home)
