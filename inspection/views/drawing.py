"""The drawing page: masks and boxes of one photo, changed by a person and saved in one go."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from inspection.access import MemberRequest, member_required
from inspection.models import Finding, Inspection, Photo
from inspection.models.choices import PhotoStatus, Role
from inspection.selectors import drawing as reads
from inspection.services import judging

VIEW_SIDE = 4096
"""Long side of the copy that is served (``inspection.pipeline.intake``)."""
NOT_A_REVIEWER = "Only reviewers draw. Ask an admin for the role."
NO_STORE = "private, no-store"


def find(request: MemberRequest, pk: UUID, photo_pk: UUID) -> tuple[Inspection, Photo]:
    """A decoded photo of the site's inspection, or 404."""
    rows = Inspection.objects.for_site(request.membership.site).defer("embedding", "search")
    found = get_object_or_404(rows.select_related("plan", "plan_version", "site"), pk=pk)
    photos = found.photos.filter(status=PhotoStatus.READY).exclude(view_key="")
    return found, get_object_or_404(photos.defer("embedding", "exif"), pk=photo_pk)


@require_safe
@member_required()
def page(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponse:
    """The photo with tools to outline what is on it."""
    found, photo = find(request, pk, photo_pk)
    told = _page(request, found, photo)
    return render(
        request, "drawing/page.html", {"inspection": found, "photo": photo, "drawing": told}
    )


def _page(request: MemberRequest, found: Inspection, photo: Photo) -> dict[str, Any]:
    why_not = _why_not(request, found)
    return {
        "photo": _photo(photo),
        "can_edit": not why_not,
        "why_not": why_not,
        "session_urls": _addresses(found.pk, photo.pk),
        "types": reads.types_of(reads.spec_of(found)),
        "severities": reads.SEVERITIES,
        "reasons": reads.REASONS,
    }


def _why_not(request: MemberRequest, found: Inspection) -> str:
    """Why this person may not change anything here now, "" where they may."""
    if not request.membership.allows(Role.REVIEWER):
        return NOT_A_REVIEWER
    round = judging.round_of(found)
    return judging.why_not(request.membership, round) if round else ""


def _photo(photo: Photo) -> dict[str, Any]:
    width, height = photo.width or 1, photo.height or 1
    shrunk = min(1.0, VIEW_SIDE / max(width, height))
    return {
        "id": str(photo.pk),
        "width": width,
        "height": height,
        "view_url": reads.view_url(photo),
        "view_width": max(1, round(width * shrunk)),
        "view_height": max(1, round(height * shrunk)),
        "tiles": None,
    }


def _addresses(pk: UUID, photo_pk: UUID) -> dict[str, str]:
    start = reverse("draw", args=[pk, photo_pk])
    return {
        "state": f"{start}state/",
        "masks": f"{start}masks/{{finding}}/",
        "sam": f"{start}sam/",
        "draft": f"{start}draft/",
        "save": f"{start}save/",
        "unit": reverse("inspection", args=[pk]),
    }


@require_safe
@member_required()
def state(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponse:
    """The findings as they are now, and what the photo may be compared with."""
    found, photo = find(request, pk, photo_pk)
    with_masks = request.GET.get("masks") != "0"
    return answer(
        {
            "findings": reads.shapes(found, photo, masks=with_masks),
            "draft": None,
            "earlier": reads.earlier_shapes(found, photo),
            "golden": reads.golden_views(found),
            "heat_url": None,
            "tiles": None,
        }
    )


@require_safe
@member_required()
def mask(request: MemberRequest, pk: UUID, photo_pk: UUID, finding_pk: UUID) -> HttpResponse:
    """One finding's mask, and what the models had said where a person changed it."""
    found, photo = find(request, pk, photo_pk)
    rows = Finding.objects.filter(inspection=found, photo=photo, is_sealed=False)
    finding = get_object_or_404(rows, pk=finding_pk)
    return answer(
        {
            "id": str(finding.pk),
            "mask": reads.mask_of(finding),
            "box": reads.box_of(finding),
            "was": reads.fingerprint(finding),
            "model": reads.models_word(finding),
        }
    )


def answer(told: dict[str, Any], status: int = 200) -> JsonResponse:
    """JSON that no cache keeps."""
    return JsonResponse(told, status=status, headers={"Cache-Control": NO_STORE})


def is_json(request: HttpRequest) -> bool:
    return (request.content_type or "").split(";")[0].strip() == "application/json"


START = "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/"

urlpatterns = [
    path(START, page, name="draw"),
    path(f"{START}state/", state, name="draw-state"),
    path(f"{START}masks/<uuid:finding_pk>/", mask, name="draw-mask"),
]
