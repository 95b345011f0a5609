"""The parts that a layout chooses from and puts in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """``is_of_unit``: it is there for each unit; else once, at the beginning of the report."""

    label: str
    help: str
    is_of_unit: bool


PARTS: Mapping[str, Part] = {
    "cover": Part("Cover", "Logo, title, what it is about, who made it and when.", False),
    "summary": Part("Lot in figures", "How many units passed, and the defects by kind.", False),
    "units": Part("List of units", "One line for each unit of the lot.", False),
    "verdict": Part("Verdict", "Disposition, severity, plan and where the unit comes from.", True),
    "photos": Part("Photos", "Each photo with the findings drawn on it.", True),
    "findings": Part("Findings", "A crop of each, with class, severity and size in mm.", True),
    "attributes": Part("Attributes", "What was read from the photos, by the plan.", True),
    "words": Part("Text", "The written report, where there is one.", True),
    "people": Part("Who decided", "Each verdict of a person, with name and time.", True),
    "hashes": Part("Hashes", "SHA-256 of the photos and of the plan.", True),
}
ALL = tuple(PARTS)
UNITS_OF_PART = 20
"""Units whose pages are made in one go."""


def known(parts: list[str]) -> list[str]:
    """The parts of a stored layout that there still are, each once."""
    return [part for part in dict.fromkeys(parts) if part in PARTS]


def of_unit(parts: list[str]) -> list[str]:
    return [part for part in known(parts) if PARTS[part].is_of_unit]


def of_head(parts: list[str]) -> list[str]:
    return [part for part in known(parts) if not PARTS[part].is_of_unit]
