"""What a figure on record was measured on: the commit and the processor."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path


def commit() -> str:
    """The commit the code is at; empty outside a git checkout."""
    command = ("git", "rev-parse", "--short", "HEAD")
    where = Path(__file__).parent
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=where)
    return done.stdout.strip()


def processor() -> str:
    """Core count and the processor's own name, or the architecture where it tells none."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{len(names) or 1} x {name}"
