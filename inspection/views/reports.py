"""Reports: the list, asking for one, its page, its PDF, and sending it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.reports import LotForm, SendForm, layout_choices
from inspection.models import Inspection, ReportDocument
from inspection.models.background import JobStatus
from inspection.models.choices import Role
from inspection.selectors.inspections import InspectionFilter
from inspection.selectors.reports import saved as reads
from inspection.selectors.reports.lots_chosen import MOST_UNITS, lot_rows
from inspection.selectors.reports.parts import UNITS_OF_PART
from inspection.services.reports import asking, mailing
from inspection.services.reports.refusals import ReportRefusedError
from inspection.views.photos import served_image

ON_A_PAGE = 40


@require_safe
@member_required()
def reports(request: MemberRequest) -> HttpResponse:
    """What was made, newest first."""
    rows = reads.reports_for(request.membership)
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "reports/list.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.MANAGER)
def lot(request: MemberRequest) -> HttpResponse:
    """Choose the units of a lot, see how many they are, and have the report made."""
    site = request.membership.site
    sent = request.POST if request.method == "POST" else request.GET
    form = LotForm(site, sent)
    is_fine = form.is_valid()
    wanted = InspectionFilter.parse(sent.dict())
    if request.method == "POST" and is_fine and not _is_htmx(request):
        layout = reads.chosen_layout(site, form.cleaned_data["layout"])
        try:
            made = asking.ask_for_lot(
                request.membership, wanted, form.cleaned_data["title"], layout
            )
        except ReportRefusedError as error:
            form.add_error(None, str(error))
        else:
            return HttpResponseRedirect(reverse("report", args=[made.pk]))
    context = {"form": form, "count": _count(request, wanted), "most": MOST_UNITS}
    template = "reports/count.html" if _is_htmx(request) else "reports/lot.html"
    is_refused = request.method == "POST" and not _is_htmx(request)
    return render(request, template, context, status=422 if is_refused else 200)


def _count(request: MemberRequest, wanted: InspectionFilter) -> int:
    """How many units fit; one more than there may be stands for all that are more."""
    rows = lot_rows(request.membership.site, wanted).order_by()
    return rows.values("pk")[: MOST_UNITS + 1].count()


def _is_htmx(request: MemberRequest) -> bool:
    return bool(getattr(request, "htmx", False))


@require_POST
@member_required()
def of_unit(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Have a report made on one unit."""
    rows = Inspection.objects.for_site(request.membership.site).defer("embedding", "search")
    inspection: Inspection = get_object_or_404(rows, pk=pk)
    layout = reads.chosen_layout(request.membership.site, request.POST.get("layout", ""))
    made = asking.ask_for_unit(request.membership, inspection, layout)
    return HttpResponseRedirect(reverse("report", args=[made.pk]))


def find(request: MemberRequest, pk: UUID) -> ReportDocument:
    document: ReportDocument = get_object_or_404(reads.report_of(request.membership), pk=pk)
    return document


