"""Comments on a unit, one's own notices, and the defect catalogue beside the photo."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.models import Comment, Inspection, Mention, Photo
from inspection.models.choices import Role
from inspection.selectors import comments as reads
from inspection.selectors.catalogue import catalogue_of
from inspection.selectors.inspections import parse_id
from inspection.services import comments as services

MOST_NOTICES = 100


def _find(request: MemberRequest, pk: UUID) -> Inspection:
    rows = Inspection.objects.for_site(request.membership.site).select_related("plan_version")
    found: Inspection = get_object_or_404(rows.defer("embedding", "search"), pk=pk)
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@member_required()
def comments(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The comments on a unit; posting adds one."""
    found = _find(request, pk)
    if request.method == "POST":
        try:
            _add(request, found)
        except services.CommentRefusedError as error:
            return _refused(error)
    return _list(request, found)


def _list(request: MemberRequest, found: Inspection) -> HttpResponse:
    threads = reads.threads_of(found, request.user)
    context = {
        "inspection": found,
        "threads": threads,
        "open_count": sum(thread.comment.resolved_at is None for thread in threads),
        "pins": reads.pins(threads),
        "names": reads.members_to_name(request.membership),
        "may_resolve_all": request.membership.allows(Role.REVIEWER),
    }
    return render(request, "judging/comments.html", context)


def _add(request: MemberRequest, found: Inspection) -> None:
    sent = request.POST
    thread = None
    if sent.get("thread"):
        asked = parse_id(sent["thread"])
        thread = Comment.objects.filter(inspection=found, pk=asked).first() if asked else None
        if thread is None:
            raise services.CommentRefusedError("What you answer is gone. Reload the page.")
    services.add_comment(
        request.membership,
        found,
        sent.get("body", ""),
        sent.get("client_key", ""),
        place=_place(request, found),
        thread=thread,
    )


def _place(request: MemberRequest, found: Inspection) -> services.Place | None:
    sent = request.POST
    if not sent.get("photo"):
        return None
    asked = parse_id(sent["photo"])
    photo = Photo.objects.filter(inspection=found, pk=asked).first() if asked else None
    try:
        if photo is None:
            raise ValueError
        return services.Place(photo, float(sent.get("x", "")), float(sent.get("y", "")))
    except ValueError:
        raise services.CommentRefusedError("Put the pin on a photo of this unit.") from None


def _refused(error: Exception) -> HttpResponse:
    return HttpResponse(str(error), status=409, headers={"X-Message": str(error)})


@require_POST
@member_required()
def comment_resolve(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Close a thread or open it again."""
    rows = Comment.objects.for_site(request.membership.site).select_related("inspection")
    comment = get_object_or_404(rows, pk=pk)
    try:
        services.set_resolved(request.membership, comment, request.POST.get("open") != "yes")
    except services.CommentRefusedError as error:
        return _refused(error)
    return _list(request, _find(request, comment.inspection_id))


@require_safe
@member_required()
def inbox(request: MemberRequest) -> HttpResponse:
    """Who named me or answered me."""
    rows = list(reads.notices_of(request.membership)[:MOST_NOTICES])
    context = {"notices": rows, "unread": sum(row.read_at is None for row in rows)}
    return render(request, "judging/inbox.html", context)


@require_POST
@member_required()
def inbox_read(request: MemberRequest) -> HttpResponse:
    """Mark all as read."""
    services.mark_read(request.membership)
    return HttpResponseRedirect(reverse("inbox"))


@require_safe
@member_required()
def inbox_open(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Go to the comment; it counts as read then."""
    notice: Mention = get_object_or_404(reads.notices_of(request.membership), pk=pk)
    services.mark_read(request.membership, [notice.pk])
    address = reverse("inspection", args=[notice.comment.inspection_id])
    return HttpResponseRedirect(f"{address}#comment-{notice.comment_id}")


@require_safe
@member_required()
def catalogue(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Definition, limits and examples of each class, for the dialog on the unit's page."""
    found = _find(request, pk)
    selected = request.GET.get("type", "")[:64]
    context = {"catalogue": catalogue_of(found, selected), "selected": selected}
    return render(request, "judging/catalogue.html", context)


urlpatterns = [
    path("inspections/<uuid:pk>/comments/", comments, name="comments"),
    path("inspections/<uuid:pk>/catalogue/", catalogue, name="catalogue"),
    path("comments/<uuid:pk>/resolve/", comment_resolve, name="comment-resolve"),
    path("inbox/", inbox, name="inbox"),
    path("inbox/read/", inbox_read, name="inbox-read"),
    path("inbox/<uuid:pk>/", inbox_open, name="inbox-open"),
]
