"""Addresses of the HTTP API, version 1; its description is at /api/v1/docs."""

from django.urls import URLPattern, URLResolver, path
from ninja import NinjaAPI

from inspection.api import inspections, plans, uploads
from inspection.api.auth import SessionAuth, TokenAuth
from inspection.api.errors import answer_errors_as_json

api = NinjaAPI(
    title="Loupe",
    version="1",
    urls_namespace="api",
    description="Photos in; attributes, findings with masks, dispositions and tickets out. Send "
    "`Authorization: Bearer <token>`, or call it signed in from the same site.",
    auth=[TokenAuth(), SessionAuth()],
)
answer_errors_as_json(api)
api.add_router("/uploads", uploads.router)
api.add_router("/inspections", inspections.router)
api.add_router("/plans", plans.router)

urlpatterns: list[URLPattern | URLResolver] = [path("v1/", api.urls)]
