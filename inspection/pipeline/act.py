"""Act: what the plan's playbook asks for, once a verdict stands."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from inspection.models import Run
from inspection.models.choices import InspectionStatus, StepName
from inspection.pipeline.extract import NO_PLAN, plan_of
from inspection.pipeline.runtime import runtime
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import ActionGraph, ActionInput, Architecture, EngineRef

if TYPE_CHECKING:
    from models_runtime.inspector import StepRecord

WAITS = "It waits for a person's decision."


def skip(run: Run) -> str:
    unit = run.inspection
    if not unit.plan_version_id:
        return NO_PLAN
    if unit.status == InspectionStatus.REVIEW:
        return WAITS
    return "" if plan_of(run).playbook else "The plan's playbook asks for nothing."


class RecordingPlanner:
    """The runtime's planners as one, which keeps the record of what was planned."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    @property
    def ref(self) -> EngineRef:
        return EngineRef(architecture=Architecture.LAM, engine="cascade", version="1")

    def plan(self, case: ActionInput) -> ActionGraph:
        from models_runtime.inspector import plan_actions

        done = plan_actions(runtime(), case)
        self.records.append(done.record)
        return done.value


def load(run: Run) -> UUID:
    return run.inspection_id


def compute(inspection_id: UUID) -> tuple[int, Trace]:
    """Plan, and write tickets to the outbox, each once. This one step of all works on rows here:
    what it does is unique by constraint, so that it may be done again."""
    from inspection.actions.act import act_on  # here, because actions lean on the pipeline's parts

    planner = RecordingPlanner()
    steps = act_on(inspection_id, planner)
    return len(steps), traced(planner.records, {"actions": len(steps)})


def save(run: Run, actions: int) -> None:
    """Everything is saved already."""


ACT = Step(StepName.ACT, "actions", load, compute, save, skip)
