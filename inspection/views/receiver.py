"""The demo receiver: the address that takes webhooks, and the page that shows what came."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.actions.webhook.destination import demo_hook_url
from inspection.models import Inspection, ReceivedWebhook, Site
from inspection.services import receiver as services

SHOWN = 50


@csrf_exempt
@require_POST
def hook(request: HttpRequest, slug: str) -> JsonResponse:
    """Take one webhook: 200 where the signature is genuine, 401 where not. Needs no sign-in."""
    connector = services.demo_connector(slug) if settings.SHOW_DEMO else None
    if connector is None:
        raise Http404("The demo receiver is off.")
    body = _bounded_body(request)
    if body is None:
        return JsonResponse({"error": "Send at most 64 kB."}, status=413)
    if not services.receive(connector, request.headers, body):
        return JsonResponse({"error": "The signature is not valid."}, status=401)
    return JsonResponse({"received": request.headers.get("webhook-id", "")})


def _bounded_body(request: HttpRequest) -> bytes | None:
    """The body, None where it is too long. Chunked bodies without a length count as empty."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return None
    if length > services.MOST_BODY:
        return None
    return request.read(services.MOST_BODY)


@require_safe
@member_required()
def receiver(request: MemberRequest) -> HttpResponse:
    """What arrived, newest first; asked again every two seconds, answered when there is news."""
    if not settings.SHOW_DEMO:
        raise Http404("The demo receiver is off.")
    site = request.membership.site
    rows = ReceivedWebhook.objects.for_site(site)
    marker = _marker(rows)
    htmx = request.headers.get("HX-Request")
    if htmx and request.GET.get("seen") == marker:
        return HttpResponse(status=204)
    context = {
        "received": _arrived(rows.order_by("-created_at", "-id")[:SHOWN], site),
        "marker": marker,
        "address": demo_hook_url(site.slug),
        "has_connector": services.demo_connector(site.slug) is not None,
    }
    part = "receiver/arrived.html" if htmx else "receiver/receiver.html"
    return render(request, part, context)


def _marker(rows: Any) -> str:
    """Changes whenever something arrives or arrives again."""
    last = rows.aggregate(newest=Max("created_at"), times=Sum("times"))
    return f"{last['newest'].timestamp() if last['newest'] else 0}-{last['times'] or 0}"


def _arrived(rows: Iterable[ReceivedWebhook], site: Site) -> list[dict[str, Any]]:
    shown = [_shown(row) for row in rows]
    named = {entry["inspection_id"] for entry in shown} - {None}
    known = Inspection.objects.for_site(site).in_bulk(named)
    return [{**entry, "inspection": known.get(entry["inspection_id"])} for entry in shown]


def _shown(row: ReceivedWebhook) -> dict[str, Any]:
    """A row with what its body says; without a genuine signature that is not believed."""
    try:
        event = json.loads(row.body)
    except (ValueError, RecursionError):
        event = None
    pretty = row.body if event is None else json.dumps(event, indent=2, ensure_ascii=False)
    believed = event if row.signature_valid and isinstance(event, dict) else {}
    data = believed.get("data")
    about = data if isinstance(data, dict) else {}
    return {
        "row": row,
        "pretty": pretty,
        "type": believed.get("type", ""),
        "title": about.get("title") or about.get("message", ""),
        "finding": about.get("finding"),
        "inspection_id": _inspection_id(about.get("inspection")),
    }


def _inspection_id(named: object) -> UUID | None:
    try:
        return UUID(named["id"]) if isinstance(named, dict) else None
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


urlpatterns = [
    path("demo/receiver/", receiver, name="demo-receiver"),
    path("demo/receiver/<slug:slug>/hook", hook, name="demo-receiver-hook"),
]
