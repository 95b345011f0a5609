"""Exports: choose units and a format, watch them being written, fetch the file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import FileResponse, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.transfers import FORMATS, ExportForm, format_words
from inspection.models import ExportJob
from inspection.models.background import JobStatus
from inspection.models.choices import DispositionChoice, InspectionStatus, Role, SeverityChoice
from inspection.selectors import exports as reads
from inspection.selectors.inspections import InspectionFilter
from inspection.selectors.plans import active_plans
from inspection.services import background
from inspection.services.exports import jobs
from inspection.services.exports.jobs import ExportRefusedError

SHOWN = 50
MOST_COUNTED = 100_000
KEPT_HIDDEN = ("line", "shift", "supplier", "product", "type", "decided_by")


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def exports(request: MemberRequest) -> HttpResponse:
    """The units that the address names, the formats, and the exports there are."""
    wanted = InspectionFilter.parse(request.GET.dict())
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            jobs.start(request.membership, form.chosen()[0], wanted, form.chosen()[1])
        except ExportRefusedError as error:
            form.add_error(None, str(error))
        else:
            return HttpResponseRedirect(f"{reverse('exports')}{_query(wanted)}#exports")
    return render(
        request,
        "exports/page.html",
        _context(request, wanted, form),
        status=422 if form.errors else 200,
    )


def _context(request: MemberRequest, wanted: InspectionFilter, form: ExportForm) -> dict[str, Any]:
    site = request.membership.site
    count = reads.wanted_units(site, wanted)[: MOST_COUNTED + 1].count()
    hidden = {name: v for name, v in wanted.behind.values().items() if name in KEPT_HIDDEN}
    return {
        "wanted": wanted,
        "hidden": hidden | {n: v for n in ("q", "severity") if (v := getattr(wanted, n))},
        "also": _also(wanted, hidden),
        "words": wanted.behind.words(),
        "count": count,
        "is_too_many": count > MOST_COUNTED,
        "query": _query(wanted),
        "plans": active_plans(site),
        "statuses": InspectionStatus.choices,
        "dispositions": DispositionChoice.choices,
        "form": form,
        "chosen_format": form.data.get("format", "coco:rle"),
        "formats": FORMATS,
        "choices": reads.CHOICES,
        "rows": [_row(job) for job in reads.exports_of(site)[:SHOWN]],
    }


def _also(wanted: InspectionFilter, hidden: dict[str, str]) -> list[str]:
    """Filters that the page has no control for, for people."""
    told = [f"with the words “{wanted.q}”"] if wanted.q else []
    told += [f"severity {wanted.severity}"] if wanted.severity else []
    return told + [f"{name.replace('_', ' ')} {value}" for name, value in hidden.items()]


def _query(wanted: InspectionFilter) -> str:
    kept = wanted.query(like=None, view="grid")
    return "" if kept == "?" else kept


def _row(job: ExportJob) -> dict[str, Any]:
    wanted = InspectionFilter.parse(job.query)
    return {
        "job": job,
        "format": format_words(job.format, job.options.get("shape", "")),
        "units": ", ".join(_words(wanted)) or "All units",
        "findings": reads.CHOICES.get(job.options.get("findings", ""), ""),
        "is_open": job.status in background.OPEN,
        "may_again": job.status in jobs.AGAIN,
    }


def _words(wanted: InspectionFilter) -> list[str]:
    labels = {
        "status": dict(InspectionStatus.choices),
        "disposition": dict(DispositionChoice.choices),
        "severity": dict(SeverityChoice.choices),
    }
    told = [f"plan {wanted.plan}"] if wanted.plan else []
    told += [str(labels[n][v]).lower() for n in labels if (v := getattr(wanted, n))]
    told += [f"“{wanted.q}”"] if wanted.q else []
    return [*told, *wanted.behind.words()]


@require_safe
@member_required(Role.MANAGER)
def export_row(request: MemberRequest, pk: UUID) -> HttpResponse:
    """One export as it is now."""
    return render(request, "exports/row.html", {"row": _row(_find(request, pk))})


@require_POST
@member_required(Role.MANAGER)
def export_act(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Cancel an export, ask for it again, or let its file go."""
    job, act = _find(request, pk), request.POST.get("act", "")
    try:
        if act == "cancel" and not jobs.cancel(request.membership, job):
            messages.error(request, "There was nothing to cancel: it has ended meanwhile.")
        elif act == "again":
            jobs.again(request.membership, job)
        elif act == "remove":
            jobs.remove(request.membership, job)
    except ExportRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(f"{reverse('exports')}#exports")


@require_safe
@member_required(Role.MANAGER)
def export_file(request: MemberRequest, pk: UUID) -> HttpResponseBase:
    """The file of an export that is done."""
    job = _find(request, pk)
    try:
        if job.status != JobStatus.DONE:
            raise FileNotFoundError
        file = default_storage.open(job.file_key)
    except FileNotFoundError:
        messages.error(request, "The file of this export is gone. Choose “Again” to write it anew.")
        return HttpResponseRedirect(f"{reverse('exports')}#exports")
    response = FileResponse(
        file, as_attachment=True, filename=job.file_name, content_type="application/zip"
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _find(request: MemberRequest, pk: UUID) -> ExportJob:
    rows = reads.exports_of(request.membership.site)
    job: ExportJob = get_object_or_404(rows, pk=pk)
    return job


urlpatterns = [
    path("exports/", exports, name="exports"),
    path("exports/<uuid:pk>/row/", export_row, name="export-row"),
    path("exports/<uuid:pk>/act/", export_act, name="export-act"),
    path("exports/<uuid:pk>/file/", export_file, name="export-file"),
]
