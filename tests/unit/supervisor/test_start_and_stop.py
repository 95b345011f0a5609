from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest

from inspection.supervisor import __main__ as entry
from inspection.supervisor import preparation as preparation_module
from inspection.supervisor import run, valkey
from inspection.supervisor.console import Console, LogTail
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import Address
from inspection.supervisor.preparation import Interrupted, Preparation
from inspection.supervisor.services import in_use, make_state_dir

ADDRESS = Address("127.0.0.1", 8000)


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "state")
    make_state_dir(made)
    return made


@pytest.mark.parametrize("version", [(2, 7), (3, 8), (3, 10)])
def test_an_old_python_is_told_what_is_needed(version):
    said = entry.complaint(version)
    assert "needs Python 3.11 or newer" in said
    assert ".".join(map(str, version)) in said


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (4, 0)])
def test_a_new_python_is_not_complained_about(version):
    assert entry.complaint(version) == ""


def test_a_wrong_setting_is_one_line_without_a_traceback():
    told = subprocess.run(
        [sys.executable, "-m", "inspection.supervisor"],
        env={"LOUPE_PORT": "eighty"},
        cwd=preparation_module.PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    wanted = "LOUPE_PORT='eighty' can't be used: write a whole number from 1 to 65535.\n"
    assert told.stderr == wanted


class Interruptible:
    """A server that Ctrl-C hits when it is up but its start is not over."""

    up = False

    def start(self):
        self.up = True
        raise KeyboardInterrupt

    def stop(self):
        self.up = False


def test_servers_that_were_being_started_when_it_was_interrupted_are_stopped(layout):
    services = Interruptible()
    with pytest.raises(KeyboardInterrupt), in_use(services, layout):
        pass
    assert not services.up


def test_only_one_supervisor_holds_a_state_directory(layout):
    second = run.only_one(layout, Address("127.0.0.1", 9000))
    said = r"runs already: http://127\.0\.0\.1:8000"
    with run.only_one(layout, ADDRESS), pytest.raises(SupervisorError, match=said), second:
        pass
    with run.only_one(layout, ADDRESS):
        pass


def test_the_first_signal_asks_and_the_second_insists():
    before = signal.getsignal(signal.SIGINT)
    stop = run.Stop()
    with stop.on_signals():
        signal.raise_signal(signal.SIGTERM)
        assert stop
        assert not stop.forced
        signal.raise_signal(signal.SIGINT)
        assert stop.forced
    assert signal.getsignal(signal.SIGINT) is before


def test_nohup_keeps_it_running_when_the_terminal_goes():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = run.Stop()
        with stop.on_signals():
            signal.raise_signal(signal.SIGHUP)
        assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_state_directory_below_a_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SupervisorError, match=r"can't be written.*LOUPE_STATE"):
        make_state_dir(Layout(tmp_path / "file" / "state"))


def test_a_program_without_a_page_does_not_count_as_an_answer():
    assert not run.answers(Address("127.0.0.1", 1))


def test_without_any_broker_program_the_message_names_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr(valkey, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SupervisorError, match=r"valkey-server.*CELERY_BROKER_URL"):
        valkey.program()


def test_a_broker_of_the_machine_is_taken_when_the_package_brings_none(monkeypatch, tmp_path):
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(valkey, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.program() == program


def test_a_real_server_in_the_environment_keeps_the_embedded_one_down(layout, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/x")
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    services = run.embedded_services(layout)
    assert services.postgres is None
    assert services.valkey is not None


@pytest.fixture
def commands(monkeypatch):
    """Notes which management commands would run, and runs none."""
    ran = []

    def note(self, *words):
        ran.append(words[0])
        return "operator / secret"

    monkeypatch.setattr(Preparation, "_django", note)
    monkeypatch.setattr(preparation_module, "has_command", lambda name: True)
    monkeypatch.delenv("LOUPE_DEMO", raising=False)
    return ran


@pytest.fixture
def preparation(layout):
    log_ins = layout.state / "log-ins.txt"
    return Preparation(layout.run / "notes.json", log_ins, lambda: False, lambda line: None)


def test_a_second_start_runs_no_management_command(commands, preparation):
    for _ in range(2):
        preparation.migrate(always=False)
        preparation.collect_static()
        preparation.demo()
    assert commands == ["migrate", "collectstatic", "demo"]


def test_a_new_migration_is_applied_at_the_next_start(commands, preparation, monkeypatch):
    preparation.migrate(always=False)
    monkeypatch.setattr(preparation_module, "migrations_fingerprint", lambda: "newer")
    assert preparation.migrate(always=False)


def test_a_real_database_is_always_brought_up_to_date(commands, preparation):
    assert preparation.migrate(always=True)
    assert preparation.migrate(always=True)


def test_log_ins_are_kept_for_this_user_only(commands, preparation):
    preparation.demo()
    assert preparation.log_ins.read_text() == "operator / secret"
    assert preparation.log_ins.stat().st_mode & 0o077 == 0


def test_no_demo_is_made_where_none_is_wanted(commands, preparation, monkeypatch):
    monkeypatch.setenv("LOUPE_DEMO", "no")
    assert not preparation.demo()
    assert commands == []


def test_how_to_make_the_first_site_is_told_until_there_is_one(preparation, monkeypatch):
    answers = ["a warning\nNo site yet. Make one: x\n", "Lid works\n"]
    monkeypatch.setattr(Preparation, "_django", lambda self, *words: answers.pop(0))
    assert preparation.first_site() == "No site yet. Make one: x"
    assert preparation.first_site() == ""
    assert preparation.first_site() == ""
    assert answers == []


def test_beside_the_demo_no_first_site_is_asked_for(commands, preparation):
    preparation.demo()
    assert preparation.first_site() == ""
    assert commands == ["demo"]


def test_a_failing_command_says_why(preparation):
    with pytest.raises(SupervisorError, match=r"no-such-command.*failed(.|\n)*Unknown command"):
        preparation._django("no-such-command")


def test_ctrl_c_ends_a_long_preparation(layout):
    stopping = Preparation(layout.run / "n", layout.run / "l", lambda: True, print)
    with pytest.raises(Interrupted):
        stopping._django("help")


def test_the_console_shows_what_matters_and_leaves_the_rest_in_the_log(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("ERROR before this start\n")
    tail = LogTail(log)
    with log.open("a") as stream:
        stream.write("[info] all well\n2026 [error    ] disk full\nERROR half a li")
    assert tail.news() == ["2026 [error    ] disk full"]
    with log.open("a") as stream:
        words = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        stream.write("ne\nvision@host ready.\n")
        stream.writelines(f"ERROR {word}{word}{word}\n" for word in words)
    news = tail.news()
    assert news[:2] == ["ERROR half a line", "vision@host ready."]
    assert len(news) == 13
    assert "more in" in news[-1]


def test_an_error_that_repeats_itself_is_shown_once(tmp_path):
    log = tmp_path / "worker.log"
    log.write_text("")
    tail = LogTail(log)
    log.write_text("12:00 ERROR task c8e1ab85-5d04 failed\n12:05 ERROR task a85c896d-dc90 failed\n")
    assert tail.news() == ["12:00 ERROR task c8e1ab85-5d04 failed"]


def test_lines_of_a_message_stay_together_under_their_program():
    stream = io.StringIO()
    Console(stream).say("one\ntwo", of="web")
    assert stream.getvalue() == "     web │ one\n         │ two\n"


def test_a_terminal_that_went_away_does_not_end_the_supervisor():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        console = Console(stream)
        console.say("anybody there?")
        console.say("still running")
