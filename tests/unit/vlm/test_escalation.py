"""The dear engine is asked for what the cheap one left open, and for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.cascade import Tier, escalation_of
from models_runtime.contracts import (
    Architecture,
    AttributeResult,
    Box,
    DefectCandidate,
    EngineRef,
    Extraction,
    PhotoPixels,
)
from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.inspector import extract_photo
from models_runtime.plans import PlanSpec
from models_runtime.runtime import Runtime
from models_runtime.vlm.escalation import Extracted, extract_by_cascade, merged, open_part
from models_runtime.vlm.sureness import abstained
from tests.unit.vlm.plans import GARMENTS

BOX = Box(x1=1, y1=1, x2=9, y2=9)
VALUES = {"category": "Dress", "kids": True, "condition": 7, "length": 95.0, "brand": "Acme"}


def photo(number: int = 0) -> PhotoPixels:
    return PhotoPixels(np.zeros((10, 10, 3), np.uint8), f"{number:064x}")


@dataclass
class Fixed:
    """Answers each part of a plan with the confidence given; 0 abstains. Notes what it is asked."""

    name: str
    sure: dict[str, float] = field(default_factory=dict)
    defect_probability: float = 0.02
    error: EngineError | None = None
    lost: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def ref(self) -> EngineRef:
        return EngineRef(architecture=Architecture.VLM, engine=self.name, version="1")

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        keys = tuple(c.key for c in plan.characteristics)
        self.asked.append((*keys, *(["defects"] if plan.defects else [])))
        if self.error:
            raise self.error
        return [self._one(plan) for _ in photos]

    def _one(self, plan: PlanSpec) -> Extraction:
        if self.lost:
            return abstained(plan, f"{self.name} is lost")
        chance = self.defect_probability if plan.defects else 0.0
        found = DefectCandidate(type="hole", box=BOX, confidence=chance, severity="major")
        answers = tuple(self._answer(c.key) for c in plan.characteristics)
        return Extraction(
            attributes=answers,
            defects=(found,) if chance > 0.5 else (),
            defect_probability=chance,
            in_domain=1.0,
            confidence=0.9,
            abstained=False,
            embedding=(1.0,) if self.name == "small" else (),
            basis="" if self.name == "small" else "tokens",
        )

    def _answer(self, key: str) -> AttributeResult:
        sure = self.sure.get(key, 0.0)
        value = VALUES[key] if sure else None
        return AttributeResult(key=key, value=value, confidence=sure, abstained=not sure)


def ask(*engines: Fixed, plan: PlanSpec = GARMENTS) -> Extracted:
    tiers = [Tier(Architecture.VLM, e.name, lambda e=e: e, 3.6) for e in engines]
    return extract_by_cascade(tiers, [photo()], plan)[0]


EASY = {"category": 0.9, "kids": 0.8, "condition": 0.7}
ALL = dict.fromkeys(VALUES, 0.75)


def test_an_engine_that_is_sure_of_everything_answers_alone() -> None:
    large = Fixed("large", ALL)
    found = ask(Fixed("small", ALL), large)
    assert large.asked == []
    assert not found.escalated
    assert found.ran[0].answered == ("category", "kids", "condition", "length", "brand", "defects")


def test_only_free_text_and_number_are_asked_of_the_dear_engine_and_sure_answers_stay() -> None:
    large = Fixed("large", ALL | {"category": 0.99})
    found = ask(Fixed("small", EASY), large)
    assert large.asked == [("length", "brand")]
    by_key = {a.key: a for a in found.value.attributes}
    assert by_key["category"].confidence == 0.9, "the small one's"
    assert by_key["brand"].value == "Acme"
    assert found.escalated
    assert not found.to_person
    assert [run.answered for run in found.ran] == [
        ("category", "kids", "condition", "defects"),
        ("length", "brand"),
    ]
    assert found.ref.engine == "small", "it answered the state"
    assert found.value.embedding == (1.0,)
    assert found.value.basis == "tokens"
    assert "small was asked for" in found.reason
    assert "large answered length, brand" in found.reason


def test_an_answer_that_is_too_unsure_is_asked_again_and_the_surer_one_stands() -> None:
    unsure = ALL | {"category": 0.3, "kids": 0.4}
    found = ask(Fixed("small", unsure), Fixed("large", ALL | {"kids": 0.1}))
    by_key = {a.key: a.confidence for a in found.value.attributes}
    assert by_key["category"] == 0.75
    assert by_key["kids"] == 0.4
    assert found.ran[1].asked == ("category", "kids")
    assert found.ran[1].answered == ("category",)


@pytest.mark.parametrize(("first", "second", "stands"), [
    (0.60, 0.95, 0.95), (0.40, 0.02, 0.02), (0.60, 0.55, 0.60), (0.30, 0.75, 0.75),
])  # fmt: skip
def test_a_state_near_a_coin_toss_goes_up_and_boxes_come_with_their_chance(
    first: float, second: float, stands: float
) -> None:
    small, large = Fixed("small", ALL, first), Fixed("large", ALL, second)
    found = ask(small, large)
    assert large.asked == [("defects",)]
    assert found.value.defect_probability == stands
    assert bool(found.value.defects) == (stands > 0.5)


def test_what_the_small_engine_does_not_know_at_all_is_asked_whole() -> None:
    large = Fixed("large", ALL, 0.9)
    found = ask(Fixed("small", lost=True), large)
    assert large.asked == [("category", "kids", "condition", "length", "brand", "defects")]
    assert not found.value.abstained
    assert found.value.reasons == ()
    assert found.value.in_domain == 1.0
    assert found.ref.engine == "large"


def test_when_nobody_knows_a_person_decides_and_both_say_why() -> None:
    found = ask(Fixed("small", lost=True), Fixed("large", lost=True))
    assert found.value.abstained
    assert found.to_person
    assert found.value.reasons == ("small is lost", "large is lost")
    assert found.reason.endswith("a person decides")


@pytest.mark.parametrize(
    "error", [TransientError("busy"), FatalError("no model"), InputError("refused")]
)
def test_a_dear_engine_that_fails_takes_nothing_away(error: EngineError) -> None:
    found = ask(Fixed("small", EASY), Fixed("large", error=error))
    assert found.value.attributes[0].value == "Dress"
    assert found.ran[1].error == str(error)
    assert "large failed" in found.reason
    assert found.escalated


def test_a_cheap_engine_that_fails_is_passed_over() -> None:
    found = ask(Fixed("small", error=TransientError("busy")), Fixed("large", ALL))
    assert found.ref.engine == "large"
    assert found.ran[0].error == "busy"
    assert found.ran[0].answered == ()


def test_where_all_fail_the_last_error_is_raised_and_unreadable_input_at_once() -> None:
    with pytest.raises(TransientError, match="second"):
        ask(Fixed("a", error=TransientError("first")), Fixed("b", error=TransientError("second")))
    large = Fixed("large", ALL)
    with pytest.raises(InputError):
        ask(Fixed("small", error=InputError("no photo")), large)
    assert large.asked == []
    with pytest.raises(FatalError, match="at least one"):
        extract_by_cascade([], [photo()], GARMENTS)


def test_photos_with_the_same_open_questions_share_one_call() -> None:
    class BySha(Fixed):
        def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
            whole = super().extract(photos, plan)
            return [
                abstained(plan, "lost") if int(p.sha256, 16) == 2 else one
                for p, one in zip(photos, whole, strict=True)
            ]

    large = Fixed("large", ALL)
    tiers = [
        Tier(Architecture.VLM, e.name, lambda e=e: e, 3.6) for e in (BySha("small", EASY), large)
    ]
    found = extract_by_cascade(tiers, [photo(n) for n in range(4)], GARMENTS)
    assert [len(asked) for asked in large.asked] == [2, 6]
    assert all(one.escalated for one in found)
    told = escalation_of([one.ran for one in found])
    assert (told.cases, told.escalated) == (4, 4)
    small_share, large_share = told.engines
    assert small_share.answered == {"category": 3, "kids": 3, "condition": 3, "defects": 3}
    assert large_share.asked == {
        "length": 4, "brand": 4, "category": 1, "kids": 1, "condition": 1, "defects": 1
    }  # fmt: skip
    assert told.engines[1].cases == 4


def test_the_record_of_the_step_holds_who_answered_what_and_the_cost_of_both() -> None:
    runtime = Runtime.from_settings({"vlm": "small: large:?cost_per_hour=36"})
    runtime.registry.put(Architecture.VLM, "small:", Fixed("small", EASY))
    runtime.registry.put(Architecture.VLM, "large:?cost_per_hour=36", Fixed("large", ALL))
    record = extract_photo(runtime, photo(), GARMENTS).record
    assert [run.engine for run in record.ran] == ["small", "large"]
    assert record.escalated
    assert record.run_ms == pytest.approx(sum(run.run_ms for run in record.ran), abs=0.01)
    assert record.cost_microusd == sum(run.cost_microusd for run in record.ran)


SURE = st.fixed_dictionaries(dict.fromkeys(VALUES, st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])))


@given(SURE, SURE, st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans())
def test_a_second_answer_never_makes_a_part_less_sure(
    first: dict[str, float], second: dict[str, float], p: float, q: float, lost: bool, dull: bool
) -> None:
    (known,) = Fixed("small", first, p, lost=lost).extract([photo()], GARMENTS)
    part = open_part(known, GARMENTS)
    if part is None:
        return
    (answer,) = Fixed("large", second, q, lost=dull).extract([photo()], part)
    both, better = merged(known, answer, GARMENTS)
    for before, after in zip(known.attributes, both.attributes, strict=True):
        assert after.confidence >= before.confidence
        assert after.key in better or after == before
    if not known.abstained:
        sure = abs(known.defect_probability - 0.5)
        assert abs(both.defect_probability - 0.5) >= sure
    assert both.abstained == (known.abstained and answer.abstained)
    assert Extraction.model_validate(both.model_dump()) == both
