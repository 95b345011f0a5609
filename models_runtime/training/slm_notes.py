"""Real maintenance notes with weak labels of concern, split by where they come from.

Weak labels, and why they may be believed:

* MaintNet: a PROBLEM is an open defect; its ACTION says that it was dealt with ("settled").
* FAA accident and incident narratives: something endangered people ("danger").
* MaintNorm: rules over the *annotator's normal form*, while the model reads the *raw* note as typed
  ("REPL u/s pk brk sw"), so it cannot get by with the rules' own keywords.
* MaintIE: never trained on. Its entities were labelled by people; it is the test of all this.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BROKEN = re.compile(
    r"\b(leak\w*|broken|break\w*|broke|fault\w*|fail\w*|unserviceable|crack\w*|worn|missing|"
    r"damag\w*|burst|blown|loose|noisy|noise|seized|stuck|dead|split|bent|corroded|rust\w*|"
    r"tear|torn|cut|hole|smash\w*|shatter\w*|not (?:working|starting|charging|operating)|"
    r"will not|no power|no good|overheat\w*|low power|low pressure|hot|trip\w*|error|problem|"
    r"defect\w*|dropped|fell|alarm|vibrat\w*|blocked|bogged|stiff|snapped|sheared)\b"
)
SAFETY = re.compile(
    r"\b(brak\w*|steering|handrail\w*|hand rail\w*|guard\w*|fire|emergency|seat ?belt\w*|"
    r"extinguisher\w*|ladder\w*|walkway\w*|stair\w*|interlock\w*|isolat\w*|gas|smoke|smok\w*|"
    r"burn\w*|electric shock|safety|rollover|egress|horn|gate)\b"
)
ROUTINE = re.compile(
    r"\b(service|inspect\w*|hour|hourly|weekly|monthly|daily|routine|scheduled?|sample|"
    r"change ?out|replace\w*|calibrat\w*|install|fit|fitted|modif\w*|grease|wash|clean|check|"
    r"remove|test|survey|paint|top up|fabricate|assist|relocate|set up|supply)\b"
)


@dataclass(frozen=True, slots=True)
class Note:
    """A note, its weak or human label, and the source it is split by."""

    text: str
    concern: str
    source: str


def training(root: Path) -> list[Note]:
    """Notes to train on: MaintNorm of companies A and B, and four fifths of the other sources."""
    notes = [*_maintnorm(root, ("a", "b")), *_aviation(root, held_out=False)]
    tested = {_shape(note.text) for note in human(root)}
    return _unique(note for note in notes if _shape(note.text) not in tested)


def validation(root: Path) -> list[Note]:
    """Notes for measuring: MaintNorm of company C and the fifth of the others, by document."""
    seen = {_shape(note.text) for note in training(root)}
    notes = [*_maintnorm(root, ("c",)), *_aviation(root, held_out=True)]
    return [note for note in _unique(notes) if _shape(note.text) not in seen]


def human(root: Path) -> list[Note]:
    """MaintIE's notes by the entities people marked: an undesirable state or none."""
    rows = json.loads((root / "maintie" / "data__gold_release.json").read_text())
    notes = []
    for row in rows:
        kinds = {entity["type"] for entity in row["entities"]}
        bad = any("Undesirable" in kind for kind in kinds)
        doing = any(kind.startswith("Activity") for kind in kinds)
        if bad or doing:
            notes.append(Note(row["text"], "defect" if bad else "routine", "maintie"))
    return _unique(notes)


def _maintnorm(root: Path, companies: Iterable[str]) -> Iterator[Note]:
    for company in companies:
        for part in ("train", "val", "test"):
            path = root / "maintnorm" / f"data__company_{company}__{part}.norm"
            for raw, normal in _sentences(path):
                concern = _by_rules(normal.lower())
                if concern:
                    yield Note(raw, concern, f"maintnorm-{company}")


def _by_rules(normal: str) -> str | None:
    """Concern of a normalised note, None where the rules do not know."""
    if BROKEN.search(normal):
        return "danger" if SAFETY.search(normal) else "defect"
    return "routine" if ROUTINE.search(normal) else None


def _sentences(path: Path) -> Iterator[tuple[str, str]]:
    """(raw, normal) notes of a .norm file: a word and its normal form per line."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        pairs = [line.split("\t") for line in block.splitlines() if line.strip()]
        if pairs:
            yield " ".join(p[0] for p in pairs), " ".join(p[1] for p in pairs if len(p) > 1)


def _aviation(root: Path, held_out: bool) -> Iterator[Note]:
    folder = root / "trusted_ke"
    for row in _table(
        folder / "OMIn_dataset__data__MaintNet_data__Aircraft_Annotation_DataFile.csv"
    ):
        problem, action = row["PROBLEM"].strip(), row["ACTION"].strip()
        if _kept_back(_shape(problem)) == held_out and problem and action:
            yield Note(problem, "defect", "maintnet")
            yield Note(action, "settled", "maintnet")
    for row in _table(folder / "OMIn_dataset__data__FAA_data__Maintenance_Text_data.csv"):
        text = row["c119"].strip()
        if text and _kept_back(_shape(text)) == held_out:
            yield Note(text, "danger", "faa-accident" if row["c1"] == "A" else "faa-incident")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return list(csv.DictReader(lines))


def _kept_back(document: str) -> bool:
    """A fixed fifth of the documents, independent of file order."""
    return hashlib.sha256(document.encode()).digest()[0] < 51


def _shape(text: str) -> str:
    """The note without case, numbers and punctuation: equal shapes count as the same document."""
    return " ".join(re.findall(r"[a-z]{2,}", text.lower()))


def _unique(notes: Iterable[Note]) -> list[Note]:
    found: dict[str, Note] = {}
    for note in notes:
        found.setdefault(_shape(note.text), note)
    found.pop("", None)
    return list(found.values())
