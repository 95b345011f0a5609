"""A real server process with our engines, on a free port of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PROJECT_ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 300.0
"""Seconds: loading torch takes long beside other work."""


@dataclass
class Running:
    """A server, its address, and a client that waits patiently."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.http.get(self.url + path, **options)  # type: ignore[arg-type]

    def post(self, path: str, **options: object) -> httpx.Response:
        return self.http.post(self.url + path, **options)  # type: ignore[arg-type]

    def stop(self) -> int:
        """Ask it to end, and wait for that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(folder: Path, *arguments: str, program: list[str] | None = None, **env: str) -> Running:
    """Start a server without waiting for it."""
    port, log = free_port(), folder / "serve.log"
    command = program or [sys.executable, "manage.py", "serve_models"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port), *arguments],
            cwd=PROJECT_ROOT,
            env={**os.environ, "LOUPE_THREADS": "1", **env},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Running(process, port, log)


@contextmanager
def serving(
    folder: Path, *arguments: str, program: list[str] | None = None, **env: str
) -> Iterator[Running]:
    """A server that answers, stopped afterwards."""
    server = start(folder, *arguments, program=program, **env)
    try:
        wait_until_well(server)
        yield server
    finally:
        server.http.close()
        if server.process.poll() is None:
            server.stop()


def wait_until_well(server: Running) -> None:
    last = time.monotonic() + PATIENCE
    while time.monotonic() < last:
        assert server.process.poll() is None, server.log.read_text()
        try:
            if server.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"it never got well: {server.log.read_text()}")
