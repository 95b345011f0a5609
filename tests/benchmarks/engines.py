"""The bare models: a plain loop over photos in a process of its own, clicks, triage."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspection.demo.plans import demo_plans
from models_runtime.cli.taking import take
from models_runtime.contracts import Click, PhotoPixels, Prompt, TriageInput
from models_runtime.runtime import Runtime
from models_runtime.whole import Job, inspect_photos
from tests.benchmarks.bare import inspect_all
from tests.benchmarks.photos import PLAN


def measure(folders: dict[int, Path], rounds: int) -> dict[str, Any]:
    """Run this module as a process of its own, with a thread for each core.

    ``folders``: side of the photos to where they are. Clicks and triage are timed on the first.
    """
    given = [f"{side}={folder}" for side, folder in folders.items()]
    command = [sys.executable, "-m", "tests.benchmarks.engines", str(rounds), *given]
    environment = os.environ | {"OMP_NUM_THREADS": str(os.cpu_count() or 2)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def milliseconds(call: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def clicks(runtime: Runtime, photo: PhotoPixels, rounds: int) -> dict[str, float]:
    """The first click pays for the embedding and a mask, the second for a mask only."""
    sam = runtime.segmenter()
    prompt = Prompt(clicks=(Click(x=photo.width / 2, y=photo.height / 2),))
    embedding = sam.embed(photo)
    first = milliseconds(lambda: sam.decode(sam.embed(photo), [prompt]), 5 * rounds)
    second = milliseconds(lambda: sam.decode(embedding, [prompt]), 20 * rounds)
    one, two = statistics.median(first), statistics.median(second)
    return {
        "sam_click1_ms": round(one, 1),
        "sam_click2_ms": round(two, 2),
        "sam_click2_to_click1": round(two / one, 3),
    }


def triage_ms(runtime: Runtime, photo: PhotoPixels, rounds: int) -> float:
    plan = demo_plans()[PLAN]
    (seen,) = inspect_photos(runtime, [Job(photo)], plan)
    case = TriageInput(
        plan=plan,
        attributes=seen.extraction.attributes,
        findings=seen.findings,
        defect_probability=seen.defect_probability,
        in_domain=seen.extraction.in_domain,
        extraction_abstained=seen.extraction.abstained,
        note="Module came back after hail, glass looks fine.",
    )
    engine = runtime.triagers()[0].load()
    return round(statistics.median(milliseconds(lambda: engine.triage(case), 50 * rounds)), 2)


def main() -> None:
    rounds = int(sys.argv[1])
    named = dict(word.split("=", 1) for word in sys.argv[2:])
    batches = {side: sorted(Path(folder).iterdir()) for side, folder in named.items()}
    runtime = Runtime.from_environment({})
    result: dict[str, Any] = {}
    for side, files in batches.items():
        inspect_all(runtime, files[:4], 1)
        rates = [len(files) / inspect_all(runtime, files, 1) for _ in range(rounds)]
        result[f"bare_photos_per_s_{side}"] = round(statistics.median(rates), 2)
    photo = take(next(iter(batches.values()))[0]).decoded.photo
    result |= clicks(runtime, photo, rounds)
    result["triage_p50_ms"] = triage_ms(runtime, photo, rounds)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
