"""Disputes as the site sees them: on the page of a unit, and the list of all links."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.forms.disputes import AnswerForm, LinkForm
from inspection.models import DisputeLink, Finding, Inspection
from inspection.models.choices import InspectionStatus, Role
from inspection.selectors import disputes as reads
from inspection.services.disputes import links
from inspection.services.disputes.answers import Answer, answer
from inspection.services.disputes.mail import send_link
from inspection.services.disputes.refusals import DisputeRefusedError
from inspection.services.refusals import ReviewRefusedError
from inspection.views.photos import served_image

ON_A_PAGE = 50
FILTERS = (("", "All"), ("waiting", "Wait for an answer"), ("open", "Open"))


def _find(request: MemberRequest, pk: UUID) -> Inspection:
    rows = Inspection.objects.for_site(request.membership.site).select_related("plan_version")
    found: Inspection = get_object_or_404(rows.defer("embedding", "search"), pk=pk)
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.REVIEWER)
def of_unit(request: MemberRequest, pk: UUID) -> HttpResponse:
    """The links of a unit and what was said; posting makes a link."""
    found = _find(request, pk)
    if request.method != "POST":
        return _panel(request, found)
    form = LinkForm(found, request.POST)
    if not form.is_valid():
        return _panel(request, found, link_form=form)
    chosen = form.cleaned_data
    finding = None
    if chosen["finding"]:
        finding = get_object_or_404(Finding, inspection=found, pk=chosen["finding"])
    try:
        link, token = links.make_link(
            request.membership,
            found,
            finding=finding,
            days=chosen["days"],
            label=chosen["label"],
            shows_earlier=chosen["shows_earlier"],
            email=chosen.get("email", ""),
        )
    except DisputeRefusedError as error:
        form.add_error(None, str(error))
        return _panel(request, found, link_form=form)
    address = links.address_of(token)
    failed = send_link(link, address) if link.email else ""
    return _panel(request, found, made=link, address=address, mail_failed=failed)


def _panel(
    request: MemberRequest,
    inspection: Inspection,
    *,
    link_form: LinkForm | None = None,
    answer_form: AnswerForm | None = None,
    answered: UUID | None = None,
    **more: Any,
) -> HttpResponse:
    rows = reads.links_of(inspection, request.user)
    forms = [(row, _answer_form(inspection, row, answer_form, answered)) for row in rows]
    context = {
        "inspection": inspection,
        "rows": forms,
        "waiting": sum(row.state == reads.LinkState.WAITING for row in rows),
        "link_form": link_form or LinkForm(inspection),
        "can_make": inspection.status == InspectionStatus.DECIDED,
        "is_own_decision": inspection.decided_by_id == request.user.pk,
        **more,
    }
    return render(request, "disputes/panel.html", context)


def _answer_form(
    inspection: Inspection, row: reads.LinkRow, sent: AnswerForm | None, answered: UUID | None
) -> AnswerForm | None:
    if row.state != reads.LinkState.WAITING:
        return None
    if sent is not None and row.link.pk == answered:
        return sent
    first = [str(row.link.finding_id)] if row.link.finding_id else []
    return AnswerForm(
        inspection,
        initial={"seen": row.waiting[-1].pk, "findings": first},
        auto_id=f"answer-{row.link.pk}-%s",
    )


def _link(request: MemberRequest, pk: UUID) -> DisputeLink:
    rows = DisputeLink.objects.for_site(request.membership.site)
    found: DisputeLink = get_object_or_404(rows, pk=pk)
    return found


@require_POST
@member_required(Role.REVIEWER)
def give_answer(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Answer the party: uphold, withdraw or change."""
    link = _link(request, pk)
    found = _find(request, link.inspection_id)
    form = AnswerForm(found, request.POST, auto_id=f"answer-{link.pk}-%s")
    if form.is_valid():
        try:
            answer(request.membership, link, form.cleaned_data["seen"], _given(found, link, form))
        except (DisputeRefusedError, ReviewRefusedError) as error:
            form.add_error(None, str(error))
        else:
            return _answered(request, found)
    return _panel(request, found, answer_form=_again(form, link), answered=link.pk)


def _given(found: Inspection, link: DisputeLink, form: AnswerForm) -> Answer:
    stated = form.cleaned_data
    chosen = [link.finding_id] if link.finding_id else stated["findings"]
    findings = list(Finding.objects.filter(inspection=found, pk__in=chosen))
    parts = {name: stated[name] for name in ("type", "severity", "disposition")}
    return Answer(stated["outcome"], stated["body"], findings, **parts)


def _again(form: AnswerForm, link: DisputeLink) -> AnswerForm:
    """The form with its words, to be sent after the newest statement was read."""
    waiting = reads.unanswered(link)
    if waiting:
        sent = cast(QueryDict, form.data).copy()
        sent["seen"] = str(waiting[-1].pk)
        form.data = sent
    return form


def _answered(request: MemberRequest, found: Inspection) -> HttpResponse:
    """Everything on the page may have changed."""
    messages.success(request, "Your answer is at the party's link now.")
    address = reverse("inspection", args=[found.pk])
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return HttpResponseRedirect(address)


@require_POST
@member_required(Role.REVIEWER)
def revoke(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let a link open nothing any more."""
    link = _link(request, pk)
    links.revoke(request.membership, link)
    if request.headers.get("HX-Request"):
        return _panel(request, _find(request, link.inspection_id))
    messages.success(request, "The link is revoked: it opens nothing any more.")
    return HttpResponseRedirect(reverse("disputes"))


@require_safe
@member_required(Role.REVIEWER)
def listing(request: MemberRequest) -> HttpResponse:
    """All links of the site, those that wait for an answer with their deadline."""
    state = request.GET.get("state", "")
    rows = reads.told(reads.links_at(request.membership.site, state))
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": reads.rows_of(page.object_list, request.user),
        "filters": FILTERS,
        "state": state,
    }
    return render(request, "disputes/list.html", context)


@require_safe
@member_required(Role.REVIEWER)
def photo(request: MemberRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """A photo of the party, as it was re-encoded."""
    found = reads.photo_of_party(request.membership.site, pk)
    if found is None or kind not in ("view", "thumb"):
        raise Http404("There is no such photo.")
    return served_image(request, found.view_key if kind == "view" else found.thumb_key)


urlpatterns = [
    path("inspections/<uuid:pk>/disputes/", of_unit, name="unit-disputes"),
    path("disputes/", listing, name="disputes"),
    path("disputes/<uuid:pk>/answer/", give_answer, name="dispute-answer"),
    path("disputes/<uuid:pk>/revoke/", revoke, name="dispute-revoke"),
    path("disputes/photos/<uuid:pk>/<str:kind>", photo, name="dispute-party-photo"),
]
