"""What went out and what waits to: the delivery log and approvals, for quality managers."""

from __future__ import annotations

import json
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.actions import approvals
from inspection.actions.deliveries import Busy, resend
from inspection.models import ActionStep, Delivery
from inspection.models.choices import DeliveryStatus, Role
from inspection.selectors import deliveries as reads
from inspection.selectors.connectors import connectors_of

MOST_WAITING = 20


@require_safe
@member_required(Role.MANAGER)
def deliveries(request: MemberRequest) -> HttpResponse:
    """The log, filtered by the address; asked for again while something is under way."""
    site = request.membership.site
    wanted = reads.DeliveryFilter.parse(request.GET.dict())
    page = reads.list_deliveries(site, wanted)
    tabs: list[tuple[str, str]] = [("", "All"), *DeliveryStatus.choices]
    context = {
        "wanted": wanted,
        "page": page,
        "live": any(row.status in reads.UNFINISHED for row in page.rows),
        "tabs": [(label, wanted.query(status=v), wanted.status == v) for v, label in tabs],
        "here_href": wanted.query(after=wanted.after),
        "next_href": wanted.query(after=page.next_after),
        "connectors": connectors_of(site),
        "waiting": reads.waiting_for_approval(site)[:MOST_WAITING],
        "failed": reads.failed_actions(site)[:MOST_WAITING],
    }
    part = "deliveries/log.html" if request.headers.get("HX-Request") else "deliveries/list.html"
    return render(request, part, context)


@require_safe
@member_required(Role.MANAGER)
def delivery(request: MemberRequest, pk: UUID) -> HttpResponse:
    """One event: its attempts, each answer, and exactly what is sent."""
    row = _row(request, pk)
    context = {
        "delivery": row,
        "attempts": row.attempt_rows.order_by("-number"),
        "live": row.status in reads.UNFINISHED,
        "body": _pretty(row.body),
    }
    htmx = request.headers.get("HX-Request")
    part = "deliveries/progress.html" if htmx else "deliveries/delivery.html"
    return render(request, part, context)


@require_POST
@member_required(Role.MANAGER)
def delivery_resend(request: MemberRequest, pk: UUID) -> HttpResponseRedirect:
    """Another attempt with the same id."""
    row = _row(request, pk)
    try:
        resend(row)
    except Busy as error:
        messages.warning(request, str(error))
    else:
        held = "" if row.connector.is_active else " It is held until the connector is enabled."
        messages.success(request, f"On its way again, with the same id.{held}")
    return redirect("delivery", pk=pk)


@require_POST
@member_required(Role.MANAGER)
def action_approve(request: MemberRequest, pk: UUID) -> HttpResponseRedirect:
    """Let an action happen."""
    if approvals.approve(request.membership, _step(request, pk)):
        messages.success(request, "Approved.")
    else:
        messages.warning(request, "It no longer waits for approval.")
    return _back(request)


@require_POST
@member_required(Role.MANAGER)
def action_cancel(request: MemberRequest, pk: UUID) -> HttpResponseRedirect:
    """Call an action off."""
    if approvals.cancel(request.membership, _step(request, pk)):
        messages.success(request, "Called off.")
    else:
        messages.warning(request, "It is done already.")
    return _back(request)


def _row(request: MemberRequest, pk: UUID) -> Delivery:
    row: Delivery = get_object_or_404(reads.deliveries_of(request.membership.site), pk=pk)
    return row


def _step(request: MemberRequest, pk: UUID) -> ActionStep:
    step: ActionStep = get_object_or_404(
        ActionStep.objects.for_site(request.membership.site), pk=pk
    )
    return step


def _back(request: MemberRequest) -> HttpResponseRedirect:
    """To the page that the form names, if it is one of ours; else to the log."""
    wanted = request.POST.get("next", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure()):
        return HttpResponseRedirect(wanted)
    return redirect("deliveries")


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


urlpatterns = [
    path("deliveries/", deliveries, name="deliveries"),
    path("deliveries/<uuid:pk>/", delivery, name="delivery"),
    path("deliveries/<uuid:pk>/resend/", delivery_resend, name="delivery-resend"),
    path("actions/<uuid:pk>/approve/", action_approve, name="action-approve"),
    path("actions/<uuid:pk>/cancel/", action_cancel, name="action-cancel"),
]
