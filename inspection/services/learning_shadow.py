"""Shadow mode: a version looks at live photos beside the live one, and nothing comes of it.

It works on runs that have ended, in messages of its own, and writes only its own rows: a live run
knows nothing of it and can't be held up, changed or failed by it.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from inspection.models import Finding, Inspection, ModelVersion, Photo, Run, ShadowResult
from inspection.models.choices import PhotoStatus, RunStatus
from inspection.pipeline import wake
from inspection.services.learning_jobs import QUEUE

logger = logging.getLogger(__name__)

SHADOW = "inspection.learning_tasks.shadow"
SLICE_SECONDS = 5.0
RUNS_AT_ONCE = 20
GRACE = timedelta(seconds=1)
"""A run that ended less long ago may still have what follows it to do in the same worker."""


def wake_shadow(version_id: UUID) -> bool:
    return wake._send(SHADOW, str(version_id), QUEUE)


def due_versions() -> list[UUID]:
    """Versions in the shadow that have runs to look at, for the sweeper."""
    shadows = ModelVersion.objects.filter(shadow_since__isnull=False)
    return [version.pk for version in shadows if _due(version).exists()]


def catch_up(version_id: UUID, seconds: float = SLICE_SECONDS) -> bool:
    """Look at runs for so long; True where more wait."""
    version = ModelVersion.objects.filter(pk=version_id, shadow_since__isnull=False).first()
    if version is None:
        return False
    deadline = time.monotonic() + seconds
    for run in list(_due(version)[:RUNS_AT_ONCE]):
        _look(version, run)
        if time.monotonic() >= deadline:
            break
    return bool(_due(version).exists())


def _due(version: ModelVersion) -> QuerySet[Run]:
    seen = ShadowResult.objects.filter(version=version, run=OuterRef("pk"))
    runs = Run.objects.filter(
        ~Exists(seen),
        site=version.site_id,
        inspection__plan=version.plan_id,
        status=RunStatus.DONE,
        finished_at__gte=version.shadow_since,
        finished_at__lt=Now() - GRACE,
    )
    return runs.select_related("inspection__plan_version", "learned").order_by("finished_at")


def _look(version: ModelVersion, run: Run) -> None:
    """One run, once: two workers at once make one row. What goes wrong is written down."""
    told: dict[str, object]
    try:
        live, shadow = _answers(version, run)
        told = {"live": live, "shadow": shadow}
    except Exception as error:  # noqa: BLE001 whatever it is, it is the shadow's alone
        logger.warning("version %s in the shadow failed: %s", version.pk, error)
        told = {"error": str(error)[:1000] or type(error).__name__}
    with transaction.atomic():
        ShadowResult.objects.bulk_create(
            [
                ShadowResult(
                    site_id=version.site_id,
                    version=version,
                    run=run,
                    inspection_id=run.inspection_id,
                    **told,
                )
            ],
            ignore_conflicts=True,
        )


def _answers(version: ModelVersion, run: Run) -> tuple[dict[str, object], dict[str, object]]:
    """What the version that judged the run says, and what this one says, from the same readings."""
    from inspection.pipeline.learned import catalogue_of, delta_of, ref_of, runtime_with
    from inspection.services.learning_replay import Subject, answer, case_of, extractions
    from inspection.services.learning_steps import read_missing, readings_for
    from models_runtime.learning.delta import Delta

    unit: Inspection = run.inspection
    if unit.plan_version is None:
        raise ValueError("the unit has no plan any more")
    plan = unit.plan_version.parsed()
    if catalogue_of(plan) != version.catalogue:
        raise ValueError("the plan's catalogue is not the one that this version was learnt for")
    photos = list(
        Photo.objects.filter(inspection=unit, status=PhotoStatus.READY).values_list(
            "pk", "width", "height"
        )
    )
    known = readings_for([photo[0] for photo in photos], plan)
    if missing := [photo[0] for photo in photos if photo[0] not in known]:
        read_missing(missing, plan)
        known = readings_for([photo[0] for photo in photos], plan)
    rows = list(Finding.objects.filter(inspection=unit).defer("mask_counts"))
    subject = Subject(unit, photos, rows, known)
    told = []
    for ref in (ref_of(run.learned) if run.learned else None, ref_of(version)):
        said = extractions(delta_of(ref) if ref else Delta(), known, plan)
        told.append(answer(runtime_with(ref), case_of(subject, said, plan)).told())
    return told[0], told[1]
