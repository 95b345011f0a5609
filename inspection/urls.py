"""Every address of the application. Each screen's module keeps its own list."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("inspection.views.urls")),
    path("api/", include("inspection.api.urls")),
]

handler404 = "inspection.views.errors.not_found"
