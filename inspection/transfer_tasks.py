"""Celery tasks of exports and imports: each job runs beside the worker's messages."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from inspection.celery import app
from inspection.services.background import in_thread
from inspection.services.exports import jobs as exports
from inspection.services.imports import jobs as imports


@app.task(name=exports.EXPORT)  # type: ignore[untyped-decorator]
def export(job_id: str) -> None:
    """Write an export."""
    in_thread("export", partial(exports.work, UUID(job_id)))


@app.task(name=imports.IMPORT)  # type: ignore[untyped-decorator]
def import_annotations(job_id: str) -> None:
    """Check a file of annotations, or let it come in."""
    in_thread("import", partial(imports.work, UUID(job_id)))
