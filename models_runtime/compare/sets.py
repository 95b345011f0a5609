"""Labelled photos to measure the comparison on: which are sound, and which are not."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETS = ("toys", "cookies", "solar")
STATIONS = "stations"
MOST_CHECKS = 5
_SOLAR_DEFECTS = {"1", "2", "3"}


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled photo."""

    path: Path
    bad: bool
    split: str


def rows_of(data: Path, name: str) -> list[Row]:
    """Read the labels of a set; a solar cell is bad where its mask holds any defect."""
    with (data / name / "labels.csv").open(newline="") as file:
        return [
            Row(
                path=data / name / row["image"],
                bad=row["label"] == "anomaly"
                if "label" in row
                else bool(_SOLAR_DEFECTS & set(row["values"].split())),
                split=row["split"],
            )
            for row in csv.DictReader(file)
        ]


def station_checks(data: Path) -> dict[str, list[Row]]:
    """The checks with the most photos, each with its photos: bad is one of an unmet state.

    A photo with several records of one check is bad if any says so.
    """
    records: list[dict[str, Any]] = json.loads((data / STATIONS / "records.json").read_text())
    checks: dict[str, dict[str, Row]] = {}
    for record in records:
        rows = checks.setdefault(record["Detection_Content"], {})
        known = rows.get(record["image"])
        bad = bool(record["Anomaly_Label"]) or (known is not None and known.bad)
        rows[record["image"]] = Row(data / STATIONS / record["image"], bad, record["split"])
    largest = sorted(checks, key=lambda check: (-len(checks[check]), check))[:MOST_CHECKS]
    return {check: list(checks[check].values()) for check in largest}
