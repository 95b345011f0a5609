"""A manager's word on an action that waits for one."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from inspection.actions.executor import execute
from inspection.models import ActionStep, Membership
from inspection.models.choices import ActionStatus, Role


@transaction.atomic
def approve(membership: Membership, step: ActionStep) -> bool:
    """Let an action happen, and do it; False where it no longer waits for approval."""
    _check(membership, step)
    mine = ActionStep.objects.filter(pk=step.pk, status=ActionStatus.APPROVAL).update(
        status=ActionStatus.READY, approved_by=membership.user
    )
    if mine:
        execute(step.action_plan_id)
    return bool(mine)


@transaction.atomic
def cancel(membership: Membership, step: ActionStep) -> bool:
    """Call an action off for good, with those that depend on it; False where it is too late."""
    _check(membership, step)
    undone = (ActionStatus.APPROVAL, ActionStatus.READY, ActionStatus.FAILED)
    mine = ActionStep.objects.filter(pk=step.pk, status__in=undone).update(
        status=ActionStatus.CANCELLED,
        message=f"Called off by {membership.user.get_username()}.",
        finished_at=timezone.now(),
    )
    if mine:
        execute(step.action_plan_id)
    return bool(mine)


def _check(membership: Membership, step: ActionStep) -> None:
    if step.site_id != membership.site_id or not membership.allows(Role.MANAGER):
        raise PermissionDenied("Only a quality manager of this site may decide on actions.")
