"""What a report says at its beginning: the cover, a lot in figures, the list of its units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from inspection.models.choices import DispositionChoice
from inspection.selectors.reports import blocks, words
from inspection.selectors.reports.blocks import Block
from inspection.selectors.reports.units import UnitLine

MOST_NAMED = 5


def head_blocks(
    parts: list[str],
    lines: Sequence[UnitLine],
    *,
    title: str,
    site: str,
    maker: str,
    made_at: datetime,
    criteria: Sequence[str],
) -> list[Block]:
    """The blocks of the chosen parts that come once, in their order."""
    made: list[Block] = []
    for part in parts:
        if part == "cover":
            made += _cover(lines, title, site, maker, made_at, criteria)
        elif part == "summary":
            made += _summary(lines)
        elif part == "units":
            made += _list(lines)
    return made


def _cover(
    lines: Sequence[UnitLine],
    title: str,
    site: str,
    maker: str,
    made_at: datetime,
    criteria: Sequence[str],
) -> list[Block]:
    is_lot = len(lines) > 1
    rows = [
        ("Site", site),
        ("Made", words.moment(made_at)),
        ("Made by", maker),
        ("Chosen by", "; ".join(criteria)),
        ("SHA-256 of the inputs", digest(lines)),
    ]
    of_lot = [
        ("Units", str(len(lines))),
        *((name, _named([line.context.get(name.lower(), "") for line in lines])) for name in FROM),
        ("Plan", _named([line.plan for line in lines])),
    ]
    return [blocks.facts([*rows[:4], *(of_lot if is_lot else []), rows[4]])]


FROM = ("Product", "Supplier", "Line", "Shift")


def digest(lines: Sequence[UnitLine]) -> str:
    """Over the hashes of all inputs, one a line, in the order of the report."""
    return words.digest_of(text for line in lines for text in line.inputs)


def _named(values: Sequence[str]) -> str:
    """The values that there are; how many more, where they are many."""
    found = list(dict.fromkeys(value for value in values if value))
    more = len(found) - MOST_NAMED
    told = ", ".join(found[:MOST_NAMED])
    return f"{told} and {more} more" if more > 0 else told


def _summary(lines: Sequence[UnitLine]) -> list[Block]:
    if len(lines) < 2:
        return []
    count = Counter(line.verdict for line in lines)
    accepted = sum(line.disposition == DispositionChoice.ACCEPT for line in lines)
    open_units = sum(not line.is_settled for line in lines)
    rows = [[word, str(n), words.percent(n / len(lines))] for word, n in _in_order(count)]
    by_whom = Counter(line.decided for line in lines)
    told = f"{accepted} of {len(lines)} units accepted ({words.percent(accepted / len(lines))})."
    made = [
        blocks.heading("The lot in figures"),
        blocks.paragraph(f"{told} {_open_words(open_units)}".strip()),
        blocks.table(
            "Units by verdict", ("Verdict", "Units", "Share"), rows,
            widths=(6, 2, 2), figures=(1, 2),
        ),
        blocks.facts(
            [("Decided by a person", str(by_whom["a person"])),
             ("Decided by the models", str(by_whom["the models"])),
             ("Preliminary", str(by_whom["preliminary"]))]
        ),
    ]  # fmt: skip
    return made + _defects(lines)


def _open_words(count: int) -> str:
    if not count:
        return "Every unit is decided."
    verb = "unit is" if count == 1 else "units are"
    return f"{count} {verb} not decided yet: the proposal of the models is counted."


def _in_order(count: Counter[str]) -> list[tuple[str, int]]:
    order = [*DispositionChoice.labels, "Not judged yet", "No verdict"]
    return sorted(count.items(), key=lambda pair: order.index(pair[0]))


def _defects(lines: Sequence[UnitLine]) -> list[Block]:
    findings = Counter(name for line in lines for name in line.defects)
    units = Counter(name for line in lines for name in set(line.defects))
    if not findings:
        return [blocks.paragraph("No unit has a finding that counts.")]
    rows = [
        [name, str(n), str(units[name]), words.percent(units[name] / len(lines))]
        for name, n in sorted(findings.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    columns = ("Defect", "Findings", "Units with it", "Share of units")
    return [blocks.table("Defects", columns, rows, widths=(6, 2, 3, 3), figures=(1, 2, 3))]


def _list(lines: Sequence[UnitLine]) -> list[Block]:
    if len(lines) < 2:
        return []
    rows = [
        [str(n), line.name, line.received, line.verdict, line.severity, str(len(line.defects)),
         line.decided]
        for n, line in enumerate(lines, start=1)
    ]  # fmt: skip
    columns = ("", "Unit", "Received", "Verdict", "Severity", "Findings", "Decided by")
    made = blocks.table("Units", columns, rows, widths=(2, 6, 6, 4, 4, 3, 4), figures=(0, 5))
    return [blocks.heading("Units"), made]
