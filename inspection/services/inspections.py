"""Making inspections: the unit, its photos and the first run, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from inspection.models import Inspection, Photo, Plan, Site, User
from inspection.models.choices import RunStatus
from inspection.services.intake import StoredFile, store_bytes
from inspection.services.runs import start_run

LONGEST_REFERENCE = 200
LONGEST_NOTE = 4000
LONGEST_CONTEXT = 64
CONTEXT = ("line", "shift", "supplier", "product")


@transaction.atomic
def create_inspection(
    *,
    site: Site,
    created_by: User | None,
    files: Sequence[StoredFile],
    plan: Plan | None,
    reference: str = "",
    note: str = "",
    wants_report: bool = False,
    is_sample: bool = False,
    earlier_id: UUID | None = None,
    context: Mapping[str, str] | None = None,
) -> Inspection:
    """Make an inspection of one unit and wake the pipeline when the transaction is through.

    Without a plan the pipeline chooses one; ``earlier_id`` is the inspection of the site to compare
    with, found by the reference where none is given. ``context``: line, shift, supplier and
    product, where known. Raises ValueError without photos or for a plan
    of another site.
    """
    if not files:
        raise ValueError("an inspection needs at least one photo")
    if plan is not None and plan.site_id != site.pk:
        raise ValueError("this plan belongs to another site")
    inspection: Inspection = Inspection.objects.create(
        site=site,
        created_by=created_by,
        plan=plan,
        plan_version=plan.current if plan else None,
        reference=storable(reference)[:LONGEST_REFERENCE],
        note=storable(note)[:LONGEST_NOTE],
        wants_report=wants_report,
        is_sample=is_sample,
        earlier_id=earlier_id,
        **unit_context(context or {}),
    )
    _add_rows(inspection, files, first=0)
    start_run(inspection, created_by)
    return inspection


@transaction.atomic
def add_photos(inspection: Inspection, files: Sequence[StoredFile]) -> None:
    """Add photos to a unit. A run under way is followed by another one that sees them."""
    locked = Inspection.objects.select_for_update(no_key=True).get(pk=inspection.pk)
    last = locked.photos.aggregate(last=Max("position"))["last"]
    _add_rows(locked, files, first=0 if last is None else last + 1)
    if not locked.runs.filter(status=RunStatus.RUNNING).exists():
        start_run(locked, locked.created_by)


def unit_context(given: Mapping[str, str]) -> dict[str, str]:
    """Line, shift, supplier and product as they are stored, empty where not given."""
    return {name: storable(given.get(name, ""))[:LONGEST_CONTEXT] for name in CONTEXT}


def _add_rows(inspection: Inspection, files: Sequence[StoredFile], first: int) -> None:
    Photo.objects.bulk_create(
        Photo(
            site_id=inspection.site_id,
            inspection=inspection,
            position=position,
            name=file.name[:255],
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            original_key=file.stored_key,
        )
        for position, file in enumerate(files, start=first)
    )


def storable(text: str) -> str:
    """Text without what Postgres can't store (zero bytes, lone surrogates)."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8").strip()


__all__ = [
    "StoredFile",
    "add_photos",
    "create_inspection",
    "start_run",
    "storable",
    "store_bytes",
    "unit_context",
]
