from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.supervisor.layout import (
    LONGEST_SOCKET_PATH,
    POSTGRES_SOCKET_NAME,
    Layout,
    django_database,
    embedded_broker_url,
    embedded_database_url,
)

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
STATE_DIRS = st.lists(NAMES, min_size=1, max_size=40).map(lambda parts: Path("/", *parts))


@given(STATE_DIRS)
def test_sockets_fit_however_long_the_state_directory_is(state):
    layout = Layout(state)
    for path in (layout.postgres_sockets / POSTGRES_SOCKET_NAME, layout.valkey_socket):
        assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH


@given(STATE_DIRS, STATE_DIRS)
def test_every_state_directory_has_sockets_of_its_own_and_finds_them_again(one, other):
    assert Layout(one).sockets == Layout(Path(str(one))).sockets
    same = one.resolve() == other.resolve()
    assert (Layout(one).sockets == Layout(other).sockets) == same


def test_a_link_to_the_state_directory_leads_to_the_same_sockets(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Layout(tmp_path / "link").sockets == Layout(tmp_path / "real").sockets


def test_sockets_of_two_users_are_apart(monkeypatch):
    mine = Layout(Path("/srv/loupe")).sockets
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert Layout(Path("/srv/loupe")).sockets != mine


def test_without_a_usable_tmp_the_runtime_directory_of_the_session_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setattr(os, "access", lambda base, mode: str(base) != "/tmp")
    assert Layout(tmp_path).sockets.parent == Path("/run/user/7")


def test_the_embedded_database_is_reached_over_its_socket():
    state = Path("/srv/a state dir")
    entry = django_database(embedded_database_url(state))
    assert entry["HOST"] == str(Layout(state).postgres_sockets)
    assert (entry["NAME"], entry["USER"], entry["OPTIONS"]) == ("loupe", "postgres", {})


def test_the_embedded_broker_is_reached_over_its_socket():
    state = Path("/srv/state")
    assert embedded_broker_url(state) == f"redis+socket://{Layout(state).valkey_socket}"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://u:p%40ss@db:6543/x", ("x", "u", "p@ss", "db", "6543", {})),
        ("postgres://u@db/x?sslmode=require", ("x", "u", "", "db", "", {"sslmode": "require"})),
    ],
)
def test_a_database_url_becomes_the_settings_of_django(url, wanted):
    entry = django_database(url)
    keys = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    assert tuple(entry[key] for key in keys) == wanted
