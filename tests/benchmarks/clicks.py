"""What a reviewer waits for on the drawing page: clicks that become masks, over HTTP.

    python -m tests.benchmarks.clicks [PHOTO]

Starts the whole application on a state directory of its own and sends the photo (without one, a
drawn photo of 12 megapixels). Then as the page does it: the first click on a photo that nobody has
drawn on, again while the answer is 202; further clicks about the same thing; clicks elsewhere;
and, after the process that holds the model was killed, the first click once more.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from PIL import Image

from models_runtime.samples import draw_sample
from tests.benchmarks import application
from tests.benchmarks.machine import machine
from tests.benchmarks.photos import PLAN

FURTHER = 20
MEGAPIXELS_12 = (3000, 4000)


def measure(photo: Path, state: Path) -> dict[str, Any]:
    with application.started(state, application.free_port()) as (client, _, _):
        application.wait_for_samples(client)
        unit = _send(client, photo)
        application.wait_for(client, [unit])
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        client.headers["Referer"] = str(client.base_url)
        address, size = _drawing(client, unit)
        told: dict[str, Any] = {"photo": list(size)}
        cold = _click(client, address, [_at(size, 0.5, 0.5)])
        told["first_click_model_not_loaded_ms"], told["asked_times"] = cold
        told["further_clicks_ms"] = _further(client, address, size)
        told["clicks_elsewhere_ms"] = _elsewhere(client, address, size)
        again = _drawing(client, unit)[0]
        told["first_click_model_loaded_ms"] = _first_on_another(client, photo)
        os.kill(_clicks_process(state), signal.SIGKILL)
        told["first_click_after_kill_ms"], _ = _click(client, again, [_at(size, 0.5, 0.5)])
    return told


def _send(client: httpx.Client, photo: Path) -> str:
    answer = client.post(
        "/api/v1/inspections",
        data={"plan": PLAN, "reference": uuid4().hex[:8]},
        files={"photos": (photo.name, photo.read_bytes(), "image/jpeg")},
        headers={"X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)},
    )
    answer.raise_for_status()
    return str(answer.json()["id"])


def _drawing(client: httpx.Client, unit: str) -> tuple[str, tuple[int, int]]:
    """Address of the drawing page of a unit's first photo, and the photo's width and height."""
    (photo,) = client.get(f"/api/v1/inspections/{unit}").json()["photos"][:1]
    return f"/inspections/{unit}/photos/{photo['id']}/draw/", (photo["width"], photo["height"])


def _at(size: tuple[int, int], x: float, y: float) -> dict[str, Any]:
    return {"x": size[0] * x, "y": size[1] * y, "positive": True}


def _click(client: httpx.Client, address: str, points: list[dict[str, Any]]) -> tuple[float, int]:
    """Milliseconds to the masks, and how often the page had to ask."""
    begun, asked = time.perf_counter(), 0
    while True:
        asked += 1
        body = {"key": str(asked), "box": None, "points": points}
        answer = client.post(f"{address}sam/", json=body)
        if answer.status_code == 200:
            return round((time.perf_counter() - begun) * 1000, 1), asked
        if answer.status_code not in (202, 503) or asked > 120:
            raise SystemExit(f"{answer.status_code}: {answer.text[:300]}")
        time.sleep(0.2)


def _further(client: httpx.Client, address: str, size: tuple[int, int]) -> dict[str, float]:
    """One more click each time, near the first one."""
    taken, points = [], [_at(size, 0.5, 0.5)]
    for number in range(FURTHER):
        points = [*points[:6], _at(size, 0.5 + 0.001 * number, 0.5)]
        taken.append(_click(client, address, points)[0])
    return _summary(taken)


def _elsewhere(client: httpx.Client, address: str, size: tuple[int, int]) -> dict[str, float]:
    """Each click somewhere else, where nobody has looked closely."""
    places = [(0.1 + 0.08 * n, 0.2 + 0.06 * n) for n in range(10)]
    return _summary([_click(client, address, [_at(size, *place)])[0] for place in places])


def _first_on_another(client: httpx.Client, photo: Path) -> dict[str, float]:
    """First clicks on photos that were never looked at, by a process that has its model."""
    taken = []
    for _ in range(3):
        unit = _send(client, photo)
        application.wait_for(client, [unit])
        address, size = _drawing(client, unit)
        taken.append(_click(client, address, [_at(size, 0.5, 0.5)])[0])
    return _summary(taken)


def _summary(taken: list[float]) -> dict[str, float]:
    return {"median": statistics.median(taken), "max": max(taken), "n": len(taken)}


def _clicks_process(state: Path) -> int:
    noted = json.loads((state / "run" / "clicks.pid").read_text())
    return int(noted["pid"])


def _photo(folder: Path) -> Path:
    pixels, _ = draw_sample("solar", "dark", 7, MEGAPIXELS_12)
    path = folder / "cell.jpg"
    Image.fromarray(pixels).save(path, quality=92)
    return path


def main() -> int:
    on = machine()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        where = Path(folder)
        where.chmod(0o711)  # Postgres runs as another user where this one is root
        photo = Path(sys.argv[1]) if len(sys.argv) > 1 else _photo(where)
        told = measure(photo, where / "state")
    sys.stdout.write(json.dumps({"machine": on, **told}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
