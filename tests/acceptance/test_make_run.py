"""What `make run` starts, really started: twice, killed, on awkward paths, and stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inspection.environment import PROJECT_ROOT
from inspection.supervisor import processes
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.service_user import ServiceUser

pytestmark = pytest.mark.acceptance

READY_SECONDS = 600
STOP_SECONDS = 120
LINUX_ONLY = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


@dataclass
class Loupe:
    """One supervisor on one state directory, started the way `make run` starts it."""

    state: Path
    port: int
    project: Path = PROJECT_ROOT
    identity: dict[str, object] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def output(self) -> Path:
        return self.state.parent / "console.txt"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
        }
        environment |= {
            "LOUPE_STATE": str(self.state),
            "LOUPE_PORT": str(self.port),
            "LOUPE_DEMO": "no",
            "LOUPE_STOP_SECONDS": "10",
        }
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inspection.supervisor"],
                cwd=self.project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **self.identity,
            )

    def wait_until_ready(self) -> None:
        settled = processes.wait_until(
            lambda: "is ready after" in self.said() or self.process.poll() is not None,
            READY_SECONDS,
            every=0.2,
        )
        assert settled, self.said()
        assert self.process.poll() is None, self.said()

    def wait_until_ended(self) -> int:
        return self.process.wait(timeout=STOP_SECONDS)

    def said(self) -> str:
        return self.output.read_text()

    def health(self) -> int:
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=30) as answer:
            return answer.status

    def survivors(self) -> list[str]:
        """Return the commands of all processes that belong to this state directory."""
        home = Postgres(Layout(self.state)).home
        marks = [os.fsencode(str(path)) for path in (self.state, home)]
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if any(mark in told for mark in marks) and entry.name != str(os.getpid()):
                    found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def base():
    with short_lived_directory() as made:
        yield made


@contextlib.contextmanager
def short_lived_directory():
    # Not tmp_path: pytest keeps that below a 0700 directory, where root's Postgres can't go.
    made = Path(tempfile.mkdtemp(prefix="loupe-run-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def used_state():
    """One state directory for all tests that don't need a first start: making one takes longest."""
    with short_lived_directory() as made:
        yield made / "state"
        remove(Layout(made / "state"))


@pytest.fixture
def loupe(used_state):
    started = Loupe(used_state, free_port())
    yield started
    stop(started)


@pytest.fixture
def new_loupe(base):
    started = Loupe(base / "state", free_port())
    yield started
    stop(started)
    remove(Layout(started.state))


def stop(started: Loupe) -> None:
    if started.process and started.process.poll() is None:
        started.process.terminate()
        started.process.wait(timeout=STOP_SECONDS)


def remove(layout: Layout) -> None:
    """Remove what lies outside the state directory."""
    shutil.rmtree(Postgres(layout).home, ignore_errors=True)
    shutil.rmtree(layout.sockets, ignore_errors=True)


def workers_ready(loupe: Loupe) -> bool:
    return all(f"{name}@" in line_of(loupe, name) for name in ("vision", "worker"))


def line_of(loupe: Loupe, name: str) -> str:
    log = loupe.state / "logs" / f"{name}.log"
    ready = [line for line in log.read_text().splitlines() if line.endswith(" ready.")]
    return ready[-1] if ready else ""


@LINUX_ONLY
def test_a_first_start_serves_pages_and_ctrl_c_leaves_nothing_behind(new_loupe):
    new_loupe.start()
    new_loupe.wait_until_ready()
    assert new_loupe.health() == 200
    assert new_loupe.url in new_loupe.said()
    assert processes.wait_until(lambda: workers_ready(new_loupe), 60, every=0.2), new_loupe.said()
    assert len(new_loupe.survivors()) >= 5
    new_loupe.process.send_signal(signal.SIGINT)
    assert new_loupe.wait_until_ended() == 0, new_loupe.said()
    assert new_loupe.survivors() == []
    assert "Traceback" not in new_loupe.said()


def test_a_second_start_says_where_the_first_one_is(base, loupe):
    loupe.start()
    loupe.wait_until_ready()
    (base / "second").mkdir()
    again = Loupe(base / "second" / "state", free_port())
    again.state.symlink_to(loupe.state)
    again.start()
    assert again.wait_until_ended() == 1
    assert f"runs already: {loupe.url}" in again.said()
    assert loupe.health() == 200


def test_a_taken_port_is_named_together_with_its_holder_and_a_free_one(loupe):
    with socket.create_server(("127.0.0.1", loupe.port)):
        loupe.start()
        assert loupe.wait_until_ended() == 1
    said = loupe.said()
    assert f"Port {loupe.port} is taken by" in said
    assert "LOUPE_PORT=" in said
    if sys.platform == "linux":
        assert f"process {os.getpid()}" in said


