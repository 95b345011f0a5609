"""Addresses of the pages; each module keeps its own list."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from inspection.views import (
    account,
    agreement,
    comments,
    connectors,
    dashboards,
    deliveries,
    dispute_page,
    disputes,
    drawing,
    exports,
    home,
    imports,
    inspection,
    inspections,
    learning,
    photos,
    plans,
    queue,
    receiver,
    report_layouts,
    reports,
    risk,
    session,
    upload,
)

urlpatterns: list[URLPattern | URLResolver] = [
    *home.urlpatterns,
    *session.urlpatterns,
    *upload.urlpatterns,
    *inspections.urlpatterns,
    *queue.urlpatterns,
    *inspection.urlpatterns,
    *photos.urlpatterns,
    *drawing.urlpatterns,
    *plans.urlpatterns,
    *risk.urlpatterns,
    *learning.urlpatterns,
    *account.urlpatterns,
    *agreement.urlpatterns,
    *comments.urlpatterns,
    *connectors.urlpatterns,
    *deliveries.urlpatterns,
    *receiver.urlpatterns,
    *reports.urlpatterns,
    *report_layouts.urlpatterns,
    *dashboards.urlpatterns,
    *exports.urlpatterns,
    *imports.urlpatterns,
    *disputes.urlpatterns,
    *dispute_page.urlpatterns,
]
