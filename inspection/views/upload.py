"""The page on which photos come in. The files themselves go to the HTTP API."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from inspection.access import MemberRequest, member_required
from inspection.selectors.inspections import latest
from inspection.selectors.plans import active_plans

ORIGINS = (
    ("line", "Line", "Line 3"),
    ("shift", "Shift", "Night"),
    ("supplier", "Supplier", "Whose parts"),
    ("product", "Product", "Article or model"),
)


@require_safe
@member_required()
def upload(request: MemberRequest) -> HttpResponse:
    """Drop zone, plan chooser, and a row for each file as it goes up and comes back judged."""
    context = {
        "plans": active_plans(request.membership.site),
        "latest": latest(request.membership.site),
        "origins": ORIGINS,
        "max_file_bytes": settings.MAX_FILE_BYTES,
    }
    return render(request, "upload/upload.html", context)


urlpatterns = [path("upload/", upload, name="upload")]
