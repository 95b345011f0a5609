"""From one step to the next, and to the end of a run. Called inside the caller's transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from inspection.models import Inspection, Run, StepRun
from inspection.models.choices import InspectionStatus, RunStatus, StepName, StepStatus
from inspection.pipeline import PIPELINE
from inspection.pipeline.step import Step
from inspection.services import queue

SETTLED = (StepStatus.DONE, StepStatus.SKIPPED)


def step_named(name: str) -> Step[Any, Any]:
    """The step of the pipeline with this name."""
    return next(step for step in PIPELINE if step.name == name)


def loaded_run(run_id: UUID) -> Run:
    """The run with its inspection."""
    run: Run = _runs().get(pk=run_id)
    return run


def locked_run(run_id: UUID) -> Run:
    """The run with its inspection, which is locked: verdicts of people come before or after."""
    run: Run = _runs().select_for_update(no_key=True, of=("inspection",)).get(pk=run_id)
    return run


def _runs() -> Any:
    # The embedding takes longer to read than all the rest, and no step reads it.
    return Run.objects.select_related("inspection").defer(
        "inspection__embedding", "inspection__search"
    )


def mark_running(run_id: UUID) -> None:
    """Show that work has begun. What was decided stays so while it is looked at again."""
    Inspection.objects.filter(current_run=run_id, status=InspectionStatus.RECEIVED).update(
        status=InspectionStatus.RUNNING
    )


def next_step(run: Run) -> StepRun | None:
    """The next step that is called for, still waiting. Where there is none, the run has ended."""
    failed = run.inspection.status == InspectionStatus.FAILED
    waiting = run.steps.filter(status=StepStatus.WAITING).order_by("position")
    for row in waiting.only("run", "step", "attempt"):
        reason = "There is no usable photo." if failed else step_named(row.step).skip(run)
        if not reason:
            return row  # type: ignore[no-any-return]
        _update(row, status=StepStatus.SKIPPED, reason=reason, finished_at=Now())
    _end_run(run, RunStatus.FAILED if failed else RunStatus.DONE)
    return None


def put_in_queue(row: StepRun) -> str:
    """Let any worker of the step's queue begin it; returns the queue's name."""
    _update(row, status=StepStatus.QUEUED, queued_at=Now())
    return step_named(row.step).queue


def fail_run(run: Run, message: str) -> None:
    """End a run that can reach no verdict; the inspection says why.

    What a person decided stands. So do the findings of an earlier run where this one has none yet.
    """
    _show_earlier_run(run)
    run.steps.filter(status=StepStatus.WAITING).update(
        status=StepStatus.SKIPPED, reason="An earlier step failed.", finished_at=Now()
    )
    unit = Inspection.objects.filter(pk=run.inspection_id)
    unit.filter(decided_by__isnull=True).update(status=InspectionStatus.FAILED, message=message)
    unit.filter(decided_by__isnull=False).update(message=f"Looking again failed. {message}")
    if run.inspection.decided_by_id is None:
        queue.withdraw(run.inspection)
    _end_run(run, RunStatus.FAILED)


def _show_earlier_run(run: Run) -> None:
    """Findings are settled with the segment step; before it the last whole run is worth more."""
    if run.steps.filter(step=StepName.SEGMENT, status__in=SETTLED).exists():
        return
    earlier = run.inspection.runs.filter(status=RunStatus.DONE, number__lt=run.number).first()
    if earlier is not None:
        Inspection.objects.filter(pk=run.inspection_id).update(current_run=earlier)


def _end_run(run: Run, status: RunStatus) -> None:
    Run.objects.filter(pk=run.pk).update(status=status, finished_at=Now())


def _update(row: StepRun, **values: Any) -> None:
    StepRun.objects.filter(pk=row.pk).update(**values)
