"""What a larger photo costs, by step, and what it saves to look at a photo once."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from inspection.demo.plans import demo_plans
from models_runtime.cli.taking import take
from models_runtime.contracts import PhotoPixels
from models_runtime.inspector import extract_photo, photo_embedding, segment_findings
from models_runtime.runtime import Runtime
from tests.benchmarks.photos import PLAN, draw_photos

SIDES = (400, 800, 1200, 2000, 3000, 4000)
STEPS = ("decode", "extract", "segment")
T = TypeVar("T")


def measure(folder: Path, photos: int, sides: tuple[int, ...] = SIDES) -> dict[str, Any]:
    """Milliseconds of each step by side, and of choosing a plan with and without sharing."""
    for side in sides:
        draw_photos(folder / str(side), photos, side)
    command = [sys.executable, "-m", __name__, *(str(folder / str(side)) for side in sides)]
    environment = os.environ | {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(" ")
        result[name] = [float(word) for word in rest.split()]
    sharing = dict(zip(("once_ms", "twice_ms"), result.pop("sharing"), strict=True))
    sharing["once_to_twice"] = round(sharing["once_ms"] / sharing["twice_ms"], 3)
    by_side = {
        side: dict(zip((f"{step}_ms" for step in STEPS), result[side], strict=True))
        for side in result
    }
    return {"photos": photos, "by_side": by_side, "choosing_a_plan_and_answering_it": sharing}


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    value = call()
    return (time.perf_counter() - began) * 1000, value


def steps(runtime: Runtime, path: Path) -> tuple[float, ...]:
    """Milliseconds of decoding (with all of intake's measuring), extracting and segmenting."""
    plan = demo_plans()[PLAN]
    decode_ms, taken = _timed(lambda: take(path))
    photo = taken.decoded.photo
    extract_ms, done = _timed(lambda: extract_photo(runtime, photo, plan))
    segment_ms, _ = _timed(lambda: segment_findings(runtime, photo, done.value.defects, plan))
    return decode_ms, extract_ms, segment_ms


def once_and_twice(runtime: Runtime, photo: PhotoPixels) -> tuple[float, float]:
    """Milliseconds of choosing a plan by the photo and answering it: on one pass of the networks,
    and on two, as if another worker had chosen the plan."""
    plan = demo_plans()[PLAN]

    def both(first: PhotoPixels, second: PhotoPixels) -> None:
        photo_embedding(runtime, first)
        extract_photo(runtime, second, plan)

    mine, other, third = (replace(photo, pixels=photo.pixels.copy()) for _ in range(3))
    return _timed(lambda: both(mine, mine))[0], _timed(lambda: both(other, third))[0]


def main() -> None:
    runtime = Runtime.from_environment({})
    for folder in map(Path, sys.argv[1:]):
        files = sorted(folder.iterdir())
        steps(runtime, files[0])
        columns = zip(*(steps(runtime, path) for path in files), strict=True)
        medians = (f"{statistics.median(column):.1f}" for column in columns)
        sys.stdout.write(f"{folder.name} {' '.join(medians)}\n")
    files = sorted(Path(sys.argv[1]).iterdir())
    pairs = [once_and_twice(runtime, take(path).decoded.photo) for path in files]
    medians = (f"{statistics.median(column):.1f}" for column in zip(*pairs, strict=True))
    sys.stdout.write(f"sharing {' '.join(medians)}\n")


if __name__ == "__main__":
    main()
