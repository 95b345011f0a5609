"""The gate asks for a person more often than triage, never less often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.contracts import Disposition, Triage
from models_runtime.risk.chances import ANY_DEFECT
from models_runtime.risk.gate import DialInForce, Unit, gate, gated

DIAL = DialInForce({ANY_DEFECT: 0.2, "dent": 0.1}, ("eyes 1",), check_share=0.05)


def triage(disposition: Disposition = Disposition.ACCEPT, needs_review: bool = False) -> Triage:
    return Triage(
        disposition=disposition, severity=None, priority=4, queue="accept", confidence=0.95,
        needs_review=needs_review, reasons=("nothing found",), probabilities={},
    )  # fmt: skip


def unit(any_defect: float = 0.05, dent: float = 0.0, **more: object) -> Unit:
    said = {"key": "unit 0", "engine": "eyes 1", "abstained": False} | more
    return Unit(chances={ANY_DEFECT: any_defect, "dent": dent}, **said)  # type: ignore[arg-type]


def test_a_unit_below_every_threshold_passes_and_keeps_its_triage() -> None:
    word = gate(DIAL, unit(), triage())
    assert (word.eligible, word.below, word.passes, word.reason) == (True, True, True, "")
    assert gated(triage(), word) == triage()


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (unit(any_defect=0.2), "chance of any defect 20.0%: the risk dial lets pass below 20.0%"),
        (unit(dent=0.3), "chance of dent 30.0%: the risk dial lets pass below 10.0%"),
    ],
)
def test_one_class_over_its_threshold_asks_for_a_person(one: Unit, words: str) -> None:
    word = gate(DIAL, one, triage())
    asked = gated(triage(), word)
    assert not word.below
    assert (asked.needs_review, asked.queue) == (True, "review")
    assert asked.reasons == ("nothing found", words)


@pytest.mark.parametrize(
    ("dial", "one", "words"),
    [
        (DialInForce({}, (), 0.0), unit(), "too few"),
        (DIAL, unit(engine="eyes 2"), "version of the extractor"),
        (DialInForce({ANY_DEFECT: 0.2}, ("eyes 1",), 0.0), unit(), "defect catalogue"),
    ],
)
def test_where_no_threshold_holds_everything_is_drawn(
    dial: DialInForce, one: Unit, words: str
) -> None:
    word = gate(dial, one, triage())
    assert (word.below, word.drawn, word.passes) == (False, True, False)
    assert words in word.reason
    assert gated(triage(), word).needs_review


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.sampled_from(list(Disposition)),
    st.text(max_size=5),
)
def test_the_gate_never_takes_a_person_away(
    any_defect: float, dent: float, abstained: bool, needs_review: bool, said: Disposition, key: str
) -> None:
    before = triage(said, needs_review)
    one = unit(any_defect, dent, abstained=abstained, key=key)
    after = gated(before, gate(DIAL, one, before))
    assert after.needs_review >= before.needs_review
    assert after.disposition == before.disposition
    if needs_review or said is not Disposition.ACCEPT or abstained:
        assert after == before


def test_the_draw_takes_the_stated_share_whatever_the_chances() -> None:
    dial = DialInForce(DIAL.thresholds, DIAL.engines, check_share=0.1)
    words = [
        gate(dial, unit(any_defect, key=f"unit {number}"), triage())
        for any_defect in (0.05, 0.6)
        for number in range(3000)
    ]
    below, over = words[:3000], words[3000:]
    assert [word.drawn for word in below] == [word.drawn for word in over]
    assert np.mean([word.drawn for word in below]) == pytest.approx(0.1, abs=0.02)
    drawn = next(word for word in below if word.drawn)
    assert "drawn at random" in gated(triage(), drawn).reasons[-1]
