"""What a figure was measured on, and what processes of this machine use."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAMS = ("gunicorn", "vision", "worker", "sweeper")
BUSY_FROM = 0.5
"""Mean number of other processes that want a core; from here on the machine counts as busy."""


def machine() -> dict[str, Any]:
    """Cores, versions, commit, and how busy others kept the machine before the measurement."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
    )
    load = round(os.getloadavg()[0], 2)
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "commit": told.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "load_before": load,
        "busy_with_other_work": load > BUSY_FROM,
    }


def resident_mb(pid: int | str = "self") -> float:
    """Memory of a process that is not swapped or shared out, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1000


def programs_of(state: Path) -> dict[int, str]:
    """{process: program} of the application that works in this state directory."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(state).encode() not in (folder / "environ").read_bytes():
                continue
            name = next((name for name in PROGRAMS if name in command), "")
            if name:
                found[int(folder.name)] = name
    return found


def cpu_seconds(state: Path) -> Counter[str]:
    """Seconds of processor time by program so far."""
    used: Counter[str] = Counter()
    for pid, name in programs_of(state).items():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[name] += (int(words[11]) + int(words[12])) / TICKS
    return used
