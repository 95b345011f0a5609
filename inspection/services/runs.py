"""Starting a run of the pipeline over an inspection."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.db.models import Max

from inspection.models import Inspection, Plan, Run, StepRun, User
from inspection.models.choices import InspectionStatus, PhotoStatus, RunStatus
from inspection.pipeline import PIPELINE, progress
from inspection.pipeline.wake import wake
from inspection.services import queue


@transaction.atomic
def start_run(inspection: Inspection, requested_by: User | None, plan: Plan | None = None) -> Run:
    """Start a run with the plan's newest version; while one is under way, return that one.

    ``plan`` puts another plan of the site in the place of the unit's.
    Verdicts of people survive: see ``inspection.pipeline.settle``.
    """
    rows = Inspection.objects.select_for_update(no_key=True).defer("embedding", "search")
    locked = rows.get(pk=inspection.pk)
    under_way = locked.runs.filter(status=RunStatus.RUNNING).first()
    if under_way is not None:
        return under_way  # type: ignore[no-any-return]
    run = _new_run(locked, requested_by)
    # After the lock: a join would be empty where another transaction has changed the plan.
    wanted = plan or Plan.objects.select_related("current").filter(pk=locked.plan_id).first()
    changed = {
        "current_run": run,
        "plan": wanted,
        "plan_version": wanted.current if wanted else None,
    }
    if locked.decided_by_id is None:
        changed |= {"status": InspectionStatus.RECEIVED, "message": ""}
        queue.pause(locked)
    Inspection.objects.filter(pk=locked.pk).update(**changed)
    for name, value in changed.items():
        setattr(locked, name, value)
        setattr(inspection, name, value)
    first = progress.next_step(run)
    if first is not None:
        transaction.on_commit(partial(wake, run.pk, progress.put_in_queue(first)))
    return run


def _new_run(inspection: Inspection, requested_by: User | None) -> Run:
    last = inspection.runs.aggregate(last=Max("number"))["last"] or 0
    run: Run = Run.objects.create(
        site_id=inspection.site_id,
        inspection=inspection,
        number=last + 1,
        requested_by=requested_by,
    )
    StepRun.objects.bulk_create(
        StepRun(site_id=inspection.site_id, run=run, step=step.name, position=position)
        for position, step in enumerate(PIPELINE)
    )
    return run


def look_again_for_late_photos(run: Run) -> Run | None:
    """After a run: photos added to the unit while it was under way get a run of their own."""
    late = run.inspection.photos.filter(status=PhotoStatus.RECEIVED, created_at__gt=run.created_at)
    return start_run(run.inspection, run.requested_by) if late.exists() else None
