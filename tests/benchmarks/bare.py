"""A process that runs the bare models over photos when it is told to: one of several at once.

    python -m tests.benchmarks.bare FOLDER SHARE OF

takes every OF-th photo of the folder from SHARE on. It answers each line of its input, the size of
a batch, with the seconds that one pass over its photos took: by the clock, and of processor time,
which other work on the machine disturbs far less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from inspection.demo.plans import demo_plans
from models_runtime.cli.taking import take
from models_runtime.inspector import case_text, embed_texts
from models_runtime.runtime import Runtime
from models_runtime.whole import Job, inspect_photos
from tests.benchmarks.photos import PLAN


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock and of processor time."""

    clock: float
    processor: float


def inspect_all(runtime: Runtime, files: list[Path], batch: int) -> Took:
    """Time for what the models do for the application: decode, measure, extract, segment,
    triage, report, and embed the case for the search by likeness."""
    plan, left = demo_plans()[PLAN], iter(files)
    began, used = time.perf_counter(), time.process_time()
    while some := list(islice(left, batch)):
        jobs = [Job(take(path).decoded.photo, path.name) for path in some]
        seen = inspect_photos(runtime, jobs, plan)
        words = [case_text(plan, s.extraction.attributes, s.findings, s.triage) for s in seen]
        embed_texts(runtime, words)
    return Took(time.perf_counter() - began, time.process_time() - used)


class Processes:
    """Several of them, each with one thread and its share of the photos."""

    def __init__(self, folder: Path, count: int) -> None:
        # One thread each, as the application's workers have on a machine of two cores.
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._all = [
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), str(share), str(count)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for share in range(count)
        ]
        self.inspect(1)

    def inspect(self, batch: int) -> Took:
        """Time until the last of them is through its photos, and what all of them used."""
        for process in self._all:
            assert process.stdin is not None
            process.stdin.write(f"{batch}\n")
            process.stdin.flush()
        told = [self._answer(process) for process in self._all]
        return Took(max(one.clock for one in told), sum(one.processor for one in told))

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> Took:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the bare models has ended; it says why above")
        clock, processor = line.split()
        return Took(float(clock), float(processor))

    def close(self) -> None:
        for process in self._all:
            process.communicate()


def main() -> None:
    share, of = int(sys.argv[2]), int(sys.argv[3])
    files = sorted(Path(sys.argv[1]).iterdir())[share::of]
    runtime = Runtime.from_environment({})
    for line in sys.stdin:
        took = inspect_all(runtime, files, int(line))
        sys.stdout.write(f"{took.clock} {took.processor}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
