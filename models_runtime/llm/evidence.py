"""The evidence of a report in words: ids, names, and the template sentence for each piece.

Values may come from a photo or a person (a text read from a label, a reference typed in): here
they are quoted as data, cut to length and kept on one line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from models_runtime.contracts import AttributeResult, Disposition, Finding, ReportInput
from models_runtime.plans import Characteristic, CharacteristicKind, PlanSpec

LISTED_FINDINGS = 30
LONGEST_VALUE = 120

DISPOSITION_WORDS: dict[Disposition, str] = {
    Disposition.ACCEPT: "accept",
    Disposition.REWORK: "rework",
    Disposition.REJECT: "reject",
    Disposition.HOLD: "hold",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the ids of the evidence that it states."""

    text: str
    evidence: tuple[str, ...]


def ids(evidence: ReportInput) -> tuple[str, ...]:
    """Every evidence id that a claim may lean on."""
    return (
        "photo",
        "triage",
        *(f"attribute:{a.key}" for a in evidence.attributes),
        *(f"finding:{f.id}" for f in evidence.findings),
    )


def sentences(evidence: ReportInput) -> tuple[Sentence, ...]:
    """The whole report in template sentences, in reading order."""
    listed = evidence.findings[:LISTED_FINDINGS]
    return (
        opening(evidence),
        *(warning(text) for text in evidence.photo_warnings),
        *(attribute(evidence.plan, a) for a in evidence.attributes),
        *([] if evidence.findings else [nothing_found(evidence)]),
        *(finding(evidence.plan, f) for f in listed),
        *rest(evidence.plan, evidence.findings[LISTED_FINDINGS:]),
        verdict(evidence),
        *reasons(evidence),
    )


def opening(evidence: ReportInput) -> Sentence:
    return Sentence(
        f"Unit {line(evidence.reference) or 'without reference'} was inspected by the plan "
        f"“{line(evidence.plan.name)}”.",
        ("photo",),
    )


def warning(text: str) -> Sentence:
    return Sentence(f"About the photo: {line(text)}.", ("photo",))


def attribute(plan: PlanSpec, result: AttributeResult) -> Sentence:
    """``Title: value.``, or that it could not be determined."""
    entry = characteristic(plan, result.key)
    title = line(entry.title) if entry and entry.title else result.key
    text = f"{title} could not be determined."
    if not result.abstained and result.value is not None:
        text = f"{title}: {value_text(entry, result.value)}."
    return Sentence(text, (f"attribute:{result.key}",))


def nothing_found(evidence: ReportInput) -> Sentence:
    if undecided(evidence):
        return Sentence("Whether the unit has a defect could not be decided.", ("triage",))
    return Sentence("No defect of the catalogue was found.", ("triage",))


def finding(plan: PlanSpec, item: Finding) -> Sentence:
    size = f"{item.area_px} px" if item.area_mm2 is None else f"{item.area_mm2:.1f} mm²"
    box = item.box
    return Sentence(
        f"{name(plan, item.type)}: {item.severity}, {size}, at x {box.x1:.0f}–{box.x2:.0f}, "
        f"y {box.y1:.0f}–{box.y2:.0f}, confidence {item.confidence:.0%}.",
        (f"finding:{item.id}",),
    )


def rest(plan: PlanSpec, findings: tuple[Finding, ...]) -> list[Sentence]:
    """Findings past the listed ones, counted by type and severity."""
    counts = Counter((f.type, f.severity) for f in findings)
    return [
        Sentence(
            f"{name(plan, kind)}: {number} more, {severity}.",
            tuple(f"finding:{f.id}" for f in findings if (f.type, f.severity) == (kind, severity)),
        )
        for (kind, severity), number in sorted(counts.items())
    ]


def verdict(evidence: ReportInput) -> Sentence:
    triage = evidence.triage
    review = " A person reviews it." if triage.needs_review else ""
    return Sentence(
        f"Disposition: {DISPOSITION_WORDS[triage.disposition]}, "
        f"confidence {triage.confidence:.0%}.{review}",
        ("triage",),
    )


def reasons(evidence: ReportInput) -> list[Sentence]:
    return [Sentence(f"Reason: {line(text)}.", ("triage",)) for text in evidence.triage.reasons]


def undecided(evidence: ReportInput) -> bool:
    """True where no finding does not mean that there is none."""
    return not evidence.findings and evidence.triage.disposition is Disposition.HOLD


def name(plan: PlanSpec, key: str) -> str:
    """The catalogue's name of a defect type, or its key in words."""
    entry = plan.defect(key)
    return line(entry.name) if entry else key.replace("-", " ").replace("_", " ")


def characteristic(plan: PlanSpec, key: str) -> Characteristic | None:
    return next((c for c in plan.characteristics if c.key == key), None)


def value_text(entry: Characteristic | None, value: str | float | bool) -> str:
    """A value as people write it: yes and no, 7 of 10, 3.2 mm, or the words in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        shown = f"{value:g}"
        if entry and entry.kind is CharacteristicKind.SCALE:
            return f"{shown} of 10"
        return f"{shown} {entry.unit}".rstrip() if entry else shown
    return line(value)


def line(text: str) -> str:
    """One line, without control characters, at most LONGEST_VALUE characters, no end stop."""
    clean = one_line(text)
    if len(clean) > LONGEST_VALUE:
        clean = clean[: LONGEST_VALUE - 1] + "…"
    return clean.rstrip(".")


def one_line(text: str) -> str:
    """The text with every run of blanks and control characters as a single blank."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
