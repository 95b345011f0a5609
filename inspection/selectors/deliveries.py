"""Reads of the delivery log and of actions that wait, always of one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet

from inspection.models import ActionStep, Delivery, Site
from inspection.models.choices import ActionStatus, DeliveryStatus

PAGE_SIZE = 50
UNFINISHED = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


@dataclass(frozen=True)
class DeliveryFilter:
    """What the log shows, as its address says it. Unknown values are left out."""

    status: str = ""
    connector: str = ""
    q: str = ""
    after: UUID | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> DeliveryFilter:
        status = query.get("status", "")
        return cls(
            status=status if status in DeliveryStatus.values else "",
            connector=query.get("connector", "")[:64].replace("\0", ""),
            q=query.get("q", "").replace("\0", "").strip()[:100],
            after=_id(query.get("after", "")),
        )

    def query(self, **changes: Any) -> str:
        """The address of this log with some things changed; a change starts at the first page."""
        new = replace(self, **({"after": None} | changes))
        values = {name: value for name, value in vars(new).items() if value}
        return "?" + urlencode(values)


@dataclass(frozen=True)
class DeliveryPage:
    """One page, newest first; ``next_after`` is the cursor of the page that follows."""

    rows: list[Delivery]
    next_after: UUID | None


def list_deliveries(site: Site, wanted: DeliveryFilter) -> DeliveryPage:
    """One page of the log. Ids are made in order of time, so the id is the cursor."""
    rows = deliveries_of(site).defer("body").order_by("-id")
    if wanted.status:
        rows = rows.filter(status=wanted.status)
    if wanted.connector:
        rows = rows.filter(connector__key=wanted.connector)
    if wanted.q:
        rows = rows.filter(_matches(wanted.q))
    if wanted.after:
        rows = rows.filter(pk__lt=wanted.after)
    found = list(rows[: PAGE_SIZE + 1])
    page = found[:PAGE_SIZE]
    return DeliveryPage(page, page[-1].pk if len(found) > PAGE_SIZE else None)


def deliveries_of(site: Site) -> QuerySet[Delivery]:
    return Delivery.objects.for_site(site).select_related("connector", "ticket__inspection", "site")


def _matches(words: str) -> Q:
    return (
        Q(event_id=words)
        | Q(ticket__title__icontains=words)
        | Q(ticket__inspection__reference__icontains=words)
    )


def waiting_for_approval(site: Site) -> QuerySet[ActionStep]:
    """Actions that a manager has to let happen, oldest first."""
    return (
        ActionStep.objects.for_site(site)
        .filter(status=ActionStatus.APPROVAL)
        .select_related("action_plan__inspection__plan_version", "finding", "site")
        .order_by("created_at")
    )


def failed_actions(site: Site) -> QuerySet[ActionStep]:
    """Actions that somebody has to look after, newest first."""
    return (
        ActionStep.objects.for_site(site)
        .filter(status=ActionStatus.FAILED)
        .select_related("action_plan__inspection", "finding", "site")
        .order_by("-created_at")
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
