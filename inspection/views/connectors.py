"""Connectors: where tickets go, for admins."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inspection.access import MemberRequest, member_required
from inspection.actions.webhook.destination import destination, is_listed_inside, leads_to_demo
from inspection.forms.connectors import ConnectorForm, NewConnectorForm
from inspection.models import Connector
from inspection.models.choices import Role
from inspection.selectors.connectors import connectors_of
from inspection.selectors.deliveries import DeliveryFilter, list_deliveries
from inspection.services import connectors as services
from inspection.services.connectors import ConnectorRefusedError

RECENT = 8


@require_safe
@member_required(Role.ADMIN)
def connectors(request: MemberRequest) -> HttpResponse:
    """All connectors of the site and how they fare."""
    context = {"connectors": connectors_of(request.membership.site)}
    return render(request, "connectors/list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.ADMIN)
def connector_new(request: MemberRequest) -> HttpResponse:
    """Make a connector; the answer is the only page that shows its secret."""
    form = NewConnectorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_connector(request.membership, **form.cleaned_data)
        except ConnectorRefusedError as error:
            form.add_error(error.field or None, str(error))
        else:
            return _page(request, made, secret=made.secret)
    return render(request, "connectors/new.html", {"form": form}, status=_status(form))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.ADMIN)
def connector(request: MemberRequest, key: str) -> HttpResponse:
    """One connector: change it, see what it sent last."""
    row = _row(request, key)
    form = ConnectorForm(request.POST or None, initial=_initial(row))
    if request.method == "POST" and form.is_valid():
        try:
            services.change_connector(request.membership, row, **form.cleaned_data)
        except ConnectorRefusedError as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, "Saved.")
            return redirect("connector", key=key)
    return _page(request, row, form=form)


@never_cache
@require_POST
@member_required(Role.ADMIN)
def connector_rotate(request: MemberRequest, key: str) -> HttpResponse:
    """A new secret, shown on this page and never again."""
    row = _row(request, key)
    return _page(request, row, secret=services.rotate_secret(request.membership, row))


@require_POST
@member_required(Role.ADMIN)
def connector_ping(request: MemberRequest, key: str) -> HttpResponse:
    """Send a test and go where its answer will be seen."""
    try:
        sent = services.ping(request.membership, _row(request, key))
    except ConnectorRefusedError as error:
        messages.error(request, str(error))
        return redirect("connector", key=key)
    return redirect("delivery", pk=sent.pk)


@require_POST
@member_required(Role.ADMIN)
def connector_switch(request: MemberRequest, key: str) -> HttpResponseRedirect:
    """Enable or disable, as the form asks, so that a double click changes nothing twice."""
    row = _row(request, key)
    if request.POST.get("to") == "on":
        services.enable_connector(request.membership, row)
        messages.success(request, "Enabled. What was held is sent now.")
    else:
        services.disable_connector(request.membership, row)
        messages.success(request, "Disabled. Tickets are held until it is enabled.")
    return redirect("connector", key=key)


def _row(request: MemberRequest, key: str) -> Connector:
    rows = Connector.objects.for_site(request.membership.site).select_related("site")
    row: Connector = get_object_or_404(rows, key=key)
    return row


def _initial(row: Connector) -> dict[str, Any]:
    return {"name": row.name, "url": row.url, "allow_inside": row.allow_inside}


def _page(
    request: MemberRequest, row: Connector, form: ConnectorForm | None = None, secret: str = ""
) -> HttpResponse:
    shown = form or ConnectorForm(initial=_initial(row))
    log = list_deliveries(request.membership.site, DeliveryFilter(connector=row.key))
    context = {
        "connector": row,
        "form": shown,
        "secret": secret,
        "address": destination(row).url,
        "is_demo": leads_to_demo(row),
        "inside_unlisted": row.allow_inside and not is_listed_inside(row.url),
        "recent": log.rows[:RECENT],
    }
    return render(request, "connectors/connector.html", context, status=_status(shown))


def _status(form: ConnectorForm) -> int:
    return 422 if form.is_bound and form.errors else 200


urlpatterns = [
    path("connectors/", connectors, name="connectors"),
    path("connectors/new/", connector_new, name="connector-new"),
    path("connectors/<slug:key>/", connector, name="connector"),
    path("connectors/<slug:key>/rotate/", connector_rotate, name="connector-rotate"),
    path("connectors/<slug:key>/ping/", connector_ping, name="connector-ping"),
    path("connectors/<slug:key>/switch/", connector_switch, name="connector-switch"),
]
