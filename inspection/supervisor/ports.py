"""Is the port free, and if not, who has it?"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from inspection.supervisor import processes
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.options import Address

NEIGHBOURS = 50
LISTENING = "0A"


def check_free(address: Address) -> None:
    """Raise SupervisorError where the port can't be listened on; it names who has it."""
    try:
        _listen(address.bind, address.port)
    except PermissionError as error:
        raise SupervisorError(
            f"Port {address.port} needs more rights than this user has. "
            f"Try LOUPE_PORT={free_neighbour(address)} make run"
        ) from error
    except OSError as error:
        if error.errno is None or "in use" not in str(error):
            raise SupervisorError(
                f"{address.bind} is not an address of this machine ({error.strerror}). "
                "Give LOUPE_BIND another one, for instance 127.0.0.1."
            ) from error
        raise SupervisorError(
            f"Port {address.port} is taken by {holder(address.port)}. Stop that program, or use "
            f"another port: LOUPE_PORT={free_neighbour(address)} make run"
        ) from error


def _listen(bind: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((bind, port))
        probe.listen(1)


def free_neighbour(address: Address) -> int:
    """Return a free port near the wanted one, above 1024."""
    first = max(address.port + 1, 1025)
    for port in range(first, min(first + NEIGHBOURS, 65536)):
        try:
            _listen(address.bind, port)
        except OSError:
            continue
        return port
    return 0


def holder(port: int) -> str:
    """Name the program that listens on a port as far as this user may know it."""
    pid = _pid_from_proc(port) or _pid_from_lsof(port)
    process = processes.describe(pid) if pid else None
    return f"process {pid} ({process.command[:80]})" if process else "another program"


def _pid_from_proc(port: int) -> int | None:
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not wanted:
        return None
    for link in processes.PROC.glob("[0-9]*/fd/*"):
        try:
            target = link.readlink()
        except OSError:
            continue
        if str(target) in wanted:
            return int(link.parts[2])
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        file = Path("/proc/net") / table
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _pid_from_lsof(port: int) -> int | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    asked = subprocess.run(
        [lsof, "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"], capture_output=True, text=True
    )
    first = asked.stdout.split()[:1]
    return int(first[0]) if first else None
