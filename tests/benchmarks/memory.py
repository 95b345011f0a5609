"""Does it grow? Memory of one process while it inspects thousands of photos."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.bare import inspect_all
from tests.benchmarks.machine import resident_mb

BLOCK = 100
"""Photos between two looks at the memory."""
WARM_UP = 3
"""Blocks at the beginning that don't count: caches fill, the allocator finds its size."""
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
"""Student's t for a two-sided interval of 95 %, by degrees of freedom from 1; 2.0 beyond."""


def growth(megabytes: list[float], photos: int) -> dict[str, Any]:
    """Kilobytes per photo with a 95 % interval over blocks, each of which counts as one draw.

    Differences between blocks, because memory at one time is not independent of that before.
    """
    steps = [(after - before) * 1000 / photos for before, after in pairwise(megabytes)]
    if len(steps) < 2:
        raise ValueError("growth needs at least three looks at the memory")
    mean, freedom = statistics.mean(steps), len(steps) - 1
    t = T_95[freedom - 1] if freedom <= len(T_95) else 2.0
    half = t * statistics.stdev(steps) / math.sqrt(len(steps))
    return {
        "kb_per_photo": round(mean, 2),
        "interval": [round(mean - half, 2), round(mean + half, 2)],
        "zero_within": mean - half <= 0 <= mean + half,
        "first_mb": round(megabytes[0], 1),
        "last_mb": round(megabytes[-1], 1),
        "blocks": len(steps),
    }


def measure(folder: Path, photos: int) -> dict[str, Any]:
    """Inspect that many photos, again and again those of the folder, in a process of its own."""
    command = [sys.executable, "-m", __name__, str(folder), str(photos)]
    environment = os.environ | {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    looks = [float(line) for line in done.stdout.split()]
    return {"photos": photos, **growth(looks[WARM_UP:], BLOCK), "megabytes": looks}


def main() -> None:
    from models_runtime.runtime import Runtime

    files, photos = sorted(Path(sys.argv[1]).iterdir()), int(sys.argv[2])
    runtime = Runtime.from_environment({})
    for _ in range(photos // BLOCK):
        inspect_all(runtime, [files[n % len(files)] for n in range(BLOCK)], 4)
        sys.stdout.write(f"{resident_mb()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
