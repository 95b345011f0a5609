"""The whole application as its user starts it: times to ready and to a verdict, throughput."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from inspection.demo.samples import SAMPLES
from tests.benchmarks.machine import PROJECT, programs_of, resident_mb
from tests.benchmarks.photos import PLAN

PATIENCE_S = 600
PASSWORD = "loupe-demo"
ENDED = {"decided", "review", "failed"}


def measure(batches: dict[str, list[Path]], state: Path, rounds: int) -> dict[str, Any]:
    """Start twice on one state directory: the first makes the demo, the second is measured.

    ``batches``: name to photos; each name is a key of the result, photos a second.
    """
    port = free_port()
    with started(state, port) as (client, first_start, began):
        until(lambda: _ended_of_latest(client) >= 1, "a first verdict")
        first_verdict = time.monotonic() - began
        wait_for_samples(client)
    with started(state, port) as (client, second_start, _):
        rates = {name: _rate(client, files, rounds) for name, files in batches.items()}
        memory = _web_memory_mb(state)
    return {
        **rates,
        "web_process_mb": round(memory, 1),
        "first_start_s": round(first_start, 1),
        "second_start_s": round(second_start, 1),
        "first_verdict_s": round(first_verdict, 1),
    }


def _rate(client: httpx.Client, files: list[Path], rounds: int) -> float:
    inspect(client, files[:4])
    return round(statistics.median(inspect(client, files) for _ in range(rounds)), 2)


@contextlib.contextmanager
def started(
    state: Path, port: int, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[httpx.Client, float, float]]:
    """Run the application; yields a signed-in client, seconds to ready, and when it was begun."""
    environment = os.environ | {"LOUPE_STATE": str(state), "LOUPE_PORT": str(port)}
    environment |= settings or {}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "OMP_NUM_THREADS"):
        environment.pop(name, None)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "inspection.supervisor"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=60, follow_redirects=True) as client:
            until(lambda: _answers(client), "the web process")
            ready = time.monotonic() - began
            _sign_in(client)
            yield client, ready, began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/healthz").status_code == 200
    return False


def _sign_in(client: httpx.Client) -> None:
    client.get("/sign-in/")
    form = {"username": "manager", "password": PASSWORD}
    answer = client.post("/sign-in/", data=form | {"csrfmiddlewaretoken": _token(client)})
    answer.raise_for_status()


def _token(client: httpx.Client) -> str:
    return client.cookies["csrftoken"]


def inspect(client: httpx.Client, files: list[Path]) -> float:
    """Send photos as units of their own, wait for all verdicts; photos a second.

    Asks seldom, and for the last one first: the asking should not be what is measured.
    """
    began = time.monotonic()
    wait_for(client, [send(client, path) for path in files])
    return len(files) / (time.monotonic() - began)


def wait_for(client: httpx.Client, units: list[str]) -> None:
    """Until all that was sent has come to an end, these units last."""
    until(lambda: _has_ended(client, units[-1]), "the last verdict", pause=0.3)
    until(lambda: _unfinished(client) == 0, "the verdicts", pause=0.3)


def wait_for_samples(client: httpx.Client) -> None:
    """Until the demo's photos have their verdicts."""
    until(lambda: _ended_of_latest(client) >= len(SAMPLES), "the verdicts on the samples")


def _unfinished(client: httpx.Client) -> int:
    pages = [
        client.get("/api/v1/inspections", params={"status": status}).json()
        for status in ("received", "running")
    ]
    return sum(len(page["items"]) for page in pages)


def send(client: httpx.Client, path: Path) -> str:
    """Send a photo as a unit that was not here before: else it is compared with its earlier photo,
    which the bare models don't do either. Its id."""
    answer = client.post(
        "/api/v1/inspections",
        data={"plan": PLAN, "reference": f"{path.stem} {uuid4().hex[:8]}", "wants_report": "true"},
        files={"photos": (path.name, path.read_bytes(), "image/jpeg")},
        headers={"X-CSRFToken": _token(client), "Referer": str(client.base_url)},
    )
    answer.raise_for_status()
    unit: str = answer.json()["id"]
    return unit


def _has_ended(client: httpx.Client, unit: str) -> bool:
    return client.get(f"/api/v1/inspections/{unit}").json()["status"] in ENDED


def _ended_of_latest(client: httpx.Client) -> int:
    """How many of the latest inspections have come to an end."""
    rows = client.get("/api/v1/inspections").json()["items"]
    return sum(row["status"] in ENDED for row in rows)


def _web_memory_mb(state: Path) -> float:
    """Largest resident set among the web processes that belong to this state directory."""
    web = [pid for pid, name in programs_of(state).items() if name == "gunicorn"]
    return max((resident_mb(pid) for pid in web), default=0.0)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def until(ready: Any, what: str, pause: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(pause)
