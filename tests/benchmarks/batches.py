"""What passes over several photos bring, and what they cost in time until the verdict.

Bare: processes that only run the models. Through the application: with one and two workers for
vision, under three kinds of load.

- *backlog*: all units wait for vision when its workers begin, as after a large upload;
- *stream*: units are sent as fast as the pages take them, and vision keeps up or does not;
- *alone*: one unit at a time, the next when the last has its verdict.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from inspection.supervisor.children import worker
from inspection.supervisor.layout import django_database, embedded_database_url
from tests.benchmarks import application as app
from tests.benchmarks.bare import Processes, Took
from tests.benchmarks.machine import PROJECT, cpu_seconds, programs_of

SIZES = (1, 2, 4, 8, 16)
PROCESSES = (1, 2)
ALONE = 8
"""Units that are sent one by one."""
REST_S = 3.0

VERDICTS = """
    SELECT extract(epoch FROM triage.finished_at - extract.queued_at) * 1000,
           extract(epoch FROM triage.finished_at), extract.run_ms
    FROM inspection_steprun AS extract
    JOIN inspection_steprun AS triage ON triage.run_id = extract.run_id AND triage.step = 'triage'
    JOIN inspection_run AS run ON run.id = extract.run_id
    WHERE extract.step = 'extract' AND run.inspection_id = ANY(%s) AND triage.status = 'done'
"""


@dataclass(frozen=True)
class World:
    """One installation that is running, and what sends photos to it."""

    state: Path
    client: httpx.Client
    files: list[Path]

    def rows(self, units: list[str]) -> list[tuple[float, float, float]]:
        """Of each unit with a verdict: milliseconds from being queued for the extractor to the
        verdict, when that was (seconds), and its share of the extractor's time (ms)."""
        entry = django_database(embedded_database_url(self.state))
        with psycopg.connect(host=entry["HOST"], dbname=entry["NAME"], user=entry["USER"]) as base:
            found = base.execute(VERDICTS, [units]).fetchall()
        return [(float(ms), float(at), float(run)) for ms, at, run in found]

    def waiting_for_vision(self) -> int:
        entry = django_database(embedded_database_url(self.state))
        with psycopg.connect(host=entry["HOST"], dbname=entry["NAME"], user=entry["USER"]) as base:
            told = base.execute(
                "SELECT count(*) FROM inspection_steprun WHERE step='extract' AND status='queued'"
            ).fetchone()
        return int(told[0]) if told else 0


def measure(folder: Path, files: list[Path], state: Path, rounds: int) -> dict[str, Any]:
    """Photos a second and milliseconds to the verdict, by processes and size of a pass."""
    result: dict[str, Any] = {"photos": len(files), "bare": bare(folder, len(files), rounds)}
    # The first start makes the demo; its samples are none of the measurement.
    with app.started(state, app.free_port()) as (client, _, _):
        app.wait_for_samples(client)
    result["app"] = {
        str(count): {str(size): _measured(state, files, count, size) for size in SIZES}
        for count in PROCESSES
    }
    return result


def bare(folder: Path, photos: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by processes and size; the sizes take turns, so that each meets the same machine."""
    result = {}
    for count in PROCESSES:
        processes = Processes(folder, count)
        taken: dict[int, list[Took]] = {size: [] for size in SIZES}
        for _ in range(rounds):
            for size in SIZES:
                taken[size].append(processes.inspect(size))
        processes.close()
        result[str(count)] = {str(size): _of(took, photos) for size, took in taken.items()}
    return result


def _of(took: list[Took], photos: int) -> dict[str, float]:
    clock = statistics.median(one.clock for one in took)
    processor = statistics.median(one.processor for one in took)
    return {
        "photos_per_s": round(photos / clock, 2),
        "cpu_ms_per_photo": round(1000 * processor / photos, 1),
    }


def _measured(state: Path, files: list[Path], processes: int, size: int) -> dict[str, Any]:
    with _running(state, files, processes, size) as world:
        app.inspect(world.client, files[: 2 * size])
        app.until(lambda: _at_rest(state), "workers whose models are loaded")
        return {
            "backlog": backlog(world),
            "stream": stream(world),
            "alone": alone(world),
        }


@contextlib.contextmanager
def _running(state: Path, files: list[Path], processes: int, size: int) -> Iterator[World]:
    """The application with so many workers for vision and passes of at most that size."""
    settings = {"LOUPE_BATCH": str(size), "LOUPE_THREADS": "1"}
    with contextlib.ExitStack() as stack:
        client, _, _ = stack.enter_context(app.started(state, app.free_port(), settings))
        for number in range(1, processes):
            stack.enter_context(_one_more_worker(state, f"vision{number}", settings))
        yield World(state, client, files)


@contextlib.contextmanager
def _one_more_worker(state: Path, name: str, settings: dict[str, str]) -> Iterator[None]:
    environment = os.environ | settings
    environment |= {"LOUPE_STATE": str(state), "DJANGO_SETTINGS_MODULE": "inspection.settings"}
    process = subprocess.Popen(
        [sys.executable, *worker(name, ["vision"]).arguments],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _at_rest(state: Path) -> bool:
    """Does vision use next to nothing? Then all its workers have started and loaded their models,
    which would be counted as work on photos otherwise."""
    before = cpu_seconds(state)["vision"]
    time.sleep(REST_S)
    return cpu_seconds(state)["vision"] - before < 0.05 * REST_S


def backlog(world: World) -> dict[str, float]:
    """Vision stands still until all photos wait for it."""
    with _standing_still(world.state):
        units = [app.send(world.client, path) for path in world.files]
        app.until(lambda: world.waiting_for_vision() >= len(units), "photos that wait for vision")
        before = cpu_seconds(world.state)
    began = time.time()
    app.wait_for(world.client, units)
    rows = world.rows(units)
    used = cpu_seconds(world.state) - before
    return {
        "photos_per_s": round(len(rows) / (max(at for _, at, _ in rows) - began), 2),
        "vision_cpu_ms_per_photo": round(1000 * used["vision"] / len(rows), 1),
        "extract_ms_per_photo": round(statistics.median(run for _, _, run in rows), 1),
    }


@contextlib.contextmanager
def _standing_still(state: Path) -> Iterator[None]:
    pids = [pid for pid, name in programs_of(state).items() if name == "vision"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def stream(world: World) -> dict[str, float]:
    """Photos come as fast as they can be sent."""
    began = time.time()
    units = [app.send(world.client, path) for path in world.files]
    app.wait_for(world.client, units)
    rows = world.rows(units)
    seconds = max(at for _, at, _ in rows) - began
    return {"photos_per_s": round(len(rows) / seconds, 2), **_spread([ms for ms, _, _ in rows])}


def alone(world: World) -> dict[str, float]:
    """Nothing else is to be done."""
    taken = []
    for path in world.files[:ALONE]:
        units = [app.send(world.client, path)]
        app.wait_for(world.client, units)
        taken += [ms for ms, _, _ in world.rows(units)]
    return _spread(taken)


def _spread(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 1),
    }