@require_safe
@member_required()
def report(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The report as a page, or how far its making is."""
    return _page(request, find(request, pk))


def _page(
    request: MemberRequest, document: ReportDocument, form: SendForm | None = None
) -> HttpResponse:
    done = document.status == JobStatus.DONE
    context = _state(document) | {
        "layouts": layout_choices(request.membership.site),
        "may_change": _may_change(request, document),
        "may_send": request.membership.allows(Role.REVIEWER),
        "is_mail_configured": mailing.is_configured(),
        "form": form or SendForm(initial=_first_words(document)),
    }
    if done:
        context |= _content(request, document)
    return render(request, "reports/report.html", context, status=422 if form else 200)


def _state(document: ReportDocument) -> dict[str, Any]:
    mailings = reads.mailings_of(document)
    return {
        "document": document,
        "is_open": reads.is_open(document),
        "mailings": mailings,
        "is_sending": any(one.status in reads.OPEN for one in mailings),
    }


def _first_words(document: ReportDocument) -> dict[str, str]:
    body = f"The report “{document.title}” of {document.site.name} is attached as PDF."
    return {"subject": document.title, "body": body, "client_key": uuid4().hex}


def _content(request: MemberRequest, document: ReportDocument) -> dict[str, Any]:
    count = reads.page_count(document)
    asked = request.GET.get("page", "1")
    number = min(max(int(asked), 1), count) if asked.isdecimal() and len(asked) < 6 else 1
    return {
        "number": number,
        "count": count,
        "head": (document.head or {}).get("blocks", []) if number == 1 else [],
        "units": reads.units_on(document, number, UNITS_OF_PART),
        "is_lot": document.inspection_id is None,
    }


def _may_change(request: MemberRequest, document: ReportDocument) -> bool:
    mine = document.requested_by_id == request.user.pk
    return mine or request.membership.allows(Role.MANAGER)


@require_safe
@member_required()
def state(request: MemberRequest, pk: UUID) -> HttpResponse:
    """How far it is; the page is loaded anew once it has ended."""
    document = find(request, pk)
    if not reads.is_open(document):
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = _state(document) | {"may_change": _may_change(request, document)}
    return render(request, "reports/progress.html", context)


@require_safe
@member_required()
def mailings(request: MemberRequest, pk: UUID) -> HttpResponse:
    """To whom it was sent, and whether that went well."""
    return render(request, "reports/mailings.html", _state(find(request, pk)))


@require_safe
@member_required()
def file(request: MemberRequest, pk: UUID) -> HttpResponseBase:
    """The PDF."""
    document = find(request, pk)
    if document.status != JobStatus.DONE:
        raise Http404("This report is not ready yet.")
    try:
        opened = default_storage.open(document.pdf_key)
    except FileNotFoundError as error:
        raise Http404("The PDF is gone from the storage. Make a new report.") from error
    name = mailing.file_name(document)
    return FileResponse(
        opened, as_attachment=True, filename=name, content_type="application/pdf",
        headers={"Cache-Control": "private, no-store"},
    )  # fmt: skip


@require_safe
@member_required()
def report_logo(request: MemberRequest, pk: UUID) -> HttpResponseBase:
    """The logo as it was when the report was asked for."""
    return served_image(request, find(request, pk).layout.get("logo", ""))


@require_POST
@member_required()
def cancel(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Stop the making of it."""
    document = find(request, pk)
    try:
        asking.cancel(request.membership, document)
    except ReportRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("report", args=[pk]))


@require_POST
@member_required()
def delete(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Take it away."""
    document = find(request, pk)
    try:
        asking.delete(request.membership, document)
    except ReportRefusedError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("report", args=[pk]))
    messages.success(request, f"Deleted: {document.title}.")
    return HttpResponseRedirect(reverse("reports"))


@require_POST
@member_required(Role.REVIEWER)
def send(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Send it by e-mail."""
    document = find(request, pk)
    form = SendForm(request.POST)
    if not form.is_valid():
        return _page(request, document, form)
    said = form.cleaned_data
    try:
        mailing.ask_to_send(
            request.membership, document, said["to"], said["subject"], said["body"],
            said["client_key"],
        )  # fmt: skip
    except ReportRefusedError as error:
        form.add_error(None, str(error))
        return _page(request, document, form)
    return HttpResponseRedirect(f"{reverse('report', args=[pk])}#mail")


urlpatterns = [
    path("reports/", reports, name="reports"),
    path("reports/lot/", lot, name="report-lot"),
    path("reports/<uuid:pk>/", report, name="report"),
    path("reports/<uuid:pk>/state/", state, name="report-state"),
    path("reports/<uuid:pk>/mailings/", mailings, name="report-mailings"),
    path("reports/<uuid:pk>/report.pdf", file, name="report-file"),
    path("reports/<uuid:pk>/logo.png", report_logo, name="report-logo"),
    path("reports/<uuid:pk>/cancel/", cancel, name="report-cancel"),
    path("reports/<uuid:pk>/delete/", delete, name="report-delete"),
    path("reports/<uuid:pk>/send/", send, name="report-send"),
    path("inspections/<uuid:pk>/report/", of_unit, name="report-of-unit"),
]
