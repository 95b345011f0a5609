"""Files in chunks: announced, sent in any order, completed, and followed."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Path, Router

from inspection.api import showing
from inspection.api.auth import member
from inspection.api.errors import Problem
from inspection.api.plans import plan_with_key
from inspection.api.schemas import UploadIn, UploadOut
from inspection.models import Upload
from inspection.services import uploads

router = Router(tags=["uploads"])
LARGEST_INDEX = 2**31 - 1


def _find(request: HttpRequest, upload_id: UUID) -> Upload:
    rows = Upload.objects.for_site(member(request).site).select_related("inspection")
    upload: Upload = get_object_or_404(rows, pk=upload_id)
    return upload


def _shown(upload: Upload) -> UploadOut:
    return showing.uploads([upload])[0]


@router.post("", response={200: UploadOut, 409: Problem, 422: Problem}, summary="Begin an upload")
def begin(request: HttpRequest, given: UploadIn) -> UploadOut:
    """Announce a file. Announcing it again (same batch and client_key) says what is still missing.

    A file that can't be taken is answered with status "refused" and a message.
    """
    membership = member(request)
    upload = uploads.begin_upload(
        membership=membership,
        batch=given.batch,
        client_key=given.client_key,
        name=given.name,
        size=given.size,
        plan=plan_with_key(membership.site, given.plan),
        reference=given.reference,
        note=given.note,
        wants_report=given.wants_report,
        context=given.context(),
    )
    return _shown(upload)


@router.put(
    "/{uuid:upload_id}/chunks/{index}",
    summary="Send a chunk",
    response={204: None, 404: Problem, 409: Problem, 413: Problem, 422: Problem},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
def chunk(
    request: HttpRequest, upload_id: UUID, index: Annotated[int, Path(ge=0, le=LARGEST_INDEX)]
) -> HttpResponse:
    """Send one chunk as raw bytes. Any order; the same one again does no harm."""
    uploads.store_chunk(_find(request, upload_id), index, request.body)
    return HttpResponse(status=204)


@router.post(
    "/{uuid:upload_id}/complete",
    response={200: UploadOut, 404: Problem, 409: Problem},
    summary="End an upload",
)
def complete(request: HttpRequest, upload_id: UUID) -> UploadOut:
    """Say that all chunks are sent; the file is then taken in. Repeating it does no harm."""
    return _shown(uploads.complete_upload(_find(request, upload_id)))


@router.get("", response={200: list[UploadOut], 422: Problem}, summary="Follow a batch of uploads")
def follow(request: HttpRequest, batch: UUID) -> list[UploadOut]:
    """All files of a batch, those out of zip archives too, with what came of them."""
    rows = Upload.objects.for_site(member(request).site).filter(batch=batch)
    rows = rows.select_related("inspection").prefetch_related("chunks")
    return showing.uploads(list(rows.order_by("created_at", "pk")))


@router.get("/{uuid:upload_id}", response={200: UploadOut, 404: Problem}, summary="Read an upload")
def one(request: HttpRequest, upload_id: UUID) -> UploadOut:
    """One file: ``received`` says which chunks need not be sent again."""
    return _shown(_find(request, upload_id))
