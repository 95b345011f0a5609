"""The page of the inspected party: opened by a token alone, without an account.

Nothing of the browser's is trusted or used here, no cookie and no session, so that there is nothing
that a foreign page could abuse: the token is the only authority, and no CSRF token is needed. What
is revoked, over or forged gets one and the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

import pghistory
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import find_membership
from inspection.models import DisputeLink, DisputePhoto, DisputeStatement, User
from inspection.models.dispute import LONGEST_STATEMENT
from inspection.selectors.dispute_page import shown_by
from inspection.selectors.disputes import due_at, may_read, may_write, said, unanswered
from inspection.selectors.inspections import parse_id
from inspection.services.disputes import photos as photo_services
from inspection.services.disputes import statements, tokens
from inspection.services.disputes.links import find_link, note_look
from inspection.services.disputes.refusals import DisputeRefusedError, LinkClosedError
from inspection.services.disputes.tries import is_too_often
from inspection.views.photos import served_image

MISSES, LOOKS, PICTURES, WRITES = 30, 120, 900, 60
"""Most tries in a minute: wrong tokens from an address, and for each link its page, its pictures
and what is written to it."""
FORM_BYTES = 200_000
HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
View = Callable[..., HttpResponseBase]


def by_token(what: str, most: int) -> Callable[[View], View]:
    """Give the view the link of the token, or answer as to any token that opens nothing."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, token: str, **kwargs: Any) -> HttpResponseBase:
            # The audit trail keeps the address of a request, and a token is never stored.
            with pghistory.context(url=reverse("dispute", args=["token"])):
                response = _answer(request, token, kwargs)
            for name, value in HEADERS.items():
                response.headers[name] = value
            # Django writes the address of what it refuses to the log: a token may be in it.
            response._has_been_logged = True  # type: ignore[attr-defined]
            return response

        def _answer(request: HttpRequest, token: str, kwargs: dict[str, Any]) -> HttpResponseBase:
            link = find_link(token)
            if link is None:
                missed = is_too_often("dispute miss", _address(request), MISSES)
                return _too_often(request) if missed else opens_nothing(request)
            if is_too_often(f"dispute {what}", str(link.pk), most):
                return _too_often(request)
            if not may_read(link):
                return opens_nothing(request)
            try:
                return view(request, link, token, **kwargs)
            except Http404:
                return opens_nothing(request)

        return csrf_exempt(guarded)

    return decorate


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def opens_nothing(request: HttpRequest) -> HttpResponse:
    """The same for a link that is revoked, over, or never was one."""
    return _alone(request, "disputes/closed.html", 404, {"words": _words(request)})


def _too_often(request: HttpRequest) -> HttpResponse:
    return _alone(request, "disputes/too_often.html", 429, {"words": _words(request)})


def _words(request: HttpRequest) -> str:
    """What was written is given back, whatever the token."""
    if request.method != "POST" or _length(request) > FORM_BYTES:
        return ""
    return request.POST.get("body", "")[: 2 * LONGEST_STATEMENT]


def _alone(
    request: HttpRequest, template: str, status: int, context: dict[str, Any]
) -> HttpResponse:
    return render(request, template, context, status=status)


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


@by_token("page", LOOKS)
@require_http_methods(["GET", "HEAD", "POST"])
def dispute(request: HttpRequest, link: DisputeLink, token: str) -> HttpResponse:
    """What the site found, what was said to it, and the form to say something."""
    if request.method == "POST":
        return _state(request, link, token)
    if request.method == "GET":
        device = tokens.device_of(_address(request), request.headers.get("User-Agent", ""))
        note_look(link, device, _member(request, link))
    return _page(request, link, token)


def _member(request: HttpRequest, link: DisputeLink) -> User | None:
    """Somebody of the site who looks at their own link."""
    membership = find_membership(request) if request.user.is_authenticated else None
    is_own = membership is not None and membership.site_id == link.site_id
    return membership.user if membership is not None and is_own else None


def _page(
    request: HttpRequest,
    link: DisputeLink,
    token: str,
    *,
    status: int = 200,
    errors: list[str] | None = None,
    draft: UUID | None = None,
) -> HttpResponse:
    shown = shown_by(link)
    turns = said(link)
    answers = {turn.answer.statement_id for turn in turns if turn.answer}
    waiting = unanswered(link)
    context = {
        "link": link,
        "token": token,
        "unit": link.inspection,
        "shown": shown,
        "masks": {str(one.finding.pk): one.mask for one in shown.findings if one.mask},
        "turns": turns,
        "waiting": waiting[-1] if waiting else None,
        "due_at": due_at(link),
        "may_write": may_write(link),
        "is_answered": bool(answers),
        "errors": errors or [],
        "sent": request.POST if request.method == "POST" else {},
        "draft": draft or uuid4(),
        "drafted": list(link.photos.filter(draft=draft, statement=None)) if draft else [],
        "most_photos": photo_services.MOST_OF_STATEMENT,
        "most_mb": photo_services.most_bytes() // 1_000_000,
        "longest": LONGEST_STATEMENT,
    }
    return _alone(request, "disputes/page.html", status, context)