def test_a_state_directory_that_can_t_be_written_is_named(base):
    in_the_way = base / "file"
    in_the_way.write_text("")
    loupe = Loupe(base / "state", free_port())
    loupe.state.symlink_to(in_the_way / "state")
    loupe.start()
    assert loupe.wait_until_ended() == 1
    assert "can't be written" in loupe.said()
    assert "LOUPE_STATE" in loupe.said()


@LINUX_ONLY
def test_after_kill_9_the_next_start_takes_over(loupe):
    loupe.start()
    loupe.wait_until_ready()
    left_over = processes.describe(int(noted_pid(loupe, "web")))
    loupe.process.kill()
    loupe.process.wait()
    assert loupe.survivors(), "the children should have outlived their supervisor"
    loupe.start()
    loupe.wait_until_ready()
    assert "left over from a start that was killed" in loupe.said()
    assert not processes.alive(left_over.pid)
    assert loupe.health() == 200
    loupe.process.terminate()
    assert loupe.wait_until_ended() == 0
    assert loupe.survivors() == []


@LINUX_ONLY
def test_after_everything_was_killed_at_once_the_next_start_works(loupe):
    loupe.start()
    loupe.wait_until_ready()
    for _ in range(2):
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if os.fsencode(str(loupe.state)) in told and entry.name != str(os.getpid()):
                    os.kill(int(entry.name), signal.SIGKILL)
    loupe.process.wait()
    loupe.start()
    loupe.wait_until_ready()
    assert loupe.health() == 200


def test_a_worker_and_a_broker_that_die_are_started_again(loupe):
    loupe.start()
    loupe.wait_until_ready()
    before = noted_pid(loupe, "vision")
    os.kill(int(before), signal.SIGKILL)
    broker = int((loupe.state / "valkey" / "server.pid").read_text())
    os.kill(broker, signal.SIGKILL)
    assert processes.wait_until(lambda: noted_pid(loupe, "vision") != before, 30), loupe.said()
    assert processes.wait_until(
        lambda: (
            "valkey │ does not answer" in loupe.said()
            and int((loupe.state / "valkey" / "server.pid").read_text()) != broker
        ),
        30,
    ), loupe.said()
    assert loupe.health() == 200


def noted_pid(loupe: Loupe, name: str) -> str:
    return (loupe.state / "run" / f"{name}.pid").read_text().split(",")[0].rpartition(" ")[2]


@LINUX_ONLY
def test_a_second_ctrl_c_does_not_wait_for_the_workers(loupe):
    loupe.start()
    loupe.wait_until_ready()
    # A stopped process can't end by itself: without the second signal this takes ten seconds.
    os.kill(int(noted_pid(loupe, "worker")), signal.SIGSTOP)
    loupe.process.send_signal(signal.SIGINT)
    assert processes.wait_until(lambda: "stopping" in loupe.said(), 10)
    loupe.process.send_signal(signal.SIGINT)
    assert loupe.wait_until_ended() == 0
    assert loupe.survivors() == []


def copy_of_project(target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("inspection", "templates", "static"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT_ROOT / name, target / name, ignore=ignored)
    (target / "models_runtime").symlink_to(PROJECT_ROOT / "models_runtime")


def test_a_long_path_with_blanks_and_umlauts_works(base):
    project = base / "Meine Prüfungen (neu)" / ("very long name " * 8).strip() / ("x" * 90)
    copy_of_project(project)
    loupe = Loupe(project / "var" / "state", free_port(), project)
    assert len(str(loupe.state)) > 250
    loupe.state.parent.mkdir(parents=True)
    try:
        loupe.start()
        loupe.wait_until_ready()
        assert loupe.health() == 200
    finally:
        stop(loupe)
        remove(Layout(loupe.state))


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as a normal user already")
def test_root_and_a_normal_user_can_both_run_it(base):
    normal = ServiceUser(65534, 65534)
    if not normal.can_run(Path(sys.executable)):
        pytest.skip(f"a normal user can't execute {sys.executable}")
    home = base / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    identity = {"user": 65534, "group": 65534, "extra_groups": []}
    loupe = Loupe(home / "state", free_port(), identity=identity)
    try:
        loupe.start()
        loupe.wait_until_ready()
        assert loupe.health() == 200
        assert loupe.state.stat().st_uid == 65534
    finally:
        loupe.process.terminate()
        assert loupe.wait_until_ended() == 0
