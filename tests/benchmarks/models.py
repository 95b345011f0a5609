"""The quality of the shipped weights, on photos that no model was trained on.

Runs every evaluation from the shipped weights, two at a time, each with one thread; they write
``models_runtime/weights/*.metrics.json`` and the tables of the cards. What the figures say about
the bars that were set is told at the end.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

PROJECT = Path(__file__).resolve().parents[2]
WEIGHTS = PROJECT / "models_runtime" / "weights"
AT_ONCE = 2
TOLD_EVERY_S = 30.0
NO_DATA = (
    "bench-models measures on photos that are not part of the project. Name their folder:\n"
    "    LOUPE_DATA=/path/to/data make bench-models\n"
)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A module with a command line that takes ``--data`` and leaves its metrics beside the weights.

    The longest come first, so that the last one does not keep a core waiting.
    """

    module: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.module.removeprefix("models_runtime.")

    def exists(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    def command(self, data: Path) -> list[str]:
        return [sys.executable, "-m", self.module, "--data", str(data), *self.options]


EVALUATIONS = (
    Evaluation("models_runtime.training.vlm_eval"),
    Evaluation("models_runtime.training.sam_eval", ("--threads", "1")),
    Evaluation("models_runtime.compare.evaluate"),
    Evaluation("models_runtime.risk.evaluate"),
)


@dataclass(frozen=True)
class Bar:
    """What a figure of one metrics file should reach. ``read`` finds it; KeyError: not measured."""

    what: str
    metrics: str
    read: Callable[[Figures], float]
    least: float | None = None
    most: float | None = None

    @property
    def aim(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"

    def met(self, value: float) -> bool:
        if self.least is not None:
            return value >= self.least
        return self.most is not None and value <= self.most


def figure(name: str) -> Callable[[Figures], float]:
    return lambda told: float(told["figures"][name]["mean"])


def figures_with(word: str, choose: Callable[[list[float]], float]) -> Callable[[Figures], float]:
    """The worst of all figures whose name has this word."""

    def read(told: Figures) -> float:
        found = [value["mean"] for name, value in told["figures"].items() if word in name]
        if not found:
            raise KeyError(word)
        return choose(found)

    return read


def _renamed(told: Figures) -> float:
    """What other words for the same defects cost."""
    plain, renamed = "solar defective AUROC", "solar defective AUROC, new words"
    return figure(plain)(told) - figure(renamed)(told)


def _broken_bounds(told: Figures) -> float:
    rows = told["realised"]
    return float(sum(r["escape_rate"]["low"] > r["largest_escape"] for r in rows if r["passed"]))


def _golden(name: str, measure: str = "auroc") -> Callable[[Figures], float]:
    return lambda told: float(told["figures"][name][measure])


def _together(measure: str) -> Callable[[Figures], float]:
    return lambda told: float(told["together"][measure]["mean"])


VLM, SAM, RISK, GOLDEN = "loupe_vlm", "loupe_sam", "loupe_risk", "loupe_compare"
STATIONS = "station checks balanced accuracy"
BARS = (
    Bar("solar, defective cells, AUROC", VLM, figure("solar defective AUROC"), least=0.95),
    Bar("solar, dark, AUROC", VLM, figure("solar dark AUROC"), least=0.90),
    Bar("solar, cross, AUROC", VLM, figure("solar cross AUROC"), least=0.90),
    Bar("solar, crack, AUROC", VLM, figure("solar crack AUROC"), least=0.90),
    Bar("solar, findings, F1 at IoU 0.3", VLM, figure("solar finding F1 at IoU 0.3"), least=0.60),
    Bar("garments, top-1", VLM, figure("garment category top-1"), least=0.75),
    Bar("groceries, top-1", VLM, figure("grocery group top-1"), least=0.85),
    Bar("stations, balanced accuracy", VLM, figure(STATIONS), least=0.80),
    Bar("other words for a defect cost", VLM, _renamed, most=0.03),
    Bar("calibration error, worst", VLM, figures_with("calibration error", max), most=0.03),
    Bar("answered in its domains, worst", VLM, figures_with("answered", min), least=0.90),
    Bar("abstained elsewhere, worst", VLM, figures_with("abstained under", min), least=0.95),
    Bar("each data set left out: refused", VLM, figure("left-out set refused"), least=0.95),
    Bar("and of the others answered", VLM, figure("left-out set, others answered"), least=0.90),
    Bar("masks from boxes, IoU", SAM, _together("box"), least=0.75),
    Bar("masks from one click, IoU", SAM, _together("click_1"), least=0.55),
    Bar("masks from five clicks, IoU", SAM, _together("click_5"), least=0.78),
    Bar("encode, ms on one thread", SAM, lambda told: told["cpu_milliseconds"]["embed"], most=300),
    Bar("10 golden photos, toys, AUROC", GOLDEN, _golden("toys"), least=0.90),
    Bar("10 golden photos, cookies, AUROC", GOLDEN, _golden("cookies"), least=0.90),
    Bar("10 golden photos, solar, AUROC", GOLDEN, _golden("solar"), least=0.85),
    Bar("10 golden photos, stations, AUROC", GOLDEN, _golden("stations, mean"), least=0.85),
    Bar("ten times the golden photos, time", GOLDEN, lambda t: t["cost"]["times_as_long"], most=2),
    Bar("risk dial, bounds surely broken", RISK, _broken_bounds, most=0),
)


@dataclass
class Progress:
    """Who is at work and since when; says so now and then."""

    out: TextIO
    running: dict[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    def tell(self, total: int) -> None:
        now = time.monotonic()
        running = self.running.copy()
        work = ", ".join(f"{name} for {now - at:.0f} s" for name, at in running.items())
        self.out.write(f"{len(self.took)} of {total} done; at work: {work or 'nothing'}\n")
        self.out.flush()


def evaluate(one: Evaluation, data: Path, log: Path, progress: Progress) -> int:
    """Run one evaluation as a process of its own; its exit status."""
    progress.running[one.name] = began = time.monotonic()
    with log.open("w") as file:
        status = subprocess.call(
            one.command(data),
            cwd=PROJECT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    del progress.running[one.name]
    progress.took[one.name] = time.monotonic() - began
    return status


def run(
    data: Path,
    evaluations: tuple[Evaluation, ...] = EVALUATIONS,
    out: TextIO = sys.stdout,
    every_s: float = TOLD_EVERY_S,
) -> int:
    """Run all evaluations there are and say how they went; 1 where one of them failed."""
    there = [one for one in evaluations if one.exists()]
    progress = Progress(out)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        logs = {one: Path(folder) / one.name for one in there}
        going = {one: pool.submit(evaluate, one, data, logs[one], progress) for one in there}
        _follow(going, progress, every_s)
        failed = [one for one in there if going[one].result() != 0]
        for one in failed:
            out.write(f"\n{one.name} failed:\n{logs[one].read_text(errors='replace')[-3000:]}\n")
    for name, seconds in progress.took.items():
        out.write(f"{name}: {seconds / 60:.1f} min\n")
    return 1 if failed else 0


def _follow(going: dict[Evaluation, Future[int]], progress: Progress, every_s: float) -> None:
    left = set(going.values())
    while left:
        progress.tell(len(going))
        _, left = wait(left, timeout=every_s, return_when=FIRST_COMPLETED)


def summary(folder: Path = WEIGHTS, bars: tuple[Bar, ...] = BARS, since: float = 0.0) -> str:
    """The bars as a table, each met, missed or not measured.

    ``since``: Unix time; metrics written before are those of another run, and do not count.
    """
    lines = ["| bar | aim | measured | |", "|---|---|---|---|"]
    for bar in bars:
        value = _value(bar, folder, since)
        told = "–" if value is None else f"{value:.3g}"
        how = "not measured" if value is None else "met" if bar.met(value) else "**missed**"
        lines.append(f"| {bar.what} | {bar.aim} | {told} | {how} |")
    return "\n".join(lines)


def _value(bar: Bar, folder: Path, since: float) -> float | None:
    path = folder / f"{bar.metrics}.metrics.json"
    try:
        if path.stat().st_mtime < since:
            return None
        return float(bar.read(json.loads(path.read_text())))
    except (FileNotFoundError, KeyError):
        return None


def main() -> int:
    data = Path(os.environ.get("LOUPE_DATA") or PROJECT.parent / "shared" / "data")
    if not data.is_dir():
        sys.stderr.write(f"There is no folder {data}.\n{NO_DATA}")
        return 2
    began = time.time()
    status = run(data.resolve())
    minutes = (time.time() - began) / 60
    sys.stdout.write(f"\n{summary(since=began)}\n\nAll of it took {minutes:.1f} minutes.\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
