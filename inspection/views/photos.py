"""Photo files: only for members of the site, and never a page of their own."""

from __future__ import annotations

from pathlib import PurePath
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_safe

from inspection.access import MemberRequest, member_required
from inspection.models import Inspection, Photo
from inspection.models.choices import Role

CACHE = "private, max-age=31536000, immutable"
SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"RIFF", "image/webp"),
)


@require_safe
@member_required()
def photo_file(request: MemberRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """The re-encoded photo or its thumbnail; the original (with EXIF) is for reviewers."""
    rows = Photo.objects.for_site(request.membership.site)
    photo: Photo = get_object_or_404(rows.defer("embedding"), pk=pk)
    if kind == "original":
        return _original(request, photo)
    keys = {"view": photo.view_key, "thumb": photo.thumb_key}
    if kind not in keys:
        raise Http404("There are view, thumb and original.")
    return served_image(request, keys[kind])


@require_safe
@member_required()
def cover(request: MemberRequest, pk: UUID) -> HttpResponseBase:
    """The thumbnail of an inspection's first photo."""
    rows = Inspection.objects.for_site(request.membership.site)
    inspection = get_object_or_404(rows.only("pk"), pk=pk)
    photo = inspection.photos.exclude(thumb_key="").only("thumb_key").first()
    return served_image(request, photo.thumb_key if photo else "")


def served_image(request: HttpRequest, key: str) -> HttpResponseBase:
    """An image of ours, for the browser to keep: what is under a key never changes."""
    if not key:
        raise Http404("The photo is not ready yet.")
    tag = f'"{PurePath(key).name}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={"ETag": tag, "Cache-Control": CACHE})
    try:
        file = default_storage.open(key)
    except FileNotFoundError as error:
        raise Http404("The file of this photo is gone from the storage.") from error
    head = file.read(16)
    file.seek(0)
    response = FileResponse(file, content_type=_image_type(head))
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = CACHE
    return response


def _image_type(head: bytes) -> str:
    for start, content_type in SIGNATURES:
        if head.startswith(start):
            return content_type
    return "application/octet-stream"


def _original(request: MemberRequest, photo: Photo) -> HttpResponseBase:
    if not request.membership.allows(Role.REVIEWER):
        raise PermissionDenied("Originals carry location and other facts: only reviewers get them.")
    try:
        file = default_storage.open(photo.original_key)
    except FileNotFoundError as error:
        raise Http404("The original is gone from the storage.") from error
    response = FileResponse(
        file,
        as_attachment=True,
        filename=_safe_name(photo),
        content_type="application/octet-stream",
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _safe_name(photo: Photo) -> str:
    """The sender's name without path and odd characters; an id where nothing is left of it."""
    last = photo.name.replace("\\", "/").rpartition("/")[2].strip(" .")
    return get_valid_filename(last)[-100:] if last.strip(".-_ ") else f"{photo.pk}"


urlpatterns = [
    path("photos/<uuid:pk>/<str:kind>", photo_file, name="photo-file"),
    path("inspections/<uuid:pk>/cover", cover, name="inspection-cover"),
]
