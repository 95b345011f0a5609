"""Doing an action graph durably: each step ends in one transaction, together with what it wrote.

Killed at any moment, a step is either done with its rows or not begun; running it again goes on
from there. Two workers at once meet at the conditional UPDATE, and one of them finds nothing left.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from inspection.actions.catalogue import ActionFailed, find
from inspection.models import ActionStep
from inspection.models.choices import ActionStatus

UPSTREAM = "An action that this one depends on was not done."
UNDONE = (ActionStatus.FAILED, ActionStatus.CANCELLED)
OPEN = (ActionStatus.READY, ActionStatus.APPROVAL)


def execute(action_plan_id: UUID) -> None:
    """Do every step that is ready and whose dependencies are done, until none is left."""
    while _pass(action_plan_id):
        pass


def _pass(action_plan_id: UUID) -> bool:
    """One look at all steps; True where something changed, so that others may have become ready."""
    steps = list(
        ActionStep.objects.filter(action_plan=action_plan_id).select_related(
            "site", "action_plan__inspection__plan_version", "finding__photo"
        )
    )
    states = {step.key: ActionStatus(step.status) for step in steps}
    changed = [_advance(step, states) for step in steps if step.status in OPEN]
    return any(changed)


def _advance(step: ActionStep, states: Mapping[str, ActionStatus]) -> bool:
    needed = [states.get(key, ActionStatus.CANCELLED) for key in step.depends_on]
    if any(state in UNDONE for state in needed):
        return _move(step, OPEN, ActionStatus.CANCELLED, UPSTREAM)
    if step.status != ActionStatus.READY or any(s is not ActionStatus.DONE for s in needed):
        return False
    try:
        return _perform(step)
    except ActionFailed as error:
        return _move(step, (ActionStatus.READY,), ActionStatus.FAILED, str(error))


@transaction.atomic
def _perform(step: ActionStep) -> bool:
    """Claim and do in one transaction; False where another worker has done it meanwhile."""
    if not _move(step, (ActionStatus.READY,), ActionStatus.DONE, ""):
        return False
    message = find(step.action)(step)
    ActionStep.objects.filter(pk=step.pk).update(message=message)
    return True


def _move(
    step: ActionStep, before: tuple[ActionStatus, ...], after: ActionStatus, message: str
) -> bool:
    return bool(
        ActionStep.objects.filter(pk=step.pk, status__in=before).update(
            status=after, message=message, finished_at=timezone.now()
        )
    )