def _state(request: HttpRequest, link: DisputeLink, token: str) -> HttpResponse:
    """Take the statement, with photos that came in the same form."""
    most = photo_services.MOST_OF_STATEMENT * photo_services.most_bytes() + FORM_BYTES
    if _length(request) > most or is_too_often("dispute statement", str(link.pk), WRITES):
        return _refused(request, link, token, ["That was too much at once. Send fewer photos."])
    draft = parse_id(request.POST.get("draft", "")) or uuid4()
    errors = _take_photos(request, link, draft)
    if errors:
        return _refused(request, link, token, errors, draft)
    try:
        statement = statements.state(
            link, draft, request.POST.get("body", ""), request.POST.get("name", "")
        )
    except LinkClosedError:
        link.refresh_from_db()
        ended = "The time to write has ended, so this was not sent. Your words are still below."
        return (
            _refused(request, link, token, [ended], draft, status=409)
            if may_read(link)
            else opens_nothing(request)
        )
    except DisputeRefusedError as error:
        return _refused(request, link, token, [str(error)], draft)
    return _sent(request, token, statement)


def _take_photos(request: HttpRequest, link: DisputeLink, draft: UUID) -> list[str]:
    """Keep the photos that came with the form; what is wrong with the others."""
    errors = []
    for file in request.FILES.getlist("photos"):
        name = file.name or "photo"
        try:
            _take(link, draft, f"form {name[:40]} {file.size}", file)
        except LinkClosedError:
            break  # said by the statement itself
        except DisputeRefusedError as error:
            errors.append(f"{name[:80]}: {error}")
    return errors


def _take(link: DisputeLink, draft: UUID, key: str, file: UploadedFile[Any]) -> DisputePhoto:
    size = file.size or 0
    return photo_services.add_photo(link, draft, key[:64], file.name or "photo", file, size)


def _refused(
    request: HttpRequest,
    link: DisputeLink,
    token: str,
    errors: list[str],
    draft: UUID | None = None,
    status: int = 422,
) -> HttpResponse:
    if _is_fetched(request):
        return JsonResponse({"message": " ".join(errors)}, status=status)
    return _page(request, link, token, status=status, errors=errors, draft=draft)


def _sent(request: HttpRequest, token: str, statement: DisputeStatement) -> HttpResponse:
    address = f"{reverse('dispute', args=[token])}#sent"
    if _is_fetched(request):
        return JsonResponse({"address": address, "reference": statement.reference})
    response = HttpResponse(status=303)
    response.headers["Location"] = address
    return response


def _is_fetched(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


@by_token("write", WRITES)
@require_http_methods(["GET", "HEAD", "POST"])
def photos(request: HttpRequest, link: DisputeLink, token: str) -> HttpResponse:
    """Add a photo to a draft, or tell how far those of a draft are."""
    if request.method != "POST":
        draft = parse_id(request.GET.get("draft", ""))
        rows = link.photos.filter(draft=draft, statement=None) if draft else []
        return JsonResponse({"photos": [_told(row, token) for row in rows]})
    if _length(request) > photo_services.most_bytes() + FORM_BYTES:
        most = photo_services.most_bytes() / 1e6
        return _wrong(f"A photo may have {most:,.0f} MB. Send a smaller copy of it.", 413)
    draft, file = parse_id(request.POST.get("draft", "")), request.FILES.get("photo")
    if draft is None or file is None:
        return _wrong("No photo arrived. Choose it again.")
    try:
        photo = _take(link, draft, request.POST.get("key", ""), file)
    except DisputeRefusedError as error:
        return _wrong(str(error), 409 if isinstance(error, LinkClosedError) else 422)
    return JsonResponse(_told(photo, token))


def _wrong(message: str, status: int = 422) -> JsonResponse:
    return JsonResponse({"message": message}, status=status)


def _told(photo: DisputePhoto, token: str) -> dict[str, str]:
    """A photo of one's own draft."""
    return {
        "id": str(photo.pk),
        "key": photo.client_key,
        "name": photo.name,
        "status": photo.status,
        "message": photo.message,
        "thumb": reverse("dispute-photo", args=[token, photo.pk, "thumb"]),
    }


@by_token("write", WRITES)
@require_POST
def photo_remove(request: HttpRequest, link: DisputeLink, token: str, pk: UUID) -> HttpResponse:
    """Take a photo out of a draft."""
    try:
        photo_services.remove_photo(link, pk)
    except DisputeRefusedError as error:
        return _wrong(str(error), 409)
    return JsonResponse({})


@by_token("picture", PICTURES)
@require_safe
def photo(
    request: HttpRequest, link: DisputeLink, token: str, pk: UUID, kind: str
) -> HttpResponseBase:
    """A picture that the page shows; no other one of the site."""
    if kind not in ("view", "thumb"):
        raise Http404("There are view and thumb.")
    return served_image(request, _key_of(link, pk, kind))


def _key_of(link: DisputeLink, pk: UUID, kind: str) -> str:
    mine = link.photos.filter(pk=pk).first()
    if mine is not None:
        return str(mine.view_key if kind == "view" else mine.thumb_key)
    if pk not in shown_by(link).photo_ids:
        raise Http404("This link shows no such photo.")
    from inspection.models import Photo

    row = Photo.objects.filter(site=link.site_id, pk=pk).only("view_key", "thumb_key").get()
    return str(row.view_key if kind == "view" else row.thumb_key)


urlpatterns = [
    path("dispute/<str:token>/", dispute, name="dispute"),
    path("dispute/<str:token>/photos/", photos, name="dispute-photos"),
    path("dispute/<str:token>/photos/<uuid:pk>/remove/", photo_remove, name="dispute-photo-remove"),
    path("dispute/<str:token>/photos/<uuid:pk>/<str:kind>", photo, name="dispute-photo"),
]
