"""Each step gets the cheapest architecture that can do it, and goes up only when it must."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_runtime.cascade import Tier, cost_microusd, run_cascade, run_cascade_many
from models_runtime.contracts import Architecture, EngineRef
from models_runtime.errors import FatalError, InputError, TransientError
from models_runtime.router import (
    NEEDS,
    TABLE,
    Modality,
    Need,
    OutputSpace,
    Precision,
    Volume,
    choose,
    choose_for_step,
)

EXPECTED = {
    "intake": Architecture.RULES,
    "route": Architecture.MLM,
    "extract": Architecture.VLM,
    "segment": Architecture.SAM,
    "compare": Architecture.COMPARE,
    "triage": Architecture.SLM,
    "report": Architecture.LLM,
    "act": Architecture.LAM,
}


@pytest.mark.parametrize(("step", "architecture"), EXPECTED.items())
def test_every_step_goes_to_the_architecture_of_the_design(
    step: str, architecture: Architecture
) -> None:
    choice = choose_for_step(step)
    assert choice.architecture is architecture
    assert len(choice.reason) > 20


def test_properties_change_the_choice() -> None:
    outline = NEEDS["segment"]
    assert choose(replace(outline, precision=Precision.HINT)).architecture is Architecture.VLM
    verdict = NEEDS["triage"]
    rare = replace(verdict, volume=Volume.ON_DEMAND, latency_ms=5_000)
    assert choose(rare).architecture is Architecture.LLM
    hurried = replace(NEEDS["report"], latency_ms=50)
    assert choose(hurried).architecture is Architecture.RULES


def test_what_no_architecture_can_do_is_said() -> None:
    with pytest.raises(FatalError, match="no architecture turns text into pixels"):
        choose(Need(OutputSpace.PIXELS, Modality.TEXT, 10, Volume.ON_DEMAND, Precision.HINT))


def test_every_row_of_the_table_can_be_reached() -> None:
    needs = [
        Need(output, modality, latency, volume, precision)
        for output in OutputSpace
        for modality in Modality
        for latency in (10, 5_000)
        for volume in Volume
        for precision in Precision
    ]
    reached = set()
    for need in needs:
        try:
            reached.add(choose(need).reason)
        except FatalError:
            continue
    assert reached == {rule.reason for rule in TABLE}


@dataclass(frozen=True)
class Fixed:
    """An engine that is always equally sure, or fails."""

    name: str
    sure: float = 0.0
    error: Exception | None = None

    @property
    def ref(self) -> EngineRef:
        return EngineRef(architecture=Architecture.SLM, engine=self.name, version="1")

    def answer(self) -> float:
        if self.error:
            raise self.error
        return self.sure


def tier(engine: Fixed, price: float = 0.0) -> Tier[Fixed]:
    return Tier(Architecture.SLM, engine.name, lambda: engine, price)


def ask(*engines: Fixed, threshold: float = 0.8):
    return run_cascade([tier(e) for e in engines], Fixed.answer, lambda v: v, threshold)


def test_sure_small_model_answers_alone() -> None:
    answer = ask(Fixed("small", 0.9), Fixed("large", 0.99))
    assert answer.ref.engine == "small"
    assert not answer.escalated
    assert not answer.to_person
    assert answer.reason == "small was 90% sure (80% needed)"


def test_unsure_small_model_hands_over_to_the_larger() -> None:
    answer = ask(Fixed("small", 0.5), Fixed("large", 0.95), Fixed("huge", 1.0))
    assert [run.engine for run in answer.ran] == ["small", "large"]
    assert answer.ref.engine == "large"
    assert answer.escalated
    assert not answer.to_person


def test_when_no_model_is_sure_the_surest_answer_goes_to_a_person() -> None:
    answer = ask(Fixed("small", 0.7), Fixed("large", 0.6))
    assert answer.ref.engine == "small"
    assert answer.to_person
    assert "a person decides" in answer.reason


def test_engine_that_is_down_is_passed_over() -> None:
    answer = ask(Fixed("small", error=TransientError("busy")), Fixed("large", 0.9))
    assert answer.ref.engine == "large"
    assert answer.ran[0].error == "busy"
    assert "failed (busy)" in answer.reason
    after = ask(Fixed("small", 0.5), Fixed("large", error=TransientError("busy")))
    assert after.ref.engine == "small"
    assert after.to_person


def test_all_engines_down_raises_so_that_the_step_is_retried() -> None:
    with pytest.raises(TransientError, match="second"):
        ask(Fixed("a", error=TransientError("first")), Fixed("b", error=TransientError("second")))


def test_unreadable_input_is_not_tried_on_every_engine() -> None:
    with pytest.raises(InputError):
        ask(Fixed("small", error=InputError("box outside")), Fixed("large", 1.0))


def test_larger_engine_is_not_even_loaded_while_the_small_one_is_sure() -> None:
    def never() -> Fixed:
        raise AssertionError("loaded without need")

    tiers = [tier(Fixed("small", 0.9)), Tier(Architecture.SLM, "large", never, 1.0)]
    assert run_cascade(tiers, Fixed.answer, lambda v: v, 0.8).ref.engine == "small"


def test_engine_that_cannot_be_loaded_is_named_by_its_setting() -> None:
    def broken() -> Fixed:
        raise FatalError("no weights")

    tiers = [Tier(Architecture.SLM, "embedded:", broken, 0.0), tier(Fixed("large", 0.9))]
    answer = run_cascade(tiers, Fixed.answer, lambda v: v, 0.8)
    assert answer.ran[0].engine == "embedded:"
    assert answer.ref.engine == "large"


def test_only_the_unsure_items_of_a_batch_go_up() -> None:
    asked: list[list[int]] = []

    def call(engine: Fixed, items: list[int]) -> list[float]:
        asked.append(items)
        return [1.0 if item % 2 == 0 or engine.name == "large" else 0.1 for item in items]

    tiers = [tier(Fixed("small")), tier(Fixed("large"))]
    answers = run_cascade_many(tiers, [1, 2, 3, 4], call, lambda v: v, 0.8)
    assert asked == [[1, 2, 3, 4], [1, 3]]
    assert [a.escalated for a in answers] == [True, False, True, False]


def test_cost_is_compute_time_at_the_machines_price() -> None:
    assert cost_microusd(3_600_000, 0.10) == 100_000
    slow = Tier(Architecture.SLM, "slow", lambda: Fixed("slow", 1.0), 3_600_000.0)

    def call(engine: Fixed) -> float:
        time.sleep(0.01)
        return engine.answer()

    answer = run_cascade([slow], call, lambda v: v, 0.5)
    assert answer.run_ms >= 10
    assert answer.cost_microusd == pytest.approx(answer.run_ms * 1_000_000, rel=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 1))
def test_a_cascade_never_asks_more_than_it_needs(sures: list[float], threshold: float) -> None:
    engines = [Fixed(str(i), sure) for i, sure in enumerate(sures)]
    answer = ask(*engines, threshold=threshold)
    first = next((i for i, sure in enumerate(sures) if sure >= threshold), None)
    assert len(answer.ran) == (len(sures) if first is None else first + 1)
    assert answer.to_person == (first is None)
    assert answer.confidence == max(sures[: len(answer.ran)])
