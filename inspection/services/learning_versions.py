"""Learnt versions go live, or don't, by a manager's word; each change is in the audit trail."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from inspection.models import Membership, ModelVersion, Plan
from inspection.models.choices import Role
from inspection.models.learning import VersionStatus
from inspection.services.learning_jobs import LearningRefusedError


@transaction.atomic
def accept(membership: Membership, version: ModelVersion) -> ModelVersion:
    """Let an offered version judge new runs in place of the live one. Verdicts stay as they are."""
    locked, live = _locked(membership, version)
    if locked.status != VersionStatus.OFFERED or "parts" not in locked.figures:
        raise LearningRefusedError("Only a version that is offered goes live. Reload the page.")
    if (locked.against_id or None) != (live.pk if live else None):
        raise LearningRefusedError(
            "Another version went live since this one was compared. Start learning again, so that "
            "it is compared with the one that judges now."
        )
    if live is not None:
        _set(live, membership, VersionStatus.RETIRED)
    _set(locked, membership, VersionStatus.LIVE, previous=live, shadow_since=None)
    version.refresh_from_db()
    return version


@transaction.atomic
def decline(membership: Membership, version: ModelVersion) -> None:
    """Put an offered version aside."""
    locked, _ = _locked(membership, version)
    if locked.status != VersionStatus.OFFERED:
        raise LearningRefusedError("Only a version that is offered can be declined.")
    _set(locked, membership, VersionStatus.DECLINED, shadow_since=None)
    version.refresh_from_db()


@transaction.atomic
def roll_back(membership: Membership, version: ModelVersion) -> ModelVersion | None:
    """Take the live version back: what was live before it judges again, or the shipped models."""
    locked, live = _locked(membership, version)
    if live is None or live.pk != locked.pk:
        raise LearningRefusedError("This version is not live any more. Reload the page.")
    before: ModelVersion | None = locked.previous
    _set(locked, membership, VersionStatus.ROLLED_BACK)
    if before is not None:
        _set(before, membership, VersionStatus.LIVE)
    version.refresh_from_db()
    return before


@transaction.atomic
def shadow(membership: Membership, version: ModelVersion, *, on: bool) -> None:
    """Let an offered version look at live photos without any effect, or no longer."""
    locked, _ = _locked(membership, version)
    if not on:
        ModelVersion.objects.filter(pk=locked.pk).update(shadow_since=None)
    elif locked.status != VersionStatus.OFFERED:
        raise LearningRefusedError("Only a version that is offered runs in the shadow.")
    elif locked.shadow_since is None:
        others = ModelVersion.objects.filter(plan=locked.plan_id, shadow_since__isnull=False)
        others.update(shadow_since=None)
        ModelVersion.objects.filter(pk=locked.pk).update(shadow_since=timezone.now())
    version.refresh_from_db()


def _locked(
    membership: Membership, version: ModelVersion
) -> tuple[ModelVersion, ModelVersion | None]:
    """The version and the live one, with the plan's row for us alone: one decision at a time."""
    if not membership.allows(Role.MANAGER):
        raise LearningRefusedError("Only quality managers decide on versions. Ask one of them.")
    plans = Plan.objects.for_site(membership.site).select_for_update(no_key=True, of=("self",))
    if not plans.filter(pk=version.plan_id).first():
        raise LearningRefusedError("This version belongs to another site.")
    locked = ModelVersion.objects.for_site(membership.site).get(pk=version.pk)
    live = ModelVersion.objects.filter(plan=version.plan_id, status=VersionStatus.LIVE).first()
    return locked, live


def _set(version: ModelVersion, membership: Membership, status: VersionStatus, **more: Any) -> None:
    ModelVersion.objects.filter(pk=version.pk).update(
        status=status, decided_by=membership.user, decided_at=timezone.now(), **more
    )
