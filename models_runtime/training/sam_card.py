"""The tables of Loupe-SAM's model card, made from ``loupe_sam.metrics.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BARS = {"box": 0.75, "click_1": 0.55, "click_5": 0.78}
"""Mean IoU that the model is meant to reach over solar dark areas, cookies and nuclei together."""

MEASURES = ("box", "click_1", "click_5", "filled_box")
NAMES = {
    "solar/dark": "solar, dark areas",
    "cookies/broken": "cookies, broken area",
    "nuclei/nucleus": "nuclei",
    "solar/cross": "solar, crosses",
    "solar/busbar": "solar, busbars",
    "roads/pothole": "roads, potholes",
}
CRACKS = {
    "solar/crack": "solar, each crack",
    "solar/crack/all": "solar, all cracks of a cell at once",
    "roads/crack/all": "roads, all cracks of a photo at once",
}
HEADS = (
    "| objects | n (photos) | box | 1 click | 5 clicks | the box itself, filled |\n"
    "|---|---|---|---|---|---|\n",
    "| cracks | n (photos) | F within 2 px | IoU |\n|---|---|---|---|\n",
    "| bar | reached | |\n|---|---|---|\n",
)
Told = Mapping[str, Any]


def tables(told: Told) -> tuple[str, str, str]:
    """Rows of the three tables, in the order of ``HEADS``."""
    return _objects(told), _cracks(told["kinds"]), _bars(told["together"])


def with_tables(card: str, told: Told) -> str:
    """The card with these figures in the place of its tables. ValueError where one is missing."""
    for head, rows in zip(HEADS, tables(told), strict=True):
        before, found, after = card.partition(head)
        if not found:
            raise ValueError(f"the model card has no table headed {head.splitlines()[0]}")
        rest = after[after.index("\n\n") :] if "\n\n" in after else "\n"
        card = before + head + rows + rest
    return card


def _objects(told: Told) -> str:
    together, kinds = told["together"], told["kinds"]
    lines = [
        _row("**solar dark, cookies, nuclei together**, over all prompts", together),
        "| the same, mean over the three data sets | | "
        + " | ".join(f"{together[m]['mean_over_data_sets']:.2f}" for m in MEASURES)
        + " |",
    ]
    lines += [_row(name, kinds[kind]) for kind, name in NAMES.items() if kind in kinds]
    return "\n".join(lines)


def _row(name: str, row: Told) -> str:
    cells = [_spread(row[m]) for m in MEASURES[:-1]] + [f"{row['filled_box']['mean']:.2f}"]
    return f"| {name} | {_count(row['box'])} | " + " | ".join(cells) + " |"


def _cracks(kinds: Told) -> str:
    return "\n".join(
        f"| {name} | {_count(kinds[kind]['box'])} | {_spread(kinds[kind]['box_f_2px'])} | "
        f"{_spread(kinds[kind]['box'])} |"
        for kind, name in CRACKS.items()
        if kind in kinds
    )


def _bars(together: Told) -> str:
    words = {"box": "box", "click_1": "1 click", "click_5": "5 clicks"}
    lines = []
    for measure, bar in BARS.items():
        mean = together[measure]["mean"]
        verdict = "met" if mean >= bar else f"missed by {bar - mean:.2f}"
        lines.append(f"| {words[measure]}: mean IoU at least {bar:.2f} | {mean:.2f} | {verdict} |")
    return "\n".join(lines)


def _count(summary: Told) -> str:
    return f"{summary['n']} ({summary['photos']})"


def _spread(summary: Told) -> str:
    low, high = _interval(summary["ci95"])
    return f"{summary['mean']:.2f} ± {summary['std']:.2f} [{low:.2f}, {high:.2f}]"


def _interval(ends: Sequence[float]) -> tuple[float, float]:
    low, high = ends
    return low, high
