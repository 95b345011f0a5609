"""``python -m tests.benchmarks [PART …]``: how fast the application and its models are here.

Everything is measured on this machine in one run; quote the ratios, not the seconds. Without a part
all of them are measured. ``python -m tests.benchmarks models`` measures the quality of the shipped
weights instead.

    way          the whole application beside its bare models, its starts, a click, triage
    batches      passes over 1 to 16 photos, in 1 and 2 processes, bare and through the application
    memory       what one process grows by over 2,000 photos
    resolution   photos of 400 to 4000 px, step by step, and what sharing one pass saves
    gpu          the engines that can use a GPU, where there is one
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    application,
    batches,
    engines,
    gpu,
    memory,
    models,
    resolution,
    tables,
)
from tests.benchmarks.machine import machine
from tests.benchmarks.photos import draw_photos

SIDES = (400, 2000)
"""Pixels of a side of the benchmark's photos: a cut-out as small as the training's, and what a
camera makes."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """How much is measured. ``folder`` is empty, and thrown away afterwards."""

    folder: Path
    photos: int
    rounds: int
    memory_photos: int


def way(given: Given) -> Result:
    result: Result = {"photos": given.photos, "rounds": given.rounds, "sides": list(SIDES)}
    files = {side: draw_photos(given.folder / str(side), given.photos, side) for side in SIDES}
    result |= engines.measure({side: given.folder / str(side) for side in SIDES}, given.rounds)
    named = {f"app_photos_per_s_{side}": some for side, some in files.items()}
    result |= application.measure(named, given.folder / "state", given.rounds)
    for side in SIDES:
        ratio = result[f"app_photos_per_s_{side}"] / result[f"bare_photos_per_s_{side}"]
        result[f"app_to_bare_{side}"] = round(ratio, 3)
    return result


def in_batches(given: Given) -> Result:
    folder = given.folder / "photos"
    files = draw_photos(folder, given.photos, SIDES[0])
    return batches.measure(folder, files, given.folder / "state", given.rounds)


def over_time(given: Given) -> Result:
    folder = given.folder / "photos"
    draw_photos(folder, given.photos, SIDES[0])
    return memory.measure(folder, given.memory_photos)


PARTS: dict[str, Callable[[Given], Result | None]] = {
    "way": way,
    "batches": in_batches,
    "memory": over_time,
    "resolution": lambda given: resolution.measure(given.folder, given.rounds * 3),
    "gpu": lambda given: gpu.measure(),
}


def measure(part: str, options: argparse.Namespace) -> Result | None:
    """One part, with what it was measured on; None where this machine can't."""
    on = machine()
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        where = Path(folder)
        where.chmod(0o711)  # Postgres runs as another user where this one is root
        told = PARTS[part](Given(where, options.photos, options.rounds, options.memory_photos))
    return None if told is None else {"machine": on, **told}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "models"], metavar="PART")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-photos", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="update docs/benchmarks")
    options = parser.parse_args()
    if "models" in options.parts:
        return models.main()
    for part in options.parts or PARTS:
        result = measure(part, options)
        sys.stdout.write(f"\n{part}: {tables.told(part, result) if result else gpu.SKIPPED}\n")
        sys.stdout.flush()
        if result and options.write:
            tables.RESULTS.mkdir(exist_ok=True)
            path = tables.RESULTS / f"{part}.json"
            path.write_text(json.dumps(result, indent=1) + "\n")
            tables.DOCUMENT.write_text(tables.brought_up_to_date(tables.DOCUMENT.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
