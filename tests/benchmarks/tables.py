"""The tables of docs/benchmarks.md, made from the results beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import PROJECT

DOCUMENT = PROJECT / "docs" / "benchmarks.md"
RESULTS = PROJECT / "docs" / "benchmarks"
Result = dict[str, Any]


def way(result: Result) -> str:
    rows: list[tuple[str, str, str]] = []
    for side in result["sides"]:
        rows += [
            (f"app ÷ bare model loop, {side} px", f"app_to_bare_{side}", "≥ 0.8"),
            (f"app, photos/s, {side} px", f"app_photos_per_s_{side}", ""),
            (f"bare loop, photos/s, {side} px", f"bare_photos_per_s_{side}", ""),
        ]
    rows += [
        ("SAM click 2 ÷ click 1", "sam_click2_to_click1", "≤ 0.1"),
        ("triage p50, ms", "triage_p50_ms", "< 10"),
        ("web process, MB", "web_process_mb", "≤ 150"),
        ("make run, first start to ready, s", "first_start_s", ""),
        ("make run, second start to ready, s", "second_start_s", "< 5"),
        ("make run to first verdict, s", "first_verdict_s", ""),
    ]
    return _table(
        ("measure", "value", "aim"), [(name, result[key], aim) for name, key, aim in rows]
    )


def batches(result: Result) -> str:
    return f"{_bare(result['bare'])}\n\n{_through_the_app(result['app'])}"


def _bare(by_processes: Result) -> str:
    rows = [
        (count, *(f"{rate} ({rate / by_size['1']:.2f})" for rate in by_size.values()))
        for count, by_size in by_processes.items()
    ]
    sizes = next(iter(by_processes.values()))
    return _table(("bare, photos/s (÷ one by one); processes", *sizes), rows)


def _through_the_app(by_processes: Result) -> str:
    rows = [
        (
            count,
            size,
            one["backlog"]["photos_per_s"],
            one["backlog"]["vision_cpu_ms_per_photo"],
            one["stream"]["photos_per_s"],
            f"{one['stream']['p50_ms']:.0f} / {one['stream']['p95_ms']:.0f}",
            f"{one['alone']['p50_ms']:.0f} / {one['alone']['p95_ms']:.0f}",
        )
        for count, by_size in by_processes.items()
        for size, one in by_size.items()
    ]
    heads = (
        "vision workers",
        "LOUPE_BATCH",
        "backlog, photos/s",
        "vision, CPU ms/photo",
        "stream, photos/s",
        "stream, ms to verdict p50 / p95",
        "alone, ms to verdict p50 / p95",
    )
    return _table(heads, rows)


def memory(result: Result) -> str:
    low, high = result["interval"]
    rows = [
        ("photos in one process", result["photos"]),
        ("growth per photo, kB", result["kb_per_photo"]),
        ("95 % interval, kB", f"{low} to {high}"),
        ("zero lies within", "yes" if result["zero_within"] else "no"),
        ("after the warm-up, MB", result["first_mb"]),
        ("at the end, MB", result["last_mb"]),
    ]
    return _table(("memory", "value"), rows)


def resolution(result: Result) -> str:
    rows = [(side, *by_step.values()) for side, by_step in result["by_side"].items()]
    heads = ("side, px", "decode and measure, ms", "extract, ms", "segment, ms")
    sharing = result["choosing_a_plan_and_answering_it"]
    told = (
        "Choosing a plan by the photo and answering it takes "
        f"{sharing['once_to_twice']} of the time that it would take with a pass of the networks "
        f"for each ({sharing['once_ms']} ms to {sharing['twice_ms']} ms)."
    )
    return f"{_table(heads, rows)}\n\n{told}"


def gpu(result: Result) -> str:
    rows = [
        (name, one["engine_per_s"], one["ceiling_per_s"], one["engine_to_ceiling"])
        for name, one in result.items()
        if isinstance(one, dict) and "ceiling_per_s" in one
    ]
    return _table((result["gpu"], "engine, /s", "bare network, /s", "share"), rows)


TABLES: dict[str, Callable[[Result], str]] = {
    "way": way,
    "batches": batches,
    "memory": memory,
    "resolution": resolution,
    "gpu": gpu,
}


def told(part: str, result: Result) -> str:
    """The table of one part with what it was measured on."""
    machine = result["machine"]
    busy = ", **busy with other work meanwhile**" if machine.get("busy_with_other_work") else ""
    where = f"{machine['cores']} cores, {machine['processor']}, commit {machine['commit']}"
    return f"{TABLES[part](result)}\n\n*{where}, {machine['date']}{busy}.*"


def brought_up_to_date(document: str, results: Path = RESULTS) -> str:
    """The document with the table of each result that there is, between its marks."""
    for part in TABLES:
        path = results / f"{part}.json"
        begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
        if path.is_file() and begin in document:
            before, _, rest = document.partition(begin)
            _, _, after = rest.partition(end)
            text = told(part, json.loads(path.read_text()))
            document = f"{before}{begin}\n{text}\n{end}{after}"
    return document


def _table(heads: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
