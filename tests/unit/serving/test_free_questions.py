"""Questions without a plan, to an engine that can answer them: bounded in time and in shape."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from PIL import Image

from models_runtime.errors import FatalError, TransientError
from models_runtime.intake.decode import DecodeLimits
from models_runtime.memory import MemoryExtractor
from models_runtime.openai_client import Message
from models_runtime.serving.models import Limits, PlanModel
from models_runtime.serving.problems import ApiError, from_engine
from models_runtime.serving.questions import ChatQuestion


class Talker(MemoryExtractor):
    """Answers when ``may_answer`` is set, with ``says`` or by raising it."""

    def __init__(self, says: str | Exception = "{}") -> None:
        super().__init__()
        self.says, self.asked = says, 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def complete(
        self, asked: Sequence[Message], image: Image.Image | None, schema: Any, most: int
    ) -> str:
        self.asked += 1
        self.may_answer.wait(30)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def talker() -> Iterator[Talker]:
    made = Talker()
    yield made
    made.may_answer.set()


def served(engine: MemoryExtractor, seconds: float = 30.0) -> PlanModel:
    return PlanModel(engine, Limits(DecodeLimits(), seconds=seconds))


def question(schema: Any = None) -> ChatQuestion:
    form = {"type": "json_schema", "json_schema": {"schema": schema or {"type": "object"}}}
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "response_format": form}
    return ChatQuestion.model_validate(body)


def test_it_is_answered(talker: Talker) -> None:
    told = served(talker).answer(question())
    assert told["choices"][0]["message"]["content"] == "{}"
    assert told["choices"][0]["finish_reason"] == "stop"


def test_one_that_waits_too_long_is_let_go_and_not_worked_off_later(talker: Talker) -> None:
    talker.may_answer.clear()
    model = served(talker, seconds=0.2)
    for _ in range(2):
        with pytest.raises(TransientError, match="overloaded"):
            model.answer(question())
    talker.may_answer.set()
    model.close()
    assert talker.asked == 1, "nobody waits for the second one any more"


@pytest.mark.parametrize(
    "schema",
    [{"type": "nonsense"}, {"type": "number", "minimum": "low"}, {"enum": 3}, {"required": [1]}],
)
def test_a_schema_that_is_none_is_refused_before_anything_is_decoded(
    talker: Talker, schema: Any
) -> None:
    with pytest.raises(ApiError) as caught:
        served(talker).answer(question(schema))
    assert (caught.value.status, caught.value.param) == (400, "response_format")
    assert talker.asked == 0


def test_what_the_engine_cannot_take_is_the_questions_fault_not_a_broken_server() -> None:
    """A 5xx would be asked again, and open the circuit breaker of the worker for everybody."""
    with pytest.raises(FatalError) as caught:
        served(Talker(FatalError("shorten the plan"))).answer(question())
    told = from_engine(caught.value)
    assert (told.status, told.kind) == (422, "invalid_request_error")
    assert told.message == "shorten the plan"


def test_an_engine_for_plans_only_says_so() -> None:
    with pytest.raises(ApiError, match="plans only"):
        served(MemoryExtractor()).answer(question())
