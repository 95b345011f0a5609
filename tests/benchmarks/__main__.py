"""``python -m tests.benchmarks``: what the whole application costs beside its bare models.

Everything is measured on this machine in one run; quote the ratios, not the seconds.
``python -m tests.benchmarks models`` measures the quality of the shipped weights instead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import application, engines
from tests.benchmarks.photos import draw_photos

PROJECT = Path(__file__).resolve().parents[2]
SIDES = (400, 2000)
"""Pixels of a side of the benchmark's photos: a cut-out as small as the training's, and what a
camera makes."""
EVALUATIONS = ("models_runtime.training.sam_eval", "models_runtime.training.vlm_eval")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
    )
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "commit": told.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def measure(photos: int, rounds: int) -> dict[str, Any]:
    result: dict[str, Any] = {"machine": machine(), "photos": photos, "rounds": rounds}
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as folder:
        where = Path(folder)
        batches = {side: draw_photos(where / str(side), photos, side) for side in SIDES}
        result |= engines.measure({side: where / str(side) for side in SIDES}, rounds)
        named = {f"app_photos_per_s_{side}": files for side, files in batches.items()}
        result |= application.measure(named, where / "state", rounds)
    for side in SIDES:
        ratio = result[f"app_photos_per_s_{side}"] / result[f"bare_photos_per_s_{side}"]
        result[f"app_to_bare_{side}"] = round(ratio, 3)
    return result


def table(result: dict[str, Any]) -> str:
    speeds = [
        row
        for side in SIDES
        for row in (
            (f"app ÷ bare model loop, {side} px", f"app_to_bare_{side}", "≥ 0.8"),
            (f"app, photos/s, {side} px", f"app_photos_per_s_{side}", ""),
            (f"bare loop, photos/s, {side} px", f"bare_photos_per_s_{side}", ""),
        )
    ]
    rows = [
        *speeds,
        ("SAM click 2 ÷ click 1", "sam_click2_to_click1", "≤ 0.1"),
        ("triage p50, ms", "triage_p50_ms", "< 10"),
        ("web process, MB", "web_process_mb", "≤ 150"),
        ("make run, first start to ready, s", "first_start_s", ""),
        ("make run, second start to ready, s", "second_start_s", "< 5"),
        ("make run to first verdict, s", "first_verdict_s", ""),
    ]
    lines = ["| measure | value | aim |", "|---|---|---|"]
    lines += [f"| {name} | {result[key]} | {aim} |" for name, key, aim in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("way", "models"), default="way")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the result here as JSON too")
    given = parser.parse_args()
    if given.what == "models":
        return max(subprocess.call([sys.executable, "-m", name]) for name in EVALUATIONS)
    result = measure(given.photos, given.rounds)
    sys.stdout.write(json.dumps(result, indent=1) + "\n\n" + table(result) + "\n")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
