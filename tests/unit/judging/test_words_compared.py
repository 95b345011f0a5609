"""Two words on one unit laid side by side, and a word against a known answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.services import sealing
from inspection.services.grading import marks_of
from inspection.services.sealing import Word
from models_runtime import masks


def word(id: str, type: str = "dent", status: str = "open", **more: Any) -> Word:
    box = more.pop("box", (10.0, 10.0, 30.0, 30.0))
    columns = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    columns |= {"type": type, "severity": more.pop("severity", "major"), "status": status}
    columns |= {"mask_counts": more.pop("mask", ""), "mask_height": 40, "mask_width": 40}
    return Word(
        id, "photo", status != "rejected", status != "open", more.get("added", False), columns
    )


def test_a_said_word_wins_over_an_unsaid_one_and_is_no_contradiction() -> None:
    compared = sealing.compare([word("f", status="rejected")], [word("f")])
    assert not compared.disputed
    assert [one.columns["status"] for one in compared.merged] == ["rejected"]
    assert compared.labels == [("", "dent")]


@pytest.mark.parametrize(
    "other", [{"status": "rejected"}, {"type": "crack", "status": "confirmed"}]
)
def test_two_said_words_that_differ_are_disputed_and_hold_for_nobody(other: dict[str, str]) -> None:
    compared = sealing.compare([word("f", status="confirmed")], [word("f", **other)])
    assert len(compared.disputed) == 1
    assert compared.merged == []


def test_of_two_severities_the_worse_holds() -> None:
    one = word("f", status="confirmed", severity="critical")
    two = word("f", status="confirmed", severity="minor")
    for pair in ((one, two), (two, one)):
        (merged,) = sealing.compare([pair[0]], [pair[1]]).merged
        assert merged.columns["severity"] == "critical"


def test_what_both_drew_in_the_same_place_is_one_defect() -> None:
    first = word("a", status="confirmed", added=True)
    second = word("b", status="confirmed", added=True, box=(11.0, 10.0, 31.0, 30.0))
    compared = sealing.compare([first], [second])
    assert compared.labels == [("dent", "dent")]
    assert [one.id for one in compared.merged] == ["b"]
    far = sealing.compare([first], [word("b", status="confirmed", added=True, box=(0, 0, 5, 5))])
    assert sorted(far.labels) == [("", "dent"), ("dent", "")]
    assert len(far.merged) == 2


def test_masks_overlap_as_their_pixels_do() -> None:
    left, right = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    left[10:30, 10:30] = True
    right[10:30, 20:40] = True
    one, two = (word("f", mask=masks.encode(area).counts) for area in (left, right))
    assert sealing.mask_iou(one, two) == pytest.approx(200 / 600)
    assert sealing.compare([one], [two]).drawn == [(one, two)]
    assert sealing.compare([one], [one]).drawn == [], "an untouched mask is nobody's drawing"


def test_a_word_survives_being_kept() -> None:
    one = word("f", status="confirmed", mask="abc")
    assert sealing.parsed(sealing.kept([one])) == [one]


def test_a_judgement_is_graded_place_by_place() -> None:
    answer = [
        word("a", box=(0, 0, 10, 10)),
        word("b", box=(50, 0, 60, 10)),
        word("c", box=(0, 50, 10, 60)),
        word("no", status="rejected", box=(80, 80, 90, 90)),
    ]
    given = [
        word("1", box=(0, 0, 10, 11)),
        word("2", type="crack", box=(50, 0, 60, 10)),
        word("3", box=(80, 80, 90, 90)),
    ]
    marks = marks_of(answer, given)
    assert (marks.found, marks.misclassed, marks.missed, marks.overcalled) == (1, 1, 1, 1)


BOXES = st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 30)] * 2).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)
WORDS = st.lists(BOXES, max_size=6).map(
    lambda boxes: [word(f"w{n}", status="confirmed", box=box) for n, box in enumerate(boxes)]
)


@given(WORDS, WORDS)
def test_every_word_is_in_exactly_one_pair(left: list[Word], right: list[Word]) -> None:
    pairs = sealing.match(left, right)
    assert sorted(one.id for one, _ in pairs if one) == sorted(one.id for one in left)
    assert sorted(two.id for _, two in pairs if two) == sorted(two.id for two in right)
    for one, two in pairs:
        if one and two:
            assert sealing.box_iou(one.box, two.box) >= sealing.SAME_IOU


@given(WORDS)
def test_a_word_agrees_with_itself(words: list[Word]) -> None:
    compared = sealing.compare(words, words)
    assert not compared.disputed
    assert compared.merged == words
    marks = marks_of(words, words)
    assert (marks.missed, marks.misclassed, marks.overcalled) == (0, 0, 0)
