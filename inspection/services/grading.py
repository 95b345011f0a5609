"""How a judgement of a gold unit compares with its known answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspection.models import GoldUnit, Grade, Judgement
from inspection.services import sealing
from inspection.services.sealing import Word


@dataclass(frozen=True, slots=True)
class Marks:
    """Counts of defects: see ``Grade``."""

    found: int
    missed: int
    misclassed: int
    overcalled: int


def marks_of(answer: Sequence[Word], given: Sequence[Word]) -> Marks:
    """Compare what stands in the answer with what stands for the reviewer, place by place."""
    wanted = [word for word in answer if word.stands]
    called = [word for word in given if word.stands]
    pairs = sealing.match(wanted, called)
    both = [(one, two) for one, two in pairs if one and two]
    same = sum(one.label == two.label for one, two in both)
    return Marks(
        found=same,
        missed=sum(two is None for _, two in pairs),
        misclassed=len(both) - same,
        overcalled=sum(one is None for one, _ in pairs),
    )


def grade(judgement: Judgement) -> Grade:
    """Grade a word on a gold unit, once."""
    gold = GoldUnit.objects.get(inspection=judgement.inspection_id)
    marks = marks_of(sealing.parsed(gold.findings), sealing.parsed(judgement.findings))
    row: Grade = Grade.objects.create(
        site_id=judgement.site_id,
        judgement=judgement,
        gold=gold,
        reviewer_id=judgement.reviewer_id,
        is_right=judgement.disposition == gold.disposition,
        found=marks.found,
        missed=marks.missed,
        misclassed=marks.misclassed,
        overcalled=marks.overcalled,
    )
    return row
