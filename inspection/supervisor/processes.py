"""What the operating system knows about a process, and how to end a group of them.

Linux is read from /proc, because small images have no `ps`; macOS from `ps`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process as the system describes it. `started` tells it from a later one of the same id."""

    pid: int
    group: int
    started: str
    command: str
    zombie: bool


def describe(pid: int) -> Process | None:
    """Return the process with this id, or None where there is none. Zombies are returned."""
    if pid <= 0:
        return None
    if (PROC / "self" / "stat").exists():
        return _from_proc(pid)
    return next(_from_ps(["-p", str(pid)]), None)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and waits to be reaped does not."""
    process = describe(pid)
    return process is not None and not process.zombie


def group_members(group: int) -> list[Process]:
    """Return the running processes of a process group."""
    return [found for found in _everything() if found.group == group and not found.zombie]


def _everything() -> Iterator[Process]:
    if not (PROC / "self" / "stat").exists():
        yield from _from_ps(["-ax"])
        return
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (process := _from_proc(int(entry.name))):
            yield process


def _from_proc(pid: int) -> Process | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
        command = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold blanks and parentheses: fields count from the last one.
    name, fields = stat[stat.index("(") + 1 : stat.rindex(")")], stat.rpartition(")")[2].split()
    shown = command.replace(b"\0", b" ").decode(errors="replace").strip() or name
    return Process(pid, int(fields[2]), fields[19], shown, fields[0] == "Z")


def _from_ps(selection: list[str]) -> Iterator[Process]:
    columns = "pid=,pgid=,stat=,lstart=,command="
    found = subprocess.run(
        ["ps", *selection, "-ww", "-o", columns],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
    )
    for line in found.stdout.splitlines():
        pid, group, status, *rest = line.split(None, 8)
        started, command = " ".join(rest[:5]), " ".join(rest[5:])
        yield Process(int(pid), int(group), started, command, status.startswith("Z"))


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Poll until `condition` holds; False when it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def end_group(group: int, patience: float) -> bool:
    """End a process group: ask its leader with SIGTERM, insist with SIGKILL after `patience`
    seconds. Returns True where nothing had to be killed.
    """
    # Only the leader: a Celery worker lets its children finish, if they are not signalled.
    with contextlib.suppress(ProcessLookupError):
        os.kill(group, signal.SIGTERM)
    if wait_until(lambda: not group_members(group), patience, every=0.1):
        return True
    signal_group(group, signal.SIGKILL)
    wait_until(lambda: not group_members(group), 5)
    return False


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to every member of a group, if there is one."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
