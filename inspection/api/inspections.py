"""Inspections: made from photos in one request, listed, read, and run again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Query, Router, Status
from ninja.errors import HttpError
from ninja.files import UploadedFile

from inspection.api import showing
from inspection.api.auth import member
from inspection.api.errors import Problem
from inspection.api.plans import plan_with_key
from inspection.api.schemas import (
    InspectionIn,
    InspectionOut,
    InspectionPageOut,
    InspectionQuery,
    RerunIn,
    RunOut,
)
from inspection.models import Inspection, Membership
from inspection.models.choices import Role
from inspection.selectors.inspections import InspectionFilter, list_inspections
from inspection.services.earlier import EarlierRefusedError, check_earlier, choose_earlier
from inspection.services.inspections import create_inspection, start_run, storable
from inspection.services.intake import StoredFile, store_bytes
from models_runtime.intake.kinds import photo_kind, what_it_is
from models_runtime.intake.names import clean_name

router = Router(tags=["inspections"])
MOST_PHOTOS = 100


def _find(request: HttpRequest, inspection_id: UUID) -> Inspection:
    rows = Inspection.objects.for_site(member(request).site).select_related(
        "plan", "plan_version", "current_run"
    )
    found: Inspection = get_object_or_404(rows.defer("embedding", "search"), pk=inspection_id)
    return found


@router.get("", response={200: InspectionPageOut, 422: Problem}, summary="List inspections")
def listed(request: HttpRequest, given: Annotated[InspectionQuery, Query()]) -> InspectionPageOut:
    """Units, newest first, a page at a time; ``q`` searches reference, note and summary."""
    wanted = InspectionFilter.parse(given.model_dump(mode="json", exclude_none=True))
    page = list_inspections(member(request).site, wanted)
    return InspectionPageOut(items=[showing.brief(row) for row in page.rows], next=page.next_after)


@router.post(
    "",
    response={201: InspectionOut, 400: Problem, 413: Problem, 422: Problem},
    summary="Inspect a unit",
)
def create(
    request: HttpRequest,
    photos: Annotated[list[UploadedFile], File(min_length=1, max_length=MOST_PHOTOS)],
    given: Annotated[InspectionIn, Form()],
) -> Status[InspectionOut]:
    """One unit from its photos (multipart/form-data). Its progress is read at its own address."""
    membership = member(request)
    chosen = plan_with_key(membership.site, given.plan)
    for photo in photos:
        _check(photo)
    if given.earlier is not None:
        with _refusals_told():
            check_earlier(membership.site, given.earlier)
    made = create_inspection(
        site=membership.site,
        created_by=membership.user,
        files=[_store(membership, photo) for photo in photos],
        plan=chosen,
        reference=given.reference,
        note=given.note,
        wants_report=given.wants_report,
        earlier_id=given.earlier,
        context=given.context(),
    )
    return Status(201, showing.inspection(_find(request, made.pk)))


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except EarlierRefusedError as error:
        raise HttpError(422, f"earlier: {error}") from None


def _check(photo: UploadedFile) -> None:
    name = clean_name(storable(photo.name or ""))
    if photo.size is None or photo.size > settings.MAX_PHOTO_BYTES:
        most = settings.MAX_PHOTO_BYTES / 1e6
        raise HttpError(413, f"{name}: a photo may have {most:,.0f} MB. Save it as JPEG.")
    head = photo.read(64)
    photo.seek(0)
    if photo_kind(head) is None:
        raise HttpError(422, f"{name}: {what_it_is(head)}")


def _store(membership: Membership, photo: UploadedFile) -> StoredFile:
    return store_bytes(membership.site, clean_name(storable(photo.name or "")), photo.read())


@router.get(
    "/{uuid:inspection_id}",
    response={200: InspectionOut, 404: Problem},
    summary="Read an inspection",
)
def one(request: HttpRequest, inspection_id: UUID) -> InspectionOut:
    """A unit with photos, attributes, findings (masks as COCO RLE), steps, report and tickets."""
    return showing.inspection(_find(request, inspection_id))


@router.post(
    "/{uuid:inspection_id}/rerun",
    response={202: RunOut, 403: Problem, 404: Problem, 422: Problem},
    summary="Run an inspection again",
)
def rerun(
    request: HttpRequest, inspection_id: UUID, given: RerunIn | None = None
) -> Status[RunOut]:
    """Run the pipeline again; verdicts of people survive. Needs the role manager."""
    membership = member(request, Role.MANAGER)
    found = _find(request, inspection_id)
    plan = plan_with_key(membership.site, given.plan if given else None)
    if given is not None and given.earlier is not None:
        with _refusals_told():
            choose_earlier(found, given.earlier)
    run = start_run(found, membership.user, plan)
    return Status(202, RunOut(inspection=found.pk, number=run.number, status=run.status))
