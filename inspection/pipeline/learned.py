"""The site's own version of the models in a worker: which one is live, and its files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from inspection.models import ModelVersion, Run
from inspection.models.learning import VersionStatus
from inspection.pipeline.runtime import runtime
from inspection.services.intake import fetch
from models_runtime.errors import FatalError
from models_runtime.plans import PlanSpec

if TYPE_CHECKING:
    from models_runtime.learning.delta import Delta
    from models_runtime.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LearnedRef:
    """A version as a value; the keys are where its files are stored."""

    id: UUID
    number: int
    digest: str
    tensors_key: str
    plain_key: str


def ref_of(version: ModelVersion) -> LearnedRef:
    return LearnedRef(
        version.pk, version.number, version.digest, version.tensors_key, version.plain_key
    )


def name_of(ref: LearnedRef | None) -> str:
    """What stands beside the engine's own version in every record; "" for the shipped models."""
    return f"site-{ref.number}.{ref.digest[:8]}" if ref else ""


def catalogue_of(plan: PlanSpec) -> str:
    """SHA-256 of what the extractor reads of the plan: by other words it gives other answers."""
    told = [plan.name, plan.description, *(d.model_dump(mode="json") for d in plan.defects)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def live_for(plan_id: UUID, plan: PlanSpec) -> LearnedRef | None:
    """The version that judges units of this plan; None: the shipped models as they are. One that
    was learnt for another catalogue does not judge."""
    row = ModelVersion.objects.filter(plan=plan_id, status=VersionStatus.LIVE).first()
    if row is None or row.catalogue != catalogue_of(plan):
        return None
    return ref_of(row)


def pin(run: Run, plan: PlanSpec) -> LearnedRef | None:
    """The live version, written down with the run, so that all its steps are judged by one."""
    plan_id = run.inspection.plan_id
    ref = live_for(plan_id, plan) if plan_id else None
    if run.learned_id != (ref.id if ref else None):
        run.learned_id = ref.id if ref else None
        Run.objects.filter(pk=run.pk).update(learned=run.learned_id)
    return ref


def pinned(run: Run) -> LearnedRef | None:
    """The version that this run's extraction was judged by."""
    if run.learned_id is None:
        return None
    row: ModelVersion | None = ModelVersion.objects.filter(pk=run.learned_id).first()
    return ref_of(row) if row else None


def runtime_with(ref: LearnedRef | None) -> Runtime:
    """The engines of this worker, with a version in front of them."""
    if ref is None:
        return runtime()
    from models_runtime.learning.applied import learned

    return learned(runtime(), delta_of(ref), name_of(ref))


@lru_cache(maxsize=16)
def delta_of(ref: LearnedRef) -> Delta:
    """The files of a version, read once per worker and checked against what was accepted."""
    from models_runtime.learning.delta import Delta, digest_of

    try:
        weights, plain = fetch(ref.tensors_key), fetch(ref.plain_key)
    except FileNotFoundError:
        raise FatalError(
            f"the files of learnt version {ref.number} are gone: roll it back"
        ) from None
    if digest_of(weights, plain) != ref.digest:
        raise FatalError(f"the files of learnt version {ref.number} were changed: roll it back")
    return Delta.of_files(weights, plain)
