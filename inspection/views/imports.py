"""Imports: send a file of annotations, say which class is which, let it come in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.transfers import ImportForm
from inspection.models import ImportJob, Site
from inspection.models.background import JobStatus
from inspection.models.choices import Role
from inspection.services import background
from inspection.services.imports import jobs
from inspection.services.imports.jobs import LEAVE_OUT, ImportRefusedError

SHOWN = 50
CLASS_FIELD = "class-{}"
LEAVE_OUT_VALUE = "-"
"""In the form, where "" is nothing chosen."""


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def imports(request: MemberRequest) -> HttpResponse:
    """The imports there are, and a form for another one."""
    site = request.membership.site
    form = ImportForm(site, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            job = jobs.start(request.membership, form.cleaned_data["plan"], file.name, file)
        except ImportRefusedError as error:
            form.add_error("file", str(error))
        else:
            return HttpResponseRedirect(reverse("import", args=[job.pk]))
    context = {"form": form, "jobs": _rows(site)[:SHOWN]}
    return render(request, "imports/list.html", context, status=422 if form.errors else 200)


@require_safe
@member_required(Role.MANAGER)
def import_page(request: MemberRequest, pk: UUID) -> HttpResponse:
    """What the file would do, or did, or why not."""
    return render(request, "imports/page.html", _context(_find(request, pk)))


@require_safe
@member_required(Role.MANAGER)
def import_state(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The part of the page that tells how far it is; the whole page once that has changed."""
    context = _context(_find(request, pk))
    response = render(request, "imports/progress.html", context)
    if not context["is_open"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@member_required(Role.MANAGER)
def import_act(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let it come in, drop it, or check it again."""
    job, act = _find(request, pk), request.POST.get("act", "")
    try:
        if act == "confirm":
            jobs.confirm(request.membership, job, _mapping(request, job))
        elif act == "again":
            jobs.again(request.membership, job)
        elif act == "cancel" and not jobs.cancel(request.membership, job):
            messages.error(request, "There was nothing to cancel: it has ended meanwhile.")
    except ImportRefusedError as error:
        context = _context(job) | {"error": str(error)}
        _keep_choices(request, context)
        return render(request, "imports/page.html", context, status=422)
    return HttpResponseRedirect(reverse("import", args=[job.pk]))


def _mapping(request: MemberRequest, job: ImportJob) -> dict[str, str]:
    """Class names to keys, as chosen; those not chosen are missing."""
    chosen = {}
    for place, row in enumerate(job.report.get("classes", [])):
        value = request.POST.get(CLASS_FIELD.format(place), "")
        if value:
            chosen[row["name"]] = LEAVE_OUT if value == LEAVE_OUT_VALUE else value
    return chosen


def _keep_choices(request: MemberRequest, context: dict[str, Any]) -> None:
    for row in context["classes"]:
        row["chosen"] = request.POST.get(row["field"], row["chosen"])


def _context(job: ImportJob) -> dict[str, Any]:
    report = job.report
    listed = report.get("left_out", [])
    spec = job.plan.current.parsed() if job.plan.current else None
    return {
        "job": job,
        "report": report,
        "is_open": job.status in background.OPEN,
        "is_ready": job.status == JobStatus.READY,
        "may_again": job.status in (JobStatus.FAILED, JobStatus.CANCELLED),
        "comes_in": bool(report.get("findings") or report.get("new_units")),
        "classes": [
            row | {"field": CLASS_FIELD.format(place), "chosen": row["key"]}
            for place, row in enumerate(report.get("classes", []))
        ],
        "defects": spec.defects if spec else (),
        "leave_out": LEAVE_OUT_VALUE,
        "more_left_out": report.get("left_out_count", 0) - len(listed),
    }


def _rows(site: Site) -> QuerySet[ImportJob]:
    rows: QuerySet[ImportJob] = ImportJob.objects.for_site(site)
    return rows.select_related("plan__current", "requested_by")


def _find(request: MemberRequest, pk: UUID) -> ImportJob:
    job: ImportJob = get_object_or_404(_rows(request.membership.site), pk=pk)
    return job


urlpatterns = [
    path("imports/", imports, name="imports"),
    path("imports/<uuid:pk>/", import_page, name="import"),
    path("imports/<uuid:pk>/state/", import_state, name="import-state"),
    path("imports/<uuid:pk>/act/", import_act, name="import-act"),
]
