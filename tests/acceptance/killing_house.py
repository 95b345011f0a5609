"""A whole installation for one test module: Postgres, Valkey, workers and sweeper as processes of
their own, a receiver of webhooks, and the test's own ORM pointed at that database."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from django.db import DatabaseError, connections
from django.test import override_settings

from inspection.environment import PROJECT_ROOT
from inspection.supervisor import processes
from inspection.supervisor.children import worker
from inspection.supervisor.layout import (
    Layout,
    django_database,
    embedded_broker_url,
    embedded_database_url,
)
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.services import Services, in_use
from inspection.supervisor.testing import PREFIX
from inspection.supervisor.valkey import Valkey

ENGINES = ("VLM", "SAM", "SLM", "MLM", "LLM")
QUEUES = ("intake", "vision", "language", "actions")
LEASE_SECONDS = 2
PATIENCE = 300.0


@dataclass
class Receiver:
    """A webhook receiver that counts how often each event arrived."""

    events: Counter[str] = field(default_factory=Counter)
    tickets: dict[str, set[str]] = field(default_factory=dict)
    server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> str:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.headers["webhook-id"], json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                """Keep the test's output to itself."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def take(self, event: str, body: dict) -> None:
        self.events[event] += 1
        ticket = json.dumps(body, sort_keys=True)
        self.tickets.setdefault(event, set()).add(ticket)

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()


@dataclass
class House:
    """One installation in a state directory of its own."""

    state: Path
    layout: Layout
    postgres: Postgres
    valkey: Valkey
    receiver: Receiver
    hook: str = ""
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def hold(self) -> Path:
        return self.state / "hold"

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("DATABASE_URL", "CELERY_BROKER_URL", "LOUPE_STORAGE_URL")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        paths = [str(PROJECT_ROOT), str(Path(__file__).parent)]
        return {
            **kept,
            **{f"LOUPE_{kind}": "memory:" for kind in ENGINES},
            "LOUPE_LAM": "embedded:",
            "DJANGO_SETTINGS_MODULE": "inspection.settings",
            "PYTHONPATH": os.pathsep.join(paths),
            "LOUPE_STATE": str(self.state),
            "LOUPE_LEASE_SECONDS": str(LEASE_SECONDS),
            "LOUPE_ALLOW_INSIDE_HOSTS": "127.0.0.1",
            "LOUPE_TEST_HOLD": str(self.hold),
        }

    def call(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "django", *words],
            cwd=PROJECT_ROOT,
            env=self.environment,
            check=True,
            timeout=300,
            stdout=subprocess.DEVNULL,
        )

    def start_worker(self, name: str = "worker") -> None:
        words = list(worker(name, QUEUES).arguments)
        words[words.index("inspection.celery")] = "paced_worker"
        self._start(name, words)

    def start_sweeper(self) -> None:
        self._start("sweeper", ["-m", "django", "sweeper", "--every", "0.5"])

    def _start(self, name: str, words: list[str]) -> None:
        with (self.state / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *words],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_program(self, name: str) -> None:
        """kill -9 a program with all its processes."""
        process = self.running.pop(name)
        processes.signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def stop_next(self, point: str) -> None:
        """Let the next step stand still at this point."""
        (self.hold / point).touch()

    def held(self, point: str) -> int:
        """Wait until a step stands still there; the worker process it is in."""
        marker = self.hold / f"{point}.held"
        assert self.wait_for(marker.exists), f"no worker came to {point}: {self.told()}"
        return int(marker.read_text())

    def told(self) -> str:
        """The ends of the logs, for a test that fails."""
        logs = sorted(self.state.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-3000:]}" for log in logs)

    @staticmethod
    def wait_for(condition, seconds: float = PATIENCE) -> bool:
        """Poll, also while the database is away."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except DatabaseError:
                connections["default"].close()
            time.sleep(0.1)
        return False

    def close(self) -> None:
        for name in list(self.running):
            self.kill_program(name)
        self.receiver.stop()


@contextlib.contextmanager
def open_house(unblock):
    """Start everything; inside the block the ORM of this process speaks to that database."""
    state = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-kills-")).resolve()
    state.chmod(0o711)
    layout = Layout(state)
    house = House(state, layout, Postgres(layout), Valkey(layout), Receiver())
    house.hold.mkdir()
    house.hook = house.receiver.start()
    with in_use(Services(house.postgres, house.valkey), layout), unblock, _orm_of(state):
        try:
            house.call("migrate", "--verbosity=0")
            yield house
        finally:
            connections["default"].close()
            house.close()


@contextlib.contextmanager
def _orm_of(state: Path):
    """Point the default connection and the storage of this process at the house's."""
    before = connections.settings["default"]
    connections["default"].close()
    entry = before | django_database(embedded_database_url(state)) | {"CONN_MAX_AGE": None}
    entry["OPTIONS"] = {k: v for k, v in entry["OPTIONS"].items() if k != "pool"}
    connections.settings["default"] = entry
    del connections["default"]
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(state / "photos"), "allow_overwrite": True},
    }
    from django.conf import settings

    from inspection.celery import app

    broker = app.conf.broker_url
    app.conf.broker_url = embedded_broker_url(state)
    try:
        with override_settings(STORAGES=settings.STORAGES | {"default": storage}):
            yield
    finally:
        app.conf.broker_url = broker
        connections["default"].close()
        connections.settings["default"] = before
        del connections["default"]
