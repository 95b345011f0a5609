"""One person's word on a unit as a value: taken from the rows, taken out of them, put back.

While a word is sealed the rows carry what the models said, so that nothing that reads rows (pages,
lists, API, exports, tickets) can tell of it. What the sealed word was is in ``Judgement.findings``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from inspection.models import Finding, Inspection, Review
from inspection.models.choices import FindingSourceChoice, FindingStatus, SeverityChoice
from inspection.selectors.findings import current_findings, is_standing

SAID = (
    "type", "severity", "status", "x1", "y1", "x2", "y2", "mask_counts", "mask_height",
    "mask_width", "area_px", "area_mm2", "length_px", "length_mm",
)  # fmt: skip
"""Columns of a finding that are a person's to change."""
RANK = {severity: rank for rank, severity in enumerate(SeverityChoice.values)}
SAME_IOU = 0.5


@dataclass(frozen=True)
class Word:
    """What somebody said of one finding. ``stands``: it is a defect for them. ``is_said``: they
    said so themselves, and did not leave it as the models had it. ``is_added``: they drew it."""

    id: str
    photo: str
    stands: bool
    is_said: bool
    is_added: bool
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The class it is for them, "" where it is no defect."""
        return str(self.columns["type"]) if self.stands else ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        x1, y1, x2, y2 = (float(self.columns[side]) for side in ("x1", "y1", "x2", "y2"))
        return x1, y1, x2, y2


def word_on(inspection: Inspection) -> list[Word]:
    """What the rows say now."""
    return [_word(finding) for finding in current_findings(inspection)]


def _word(finding: Finding) -> Word:
    return Word(
        id=str(finding.pk),
        photo=str(finding.photo_id),
        stands=is_standing(finding),
        is_said=finding.status != FindingStatus.OPEN,
        is_added=_is_added(finding),
        columns={name: getattr(finding, name) for name in SAID},
    )


def _is_added(finding: Finding) -> bool:
    return finding.source == FindingSourceChoice.PERSON and finding.run_id is None


def kept(words: Iterable[Word]) -> list[dict[str, Any]]:
    """As JSON."""
    return [asdict(word) for word in words]


def parsed(rows: Iterable[dict[str, Any]]) -> list[Word]:
    """Back from JSON."""
    return [Word(**row) for row in rows]


def take_out(inspection: Inspection) -> None:
    """Give the rows back what the models said: undo, in effect, every verdict on a finding that was
    given so far. Called inside a transaction that holds the inspection's lock."""
    for finding_id, values in before_verdicts(inspection).items():
        Finding.objects.filter(pk=finding_id).update(**values)
    added = Finding.objects.filter(
        inspection=inspection, source=FindingSourceChoice.PERSON, run__isnull=True
    )
    added.update(is_sealed=True)


def before_verdicts(inspection: Inspection) -> dict[UUID, dict[str, Any]]:
    """By finding, each changed column as it was before its first verdict."""
    first: dict[UUID, dict[str, Any]] = {}
    rows = Review.objects.filter(inspection=inspection, finding__isnull=False)
    for finding_id, before in rows.order_by("created_at", "id").values_list("finding", "before"):
        known = first.setdefault(finding_id, {})
        for name, value in before.items():
            if name in SAID:
                known.setdefault(name, value)
    return {finding: values for finding, values in first.items() if values}


def put_back(words: Iterable[Word]) -> None:
    """Let words be in force: those that were said, and what was drawn."""
    for word in words:
        if word.is_said or word.is_added:
            Finding.objects.filter(pk=word.id).update(is_sealed=False, **word.columns)


@dataclass(frozen=True)
class Compared:
    """Two words on one unit. ``pairs``: what each said of the same defect, None where one has
    nothing there; ``disputed``: those of them on which they contradict each other."""

    pairs: list[tuple[Word | None, Word | None]]
    disputed: list[tuple[Word, Word]]

    @property
    def labels(self) -> list[tuple[str, str]]:
        """For each defect that either saw or was shown, the class each gave it, "" for none."""
        return [(one.label if one else "", two.label if two else "") for one, two in self.pairs]

    @property
    def drawn(self) -> list[tuple[Word, Word]]:
        """Pairs of masks of which at least one was drawn by one of the two."""
        both = [(one, two) for one, two in self.pairs if one and two and one.stands and two.stands]
        return [
            (one, two)
            for one, two in both
            if one.columns["mask_counts"]
            and two.columns["mask_counts"]
            and one.columns["mask_counts"] != two.columns["mask_counts"]
        ]

    @property
    def merged(self) -> list[Word]:
        """What holds where the two don't contradict each other: a said word before an unsaid one,
        the second before the first, and the worse severity of the two."""
        disputed = {one.id for one, _ in self.disputed}
        return [
            _merge(one, two) for one, two in self.pairs if not (one and two and one.id in disputed)
        ]


def _merge(one: Word | None, two: Word | None) -> Word:
    if one is None or two is None:
        found = one or two
        assert found is not None, "a pair has at least one side"
        return found
    if not (one.is_said and two.is_said):
        return one if one.is_said else two
    worse = max(one.columns["severity"], two.columns["severity"], key=RANK.__getitem__)
    return Word(**(asdict(two) | {"columns": two.columns | {"severity": worse}}))


def compare(first: Sequence[Word], second: Sequence[Word]) -> Compared:
    """Lay two words side by side: by row where both had it, else by photo and overlap."""
    others = {word.id: word for word in second}
    pairs: list[tuple[Word | None, Word | None]] = []
    alone: list[Word] = []
    for word in first:
        if word.id in others:
            pairs.append((word, others.pop(word.id)))
        else:
            alone.append(word)
    pairs += match(alone, list(others.values()))
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return Compared(pairs, [pair for pair in both if _contradict(*pair)])


def _contradict(one: Word, two: Word) -> bool:
    """Both said something, and not the same."""
    return one.is_said and two.is_said and one.label != two.label


def match(left: list[Word], right: list[Word]) -> list[tuple[Word | None, Word | None]]:
    """Pair boxes of the same photo that overlap by half or more, the best overlaps first."""
    overlaps = sorted(
        (
            (box_iou(one.box, two.box), i, j)
            for i, one in enumerate(left)
            for j, two in enumerate(right)
            if one.photo == two.photo
        ),
        key=lambda found: (-found[0], found[1], found[2]),
    )
    mine: dict[int, int] = {}
    for overlap, i, j in overlaps:
        if overlap >= SAME_IOU and i not in mine and j not in mine.values():
            mine[i] = j
    pairs: list[tuple[Word | None, Word | None]] = [
        (one, right[mine[i]] if i in mine else None) for i, one in enumerate(left)
    ]
    taken = set(mine.values())
    return pairs + [(None, two) for j, two in enumerate(right) if j not in taken]


def box_iou(
    left: tuple[float, float, float, float], right: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    width = min(left[2], right[2]) - max(left[0], right[0])
    height = min(left[3], right[3]) - max(left[1], right[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (left, right)]
    return width * height / (sum(areas) - width * height)


def mask_iou(one: Word, two: Word) -> float | None:
    """Intersection over union of two masks, None where they are of different sizes."""
    from pycocotools import mask as coco  # here: only a decision needs it

    sizes = [(word.columns["mask_height"], word.columns["mask_width"]) for word in (one, two)]
    if sizes[0] != sizes[1]:
        return None
    left, right = (
        {"size": list(sizes[0]), "counts": word.columns["mask_counts"].encode("ascii")}
        for word in (one, two)
    )
    return float(coco.iou([left], [right], [0])[0][0])
