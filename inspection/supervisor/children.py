"""The programs under the supervisor: each in a process group and with a log file of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inspection.environment import PROJECT_ROOT
from inspection.supervisor import processes
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import WEB_THREADS, Address

LONGEST_LOG_BYTES = 20_000_000
LONGEST_PAUSE = 30.0
SETTLED_SECONDS = 60.0
COMMANDS = PROJECT_ROOT / "inspection" / "management" / "commands"


@dataclass(frozen=True)
class Program:
    """What to run. Always by `python -m`: console scripts break on blanks in a path."""

    name: str
    arguments: tuple[str, ...]


def web(address: Address) -> Program:
    """Return the web process: one, with threads, because its work is to wait for Postgres."""
    bind = f"[{address.bind}]" if ":" in address.bind else address.bind
    words = ["gunicorn", "inspection.wsgi:application", "--bind", f"{bind}:{address.port}"]
    words += ["--workers", "1", "--worker-class", "gthread", "--threads", str(WEB_THREADS)]
    words += ["--graceful-timeout", "8", "--no-control-socket", "--log-level", "warning"]
    return Program("web", ("-m", *words))


def background() -> list[Program]:
    """Return the workers and, where it is there, the sweeper."""
    programs = [worker("vision", ["vision"]), worker("worker", ["intake", "language", "actions"])]
    if has_command("serve_clicks"):
        programs.append(Program("clicks", ("-m", "django", "serve_clicks")))
    if has_command("sweeper"):
        programs.append(Program("sweeper", ("-m", "django", "sweeper")))
    return programs


def worker(name: str, queues: Sequence[str]) -> Program:
    """Return a Celery worker of one process for some queues."""
    words = ["celery", "-A", "inspection.celery", "worker", "-Q", ",".join(queues), "-c", "1"]
    words += ["-n", f"{name}@%h", "--without-gossip", "--without-mingle", "-l", "INFO"]
    return Program(name, ("-m", *words))


def has_command(name: str) -> bool:
    """Tell whether `manage.py` has a command of this name in this project."""
    return (COMMANDS / f"{name}.py").exists()


def child_environment() -> dict[str, str]:
    """Return the environment of every program that the supervisor starts."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "inspection.settings",
        "PYTHONUNBUFFERED": "1",
    }


@dataclass
class Child:
    """One running program, started again when it ends, with growing pauses."""

    program: Program
    layout: Layout
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    next_start: float = 0.0
    quick_ends: int = 0
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.layout.logs / f"{self.program.name}.log"

    def start(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program.arguments],
                cwd=PROJECT_ROOT,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        write_pid(self.layout, self.program, self.process.pid)

    def ended(self) -> int | None:
        """Return the exit code once the program has ended by itself, and plan its next start."""
        code = self.process.poll() if self.process else None
        if self.process is None or code is None:
            return None
        # Its own children may have outlived it.
        processes.signal_group(self.process.pid, signal.SIGKILL)
        settled = time.monotonic() - self.started_at > SETTLED_SECONDS
        self.quick_ends = 1 if settled else self.quick_ends + 1
        self.next_start = time.monotonic() + self.pause
        self.process = None
        return code

    @property
    def pause(self) -> float:
        """Return the seconds to wait before the next start: 1, 2, 4 … 30."""
        return min(LONGEST_PAUSE, 2.0 ** (self.quick_ends - 1))

    def due(self) -> bool:
        return self.process is None and time.monotonic() >= self.next_start

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Ask the program's first process only: it tells its own children what to do."""
        if self.process and self.running():
            self.process.terminate()

    def kill(self) -> None:
        """End what is left of the program's process group."""
        if self.process:
            processes.signal_group(self.process.pid, signal.SIGKILL)
            self.process.wait()
            forget_pid(self.layout, self.program.name)


def write_pid(layout: Layout, program: Program, pid: int) -> None:
    """Note a child so that the next supervisor finds it should this one be killed."""
    process = processes.describe(pid)
    noted = {
        "pid": pid,
        "started": process.started if process else "",
        "command": " ".join(program.arguments),
    }
    (layout.run / f"{program.name}.pid").write_text(json.dumps(noted))


def forget_pid(layout: Layout, name: str) -> None:
    (layout.run / f"{name}.pid").unlink(missing_ok=True)


def end_leftovers(layout: Layout, patience: float) -> list[str]:
    """End the children of a supervisor that was killed; returns their names."""
    ended = []
    for file in sorted(layout.run.glob("*.pid")):
        group = _leftover_group(file)
        if group is not None:
            ended.append(file.stem)
            processes.end_group(group, patience)
        file.unlink(missing_ok=True)
    return ended


def _leftover_group(file: Path) -> int | None:
    """Return the process group that a pid file speaks of, if it is still that one."""
    try:
        noted = json.loads(file.read_text())
        pid, started, command = int(noted["pid"]), str(noted["started"]), str(noted["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    leader = processes.describe(pid)
    if leader is not None and leader.started != started:
        return None
    # An id is not given out again while a group of that id has members, so these are ours even
    # where their leader is gone; the command is compared in case all of this is long past.
    ours = [member for member in processes.group_members(pid) if command in member.command]
    return pid if ours else None
