"""The drawing page: masks and boxes of one photo, changed by a person and saved in one go."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.clicks import client
from inspection.forms.drawing import (
    DraftSent,
    PromptSent,
    SaveSent,
    UnreadableError,
    parsed,
    storable_json,
)
from inspection.models import Draft, Finding, Inspection, Photo
from inspection.models.choices import PhotoStatus, Role
from inspection.pipeline.wake import wake_tiles
from inspection.selectors import drawing as reads
from inspection.selectors.tiles import SIDE, VIEW_SIDE, is_large, level_sizes, tile_key
from inspection.services import drafts, drawing, judging
from inspection.services.refusals import ReviewRefusedError
from inspection.views.photos import served_image
from inspection.views.queue import key_bindings

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
    if not photo.tiles_key and is_large(photo.width or 1, photo.height or 1):
        wake_tiles(photo.pk)  # from before there were tiles
    told = _page(request, found, photo)
    return render(
        request,
        "drawing/page.html",
        {
            "inspection": found,
            "photo": photo,
            "drawing": told,
            "key_bindings": key_bindings(request.user),
        },
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
        "tiles": _tiles(photo),
    }


def _tiles(photo: Photo) -> dict[str, Any] | None:
    """How a viewer asks for parts of a large photo; None where there are none, or not yet."""
    if not photo.tiles_key:
        return None
    start = reverse("draw", args=[photo.inspection_id, photo.pk])
    levels = len(level_sizes(photo.width or 1, photo.height or 1))
    return {"url": f"{start}tiles/{{level}}/{{x}}/{{y}}", "size": SIDE, "levels": levels}


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
            "draft": _draft(drafts.draft_of(request.membership, photo)),
            "earlier": reads.earlier_shapes(found, photo),
            "golden": reads.golden_views(found),
            "heat_url": _heat_url(found, photo),
            "tiles": _tiles(photo),
        }
    )


def _heat_url(found: Inspection, photo: Photo) -> str | None:
    key = reads.heat_key(found, photo)
    address = reverse("draw-heat", args=[found.pk, photo.pk])
    return f"{address}?v={PurePath(key).stem.rpartition('-')[2]}" if key else None


@require_safe
@member_required()
def heat(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponseBase:
    """Where the photo differs from the golden ones."""
    return served_image(request, reads.heat_key(*find(request, pk, photo_pk)))


@require_safe
@member_required()
def tile(
    request: MemberRequest, pk: UUID, photo_pk: UUID, level: int, x: int, y: int
) -> HttpResponseBase:
    """A part of a large photo."""
    _, photo = find(request, pk, photo_pk)
    return served_image(request, tile_key(photo, level, x, y))


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


def refused(error: UnreadableError) -> JsonResponse:
    told: dict[str, Any] = {"error": str(error)}
    if error.index is not None:
        told["index"] = error.index
    return answer(told, error.status)


def _draft(row: Draft | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "session": row.session,
        "sequence": row.sequence,
        "finding": str(row.finding_id) if row.finding_id else None,
        "content": row.content,
        "updated_at": row.updated_at.isoformat(),
    }


@require_http_methods(["GET", "HEAD", "PUT", "DELETE"])
@member_required(Role.REVIEWER)
def draft(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponse:
    """What this person has not saved yet: read, kept with every stroke, thrown away."""
    _, photo = find(request, pk, photo_pk)
    if request.method == "PUT":
        return _keep(request, photo)
    if request.method == "DELETE":
        return _throw_away(request, photo)
    return answer({"draft": _draft(drafts.draft_of(request.membership, photo))})


def _keep(request: MemberRequest, photo: Photo) -> HttpResponse:
    try:
        sent = parsed(request, DraftSent)
        if words := storable_json(sent.content):
            raise UnreadableError(words)
        kept = drafts.keep(request.membership, photo, **dict(sent))
    except UnreadableError as error:
        return refused(error)
    except drafts.OtherPageError as error:
        return answer({"error": str(error), "draft": _draft(error.draft)}, 409)
    return answer({"sequence": kept.sequence, "session": kept.session})


def _throw_away(request: MemberRequest, photo: Photo) -> HttpResponse:
    session, sequence = request.GET.get("session", ""), request.GET.get("sequence", "")
    known = int(sequence) if sequence.isdecimal() and len(sequence) < 16 else 0
    gone = drafts.end(request.membership, photo, session.replace("\0", "")[:64], known)
    return answer({"gone": gone}, 200 if gone else 409)


@require_POST
@member_required(Role.REVIEWER)
def save(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponse:
    """Write down everything that was drawn, or nothing of it."""
    found, photo = find(request, pk, photo_pk)
    try:
        sent = parsed(request, SaveSent)
        drawing.save(request.membership, photo, sent.client_key, sent.changes, sent.draft)
    except UnreadableError as error:
        return refused(error)
    except drawing.ConflictError as error:
        now = reads.shapes(found, photo)
        return answer({"error": str(error), "conflicts": error.findings, "findings": now}, 409)
    except ReviewRefusedError as error:
        return answer({"error": str(error), "conflicts": [], "findings": []}, 409)
    return answer({"findings": reads.shapes(found, photo)})


RETRY_S = 1
OUTSIDE = "The click lies outside the photo."


@require_POST
@member_required(Role.REVIEWER)
def outline(request: MemberRequest, pk: UUID, photo_pk: UUID) -> HttpResponse:
    """Masks for clicks and a box; how far it is while the photo is being looked at."""
    _, photo = find(request, pk, photo_pk)
    try:
        sent = parsed(request, PromptSent)
        reply = client.ask(photo.original_key, _prompt(sent, photo))
    except UnreadableError as error:
        return refused(error)
    except client.ClicksDownError as error:
        return answer({"error": str(error)}, 503)
    found = answer(reply.told | {"key": sent.key}, reply.status)
    if reply.status == 202:
        found["Retry-After"] = str(RETRY_S)
    return found


def _prompt(sent: PromptSent, photo: Photo) -> dict[str, Any] | None:
    """In the segmenter's words, within the photo; None to get ready."""
    width, height = photo.width or 1, photo.height or 1
    if any(not (0 <= point.x < width and 0 <= point.y < height) for point in sent.points):
        raise UnreadableError(OUTSIDE)
    box = None
    if sent.box is not None:
        x, y, wide, high = sent.box
        box = {"x1": max(0, x), "y1": max(0, y)}
        box |= {"x2": min(width, x + wide), "y2": min(height, y + high)}
        if box["x2"] - box["x1"] < 1 or box["y2"] - box["y1"] < 1:
            raise UnreadableError("Draw the box around the defect, inside the photo.")
    clicks = [point.model_dump() for point in sent.points]
    return {"box": box, "clicks": clicks} if box or clicks else None


START = "inspections/<uuid:pk>/photos/<uuid:photo_pk>/draw/"

urlpatterns = [
    path(START, page, name="draw"),
    path(f"{START}state/", state, name="draw-state"),
    path(f"{START}draft/", draft, name="draw-draft"),
    path(f"{START}heat.png", heat, name="draw-heat"),
    path(f"{START}tiles/<int:level>/<int:x>/<int:y>", tile, name="draw-tile"),
    path(f"{START}sam/", outline, name="draw-sam"),
    path(f"{START}save/", save, name="draw-save"),
    path(f"{START}masks/<uuid:finding_pk>/", mask, name="draw-mask"),
]
