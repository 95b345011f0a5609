"""What a step of the pipeline is: rows → values → model → rows, knowing nothing of Celery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from inspection.models import Run
from inspection.models.choices import StepName
from models_runtime.cascade import escalation_of
from models_runtime.contracts import Architecture

if TYPE_CHECKING:
    from models_runtime.inspector import StepRecord

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Trace:
    """What is written down of a step beside its result: who answered, why that one, how sure.

    ``cost_microusd`` in millionths of a US dollar; None means the price of this machine's time.
    """

    architecture: Architecture = Architecture.RULES
    engine: str = "loupe"
    version: str = "1"
    reason: str = ""
    confidence: float | None = None
    escalated: bool = False
    cost_microusd: int | None = None
    output: dict[str, Any] = field(default_factory=dict)


def traced(records: Sequence[StepRecord], output: dict[str, Any] | None = None) -> Trace:
    """One trace from the runtime's records, one per photo: the least sure one speaks for all.

    Which engine answered what is added to ``output`` under "escalation".
    """
    if not records:
        return Trace(output=output or {})
    ran = [record.ran for record in records]
    told = {"escalation": escalation_of(ran).model_dump(mode="json")} if any(ran) else {}
    spoken = min(
        records, key=lambda record: 2.0 if record.confidence is None else record.confidence
    )
    return Trace(
        architecture=spoken.architecture,
        engine=spoken.engine,
        version=spoken.version,
        reason=spoken.reason,
        confidence=spoken.confidence,
        escalated=any(record.escalated for record in records),
        cost_microusd=sum(record.cost_microusd for record in records),
        output=(output or {}) | told,
    )


@dataclass(frozen=True)
class Step(Generic[Given, Result]):
    """One step. ``load`` and ``save`` touch rows; ``compute`` touches none, so that no database
    connection is held while a model works. ``save`` runs in the transaction that ends the step,
    only while the claim is still held, so it runs once. ``skip`` gives a reason, or "" to go on.

    ``compute_many``, where a step has it, does several units of one plan in one pass, one answer
    each and in their order. It may fail as a whole: then each unit is done by ``compute``.
    """

    name: StepName
    queue: str
    load: Callable[[Run], Given]
    compute: Callable[[Given], tuple[Result, Trace]]
    save: Callable[[Run, Result], None]
    skip: Callable[[Run], str] = lambda run: ""
    compute_many: Callable[[Sequence[Given]], list[tuple[Result, Trace]]] | None = None
