"""Layouts of reports and the site's logo: for managers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.reports import LayoutForm, initial_of
from inspection.models import ReportLayout
from inspection.models.choices import Role
from inspection.selectors.reports import saved as reads
from inspection.selectors.reports.parts import ALL, PARTS, known
from inspection.services.reports import layouts as services
from inspection.services.reports import logo as logos
from inspection.services.reports.refusals import ReportRefusedError
from inspection.views.photos import served_image

EITHER = ["GET", "HEAD", "POST"]


@require_safe
@member_required(Role.MANAGER)
def layouts(request: MemberRequest) -> HttpResponse:
    """The saved layouts, and the logo."""
    return _list(request)


def _list(request: MemberRequest, problem: str = "") -> HttpResponse:
    site = request.membership.site
    rows = [(row, [PARTS[key].label for key in known(row.parts)]) for row in reads.layouts_of(site)]
    context = {"layouts": rows, "logo": reads.logo_of(site), "problem": problem}
    return render(request, "reports/layouts.html", context, status=422 if problem else 200)


@require_http_methods(EITHER)
@member_required(Role.MANAGER)
def new_layout(request: MemberRequest) -> HttpResponse:
    """A layout that starts with all parts."""
    first = {"parts": list(ALL), "shows_logo": True, "paper": "a4"}
    return _edit(request, None, first)


@require_http_methods(EITHER)
@member_required(Role.MANAGER)
def layout(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Change a layout."""
    rows = ReportLayout.objects.for_site(request.membership.site)
    found: ReportLayout = get_object_or_404(rows, pk=pk)
    return _edit(request, found, initial_of(found))


def _edit(
    request: MemberRequest, found: ReportLayout | None, initial: dict[str, Any]
) -> HttpResponse:
    form = LayoutForm(request.POST or None, initial=initial)
    if request.method == "POST":
        form = LayoutForm(request.POST)
        if form.is_valid() and _save(request, found, form):
            return HttpResponseRedirect(reverse("report-layouts"))
    chosen = known(request.POST.getlist("parts") if form.is_bound else initial["parts"])
    context = {
        "form": form,
        "layout": found,
        "parts": [
            (key, PARTS[key], key in chosen)
            for key in [*chosen, *(key for key in ALL if key not in chosen)]
        ],
    }
    return render(request, "reports/layout.html", context, status=422 if form.is_bound else 200)


def _save(request: MemberRequest, found: ReportLayout | None, form: LayoutForm) -> bool:
    pk = found.pk if found else None
    is_default = form.cleaned_data["is_default"]
    try:
        saved = services.save_layout(request.membership, pk, form.values(), is_default=is_default)
    except ReportRefusedError as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, f"Saved: layout {saved.name}.")
    return True


@require_POST
@member_required(Role.MANAGER)
def delete_layout(request: MemberRequest, pk: UUID) -> HttpResponse:
    rows = ReportLayout.objects.for_site(request.membership.site)
    found: ReportLayout = get_object_or_404(rows, pk=pk)
    services.delete_layout(request.membership, found)
    messages.success(request, f"Deleted: layout {found.name}.")
    return HttpResponseRedirect(reverse("report-layouts"))


@require_http_methods(EITHER)
@member_required(Role.MANAGER)
def logo(request: MemberRequest) -> HttpResponseBase:
    """The logo of now; sent: another one in its place."""
    if request.method != "POST":
        found = reads.logo_of(request.membership.site)
        return served_image(request, found.image_key if found else "")
    file = request.FILES.get("logo")
    try:
        if file is None:
            raise ReportRefusedError("Choose a picture first.")
        if (file.size or 0) > logos.MOST_BYTES:
            logos.refuse_size(file.size or 0)
        logos.set_logo(request.membership, file.read())
    except ReportRefusedError as error:
        return _list(request, str(error))
    messages.success(request, "The logo is on new reports from now on.")
    return HttpResponseRedirect(reverse("report-layouts"))


@require_POST
@member_required(Role.MANAGER)
def remove_logo(request: MemberRequest) -> HttpResponse:
    logos.remove_logo(request.membership)
    messages.success(request, "New reports come without a logo.")
    return HttpResponseRedirect(reverse("report-layouts"))


urlpatterns = [
    path("reports/layouts/", layouts, name="report-layouts"),
    path("reports/layouts/new/", new_layout, name="report-layout-new"),
    path("reports/layouts/<uuid:pk>/", layout, name="report-layout"),
    path("reports/layouts/<uuid:pk>/delete/", delete_layout, name="report-layout-delete"),
    path("reports/logo.png", logo, name="site-logo"),
    path("reports/logo/remove/", remove_logo, name="site-logo-remove"),
]
