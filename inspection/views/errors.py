"""What is answered where there is no such address: a page to people, JSON to programs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found

NOTHING_HERE = "There is nothing at this address. The API is described at /api/v1/docs."


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 in the form that the caller reads."""
    if request.path.startswith("/api/"):
        return JsonResponse({"message": NOTHING_HERE, "details": []}, status=404)
    return page_not_found(request, exception)
