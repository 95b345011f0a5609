"""An import in two stages: the check tells what would happen, the second does it, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from inspection.models import Finding, ImportedAnnotation, ImportJob, Inspection, Photo, Round
from inspection.models.background import JobStatus
from inspection.models.base import new_id
from inspection.models.choices import FindingSourceChoice, RoundState
from inspection.models.transfer import ImportStage
from inspection.services.background import Claim, JobFailedError, LostClaimError
from inspection.services.imports import reading
from inspection.services.imports.matching import (
    NewFinding,
    Outcome,
    Target,
    class_key,
    match,
    spec_of,
)
from inspection.services.imports.reading import Contents
from inspection.services.inspections import StoredFile, create_inspection
from inspection.services.intake import put, remove
from inspection.services.reviews import update_severity
from models_runtime import masks
from models_runtime.errors import InputError
from models_runtime.formats.annotated import BadAnnotationsError

MOST_LISTED = 200
NOTHING = "Nothing of this file would come in: see below why."


def run(claim: Claim) -> None:
    """Do the stage that is due."""
    rows = ImportJob.objects.select_related("site", "plan__current", "requested_by")
    job = rows.get(pk=claim.id)
    try:
        contents = reading.read(job, lambda: claim.beat(0))
        if job.stage == ImportStage.CHECK:
            _check(claim, job, contents)
        else:
            _apply(claim, job, contents)
    except BadAnnotationsError as error:
        _refuse(claim, error.problems)
    except FileNotFoundError:
        raise JobFailedError("The file is gone from the storage. Send it again.") from None
    except InputError as error:
        _refuse(claim, [str(error)])


def _refuse(claim: Claim, problems: list[str]) -> None:
    count = len(problems)
    words = f"Nothing was imported: {count} thing{'s are' if count > 1 else ' is'} wrong."
    claim.end(JobStatus.FAILED, words, report={"problems": problems})


def _check(claim: Claim, job: ImportJob, contents: Contents) -> None:
    spec = spec_of(job.plan)
    mapping = {name: class_key(name, spec) for name in contents.data.classes}
    everything = {name: key or spec.defects[0].key for name, key in mapping.items()}
    outcome = match(job, contents, everything, lambda: claim.beat(0))
    told = report_of(contents, outcome, mapping)
    held = claim.rows().update(
        status=JobStatus.READY,
        format=contents.data.format,
        report=told,
        mapping=mapping,
        total=told["findings"],
        message="" if told["findings"] or told["new_units"] else NOTHING,
        lease_until=None,
    )
    if not held:
        raise LostClaimError


def report_of(contents: Contents, outcome: Outcome, mapping: Mapping[str, str]) -> dict[str, Any]:
    """What would happen if every class came in."""
    counts = Counter(
        annotation.class_name for photo in contents.data.photos for annotation in photo.annotations
    )
    new = [target for target in outcome.targets if target.row is None]
    units = {target.row.inspection_id for target in outcome.targets if target.row is not None}
    return {
        "photos": len(contents.data.photos),
        "annotations": outcome.annotations,
        "findings": sum(len(target.findings) for target in outcome.targets),
        "units": len(units),
        "new_units": len(new),
        "there": outcome.there,
        "left_out": [list(pair) for pair in outcome.left_out[:MOST_LISTED]],
        "left_out_count": len(outcome.left_out),
        "classes": [
            {"name": name, "count": counts[name], "key": mapping[name]}
            for name in dict.fromkeys(contents.data.classes)
            if counts[name]
        ],
    }


def _apply(claim: Claim, job: ImportJob, contents: Contents) -> None:
    outcome = match(job, contents, job.mapping, lambda: claim.beat(0))
    new = [target for target in outcome.targets if target.row is None]
    stored = _store(claim, job, new)
    try:
        _write(claim, job, outcome, stored)
    except (LostClaimError, JobFailedError):
        if not ImportJob.objects.filter(pk=job.pk, attempt=claim.attempt).exists():
            raise  # somebody else goes on with these very files
        remove(file.stored_key for file in stored.values())
        raise
    except IntegrityError:
        raise JobFailedError(
            "The same annotations came in by another import meanwhile. Check this one again."
        ) from None


def _store(claim: Claim, job: ImportJob, new: list[Target]) -> dict[str, StoredFile]:
    """Photos of new units into the storage, by their path. The same keys each time, so that a
    second attempt writes over the first."""
    wanted = {target.packed.path: target.packed for target in new if target.packed}
    stored: dict[str, StoredFile] = {}
    for member in reading.members(job) if wanted else ():
        packed = wanted.get(member.path)
        if packed is None or member.data is None or member.path in stored:
            continue
        key = f"originals/{job.site_id}/{job.pk.hex[:6]}/{job.pk}-{len(stored)}"
        put(key, member.data)
        stored[member.path] = StoredFile(member.name, key, packed.sha256, packed.bytes)
        claim.beat(0)
    return stored


def _write(
    claim: Claim, job: ImportJob, outcome: Outcome, stored: Mapping[str, StoredFile]
) -> None:
    """All rows in one transaction, the end of the job among them."""
    with transaction.atomic():
        # Held to the end: whoever cancels or takes over waits, and then finds it done.
        if not list(claim.rows().select_for_update().values_list("pk")):
            raise LostClaimError
        existing = [target for target in outcome.targets if target.row is not None]
        units = _lock({t.row.inspection_id for t in existing if t.row is not None})
        _check_open(units)
        made = 0
        for target in existing:
            assert target.row is not None
            made += _add(job, target.row, target.findings)
        new = [target for target in outcome.targets if target.row is None]
        for target in new:
            made += _new_unit(job, target, stored)
        for unit in units:
            update_severity(unit)
        counts = {
            "findings": made,
            "units": len(units),
            "new units": len(new),
            "there already": outcome.there,
            "left out": len(outcome.left_out),
        }
        ended = claim.rows().update(
            status=JobStatus.DONE,
            counts=counts,
            done=made,
            total=made,
            finished_at=Now(),
            lease_until=None,
            message="",
        )
        if not ended:
            raise LostClaimError


def _lock(ids: set[Any]) -> list[Inspection]:
    rows = Inspection.objects.filter(pk__in=ids).select_for_update(no_key=True)
    return list(rows.defer("embedding", "search").order_by("pk"))


def _check_open(units: list[Inspection]) -> None:
    """A blind review may have begun since the photos were matched."""
    begun = Round.objects.filter(inspection__in=units).exclude(state=RoundState.FINAL)
    if begun.exists():
        raise JobFailedError(
            "A blind review of one of the units has begun meanwhile. Check this import again."
        )


def _new_unit(job: ImportJob, target: Target, stored: Mapping[str, StoredFile]) -> int:
    assert target.packed is not None
    file = stored[target.packed.path]
    unit = create_inspection(
        site=job.site,
        created_by=job.requested_by,
        files=[file],
        plan=job.plan,
        reference=file.name.rpartition(".")[0] or file.name,
        note=f"Imported from {job.name}",
    )
    return _add(job, unit.photos.get(), target.findings, size=target.packed.size)


def _add(
    job: ImportJob, photo: Photo, new: list[NewFinding], size: tuple[int, int] | None = None
) -> int:
    width, height = size or (photo.width or 1, photo.height or 1)
    scale = spec_of(job.plan).mm_per_px
    rows = [_row(job, photo, one, (width, height), scale) for one in new]
    Finding.objects.bulk_create(rows)
    ImportedAnnotation.objects.bulk_create(
        ImportedAnnotation(
            site_id=job.site_id,
            job=job,
            inspection_id=photo.inspection_id,
            photo=photo,
            finding=row,
            file_sha256=job.sha256,
            place=one.annotation.place[:300],
            class_name=one.annotation.class_name[:200],
        )
        for row, one in zip(rows, new, strict=True)
    )
    return len(rows)


def _row(
    job: ImportJob, photo: Photo, new: NewFinding, size: tuple[int, int], scale: float | None
) -> Finding:
    x1, y1, x2, y2 = new.box
    mask = new.mask
    area = masks.area(mask) if mask else round((x2 - x1) * (y2 - y1))
    length = masks.length(mask) if mask else max(x2 - x1, y2 - y1)
    score = new.annotation.score
    return Finding(
        site_id=job.site_id,
        inspection_id=photo.inspection_id,
        photo=photo,
        key=f"import-{new_id()}",
        type=new.type,
        severity=new.severity,
        source=FindingSourceChoice.IMPORT,
        confidence=1.0 if score is None else score,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        mask_counts=mask.counts if mask else "",
        mask_height=size[1] if mask else None,
        mask_width=size[0] if mask else None,
        area_px=area,
        area_mm2=None if scale is None else round(area * scale**2, 4),
        length_px=round(length, 2),
        length_mm=None if scale is None else round(length * scale, 4),
    )
