"""Reads of connectors, always of one site."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from inspection.models import Connector, Delivery, Site
from inspection.models.choices import DeliveryStatus

UNFINISHED = Q(status__in=[DeliveryStatus.PENDING, DeliveryStatus.SENDING])


def connectors_of(site: Site) -> QuerySet[Any]:
    """All connectors, with how many deliveries wait and how the last one went.

    Subqueries rather than a join: each is answered from an index, whatever the log's length.
    """
    mine = Delivery.objects.filter(connector=OuterRef("pk"))
    last = mine.order_by("-id")
    waiting = mine.filter(UNFINISHED).order_by().values("connector").annotate(n=Count("pk"))
    rows: QuerySet[Any] = Connector.objects.for_site(site).select_related("site")
    annotated: QuerySet[Any] = rows.annotate(
        waiting=Subquery(waiting.values("n")),
        last_status=Subquery(last.values("status")[:1]),
        last_at=Subquery(last.values("created_at")[:1]),
    )
    return annotated
