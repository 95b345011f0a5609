"""Writing an export: unit by unit into a file on disk, then into the storage."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.utils import timezone

from inspection.models import ExportJob
from inspection.models.background import JobStatus
from inspection.models.transfer import ExportFormat
from inspection.selectors import exports as reads
from inspection.selectors.inspections import InspectionFilter
from inspection.services.background import Claim, JobFailedError
from inspection.services.exports.coco import CocoWriter
from inspection.services.exports.jobs import export_key
from inspection.services.exports.options import ExportOptions
from inspection.services.exports.scene import Classes, Scene, Writer, counted
from inspection.services.exports.tables import TableWriter
from inspection.services.exports.voc import VocWriter
from inspection.services.exports.yolo import YoloWriter

MOST_UNITS = 100_000
AT_ONCE = 25
PIECE = 1_000_000
WRITERS: dict[str, Callable[[Scene], Writer]] = {
    ExportFormat.COCO: CocoWriter,
    ExportFormat.YOLO: YoloWriter,
    ExportFormat.VOC: VocWriter,
    ExportFormat.CSV: lambda scene: TableWriter(scene, "csv"),
    ExportFormat.PARQUET: lambda scene: TableWriter(scene, "parquet"),
}


def run(claim: Claim) -> None:
    """Do the whole job. JobFailedError with words for people."""
    job = ExportJob.objects.select_related("site").get(pk=claim.id)
    rows = reads.wanted_units(job.site, InspectionFilter.parse(job.query))
    ids = list(rows.order_by("-created_at", "-id").values_list("pk", flat=True)[: MOST_UNITS + 1])
    check_count(len(ids))
    claim.save(total=len(ids), done=0)
    with TemporaryFile() as file:
        counts = _write(job, claim, ids, reads.plans_of(rows), file)
        digest, size = _digest(file, lambda: claim.beat(len(ids)))
        key = export_key(job, claim.attempt)
        default_storage.save(key, _Told(file, lambda: claim.beat(len(ids))))
    kept = claim.end(
        JobStatus.DONE,
        counts=counts,
        done=len(ids),
        file_key=key,
        file_name=f"{job.site.slug}-{job.format}-{timezone.localtime(job.created_at):%Y-%m-%d}.zip",
        size_bytes=size,
        sha256=digest,
        expires_at=timezone.now() + timedelta(days=settings.EXPORT_DAYS),
    )
    if not kept:
        default_storage.delete(key)


def check_count(count: int) -> None:
    """JobFailedError where there is nothing to export, or too much."""
    if not count:
        raise JobFailedError("No unit fits these filters any more. Choose others.")
    if count > MOST_UNITS:
        raise JobFailedError(
            f"These filters let through more than {MOST_UNITS:,} units. Narrow them, for "
            "example by date."
        )


def _write(
    job: ExportJob, claim: Claim, ids: list[UUID], plans: list[Any], file: IO[bytes]
) -> dict[str, int]:
    done = 0
    wanted = InspectionFilter.parse(job.query)
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        ExitStack() as files,
    ):
        scene = Scene(
            archive=archive,
            options=ExportOptions.parsed(job.options),
            classes=Classes(plans),
            site=job.site.name,
            words=", ".join(filter_words(wanted)) or "all units",
            at=job.created_at,
            beat=lambda: claim.beat(done),
            files=files,
        )
        writer = WRITERS[job.format](scene)
        for some in _batches(ids):
            for unit in reads.read_units(job.site, some, scene.options.findings):
                writer.add(unit)
                counted(scene, unit)
            done += len(some)
            claim.beat(done)
        writer.finish()
    return {name: count for name, count in scene.counts.items() if count}


def _batches(ids: list[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def filter_words(wanted: InspectionFilter) -> list[str]:
    """The filters for people."""
    told = [f"{n} {v}" for n in ("status", "disposition", "severity") if (v := getattr(wanted, n))]
    told += [f"plan {wanted.plan}"] if wanted.plan else []
    told += [f"“{wanted.q}”"] if wanted.q else []
    return [*told, *wanted.behind.words()]


def _digest(file: IO[bytes], beat: Callable[[], None]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
        beat()
    file.seek(0)
    return digest.hexdigest(), size


class _Told(File):  # type: ignore[type-arg]
    """A file that keeps the claim while the storage reads it."""

    def __init__(self, file: IO[bytes], beat: Callable[[], None]) -> None:
        super().__init__(file, name="export.zip")
        self._beat, self._source = beat, file

    def read(self, size: int = -1) -> bytes:
        self._beat()
        return self._source.read(size)

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.seek(0)
        while piece := self.read(PIECE):
            yield piece
