"""Reads of inspections, always of one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from pgvector.django import CosineDistance

from inspection.models import Finding, Inspection, Photo, Site
from inspection.models.choices import (
    DispositionChoice,
    InspectionStatus,
    SeverityChoice,
)
from inspection.selectors.behind import Behind
from inspection.selectors.findings import STANDING
from inspection.selectors.rounds import twins_of

PAGE_SIZE = 48
LIKE_SIZE = 48
SIMILAR = 6
LATEST = 8
UNFINISHED = (InspectionStatus.RECEIVED, InspectionStatus.RUNNING)
CHOICES: Mapping[str, list[str]] = {
    "status": InspectionStatus.values,
    "disposition": DispositionChoice.values,
    "severity": SeverityChoice.values,
}
LIST_ONLY = ("embedding", "search", "note", "reasons", "message")


@dataclass(frozen=True)
class InspectionFilter:
    """What the list shows, as its address says it. Unknown values are left out."""

    status: str = ""
    disposition: str = ""
    severity: str = ""
    plan: str = ""
    q: str = ""
    like: UUID | None = None
    after: UUID | None = None
    view: str = "grid"
    behind: Behind = field(default_factory=Behind)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> InspectionFilter:
        chosen = {name: query[name] for name, known in CHOICES.items() if query.get(name) in known}
        return cls(
            **chosen,
            plan=query.get("plan", "")[:64].replace("\0", ""),
            q=query.get("q", "").replace("\0", "").strip()[:200],
            like=parse_id(query.get("like")),
            after=parse_id(query.get("after")),
            view="table" if query.get("view") == "table" else "grid",
            behind=Behind.parse(query),
        )

    def query(self, **changes: Any) -> str:
        """The address of this list with some things changed; a change starts at the first page."""
        new = replace(self, **({"after": None} | changes))
        values = {n: value for n, value in vars(new).items() if value and n != "behind"}
        values |= new.behind.values()
        if values.get("view") == "grid":
            del values["view"]
        return "?" + urlencode(values) if values else "?"

    @property
    def is_narrowed(self) -> bool:
        narrowing = (self.status, self.disposition, self.severity, self.plan, self.q, self.like)
        return any(narrowing) or self.behind != Behind()


@dataclass(frozen=True)
class InspectionPage:
    """One page of the list; ``next_after`` is the cursor of the page that follows."""

    rows: list[Inspection]
    next_after: UUID | None = None
    like: Inspection | None = None
    unfinished: list[UUID] = field(default_factory=list)


def list_inspections(site: Site, wanted: InspectionFilter) -> InspectionPage:
    """One page, newest first; or, with ``like``, those whose photos are most alike."""
    rows = narrowed(Inspection.objects.for_site(site), wanted)
    if wanted.like is not None:
        return _alike(site, rows, wanted.like)
    if wanted.after is not None:
        rows = _after(site, rows, wanted.after)
    found = list(with_covers(rows.order_by("-created_at", "-id"))[: PAGE_SIZE + 1])
    more = len(found) > PAGE_SIZE
    page = found[:PAGE_SIZE]
    return InspectionPage(page, page[-1].pk if more else None, unfinished=_unfinished(page))


def narrowed(rows: QuerySet[Inspection], wanted: InspectionFilter) -> QuerySet[Inspection]:
    """Those that the filters let through."""
    for name in CHOICES:
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.plan:
        rows = rows.filter(plan__key=wanted.plan)
    if wanted.q:
        rows = rows.filter(search=_words(wanted.q))
    return rows.filter(wanted.behind.narrowing())


def _words(text: str) -> SearchQuery:
    """All words, each also as the beginning of a longer one."""
    clean = (word.replace("'", "").replace("\\", "") for word in text.split())
    query = " & ".join(f"'{word}':*" for word in clean if word)
    return SearchQuery(query, config="simple", search_type="raw")


def _after(site: Site, rows: QuerySet[Inspection], cursor: UUID) -> QuerySet[Inspection]:
    last = Inspection.objects.for_site(site).filter(pk=cursor).only("created_at").first()
    if last is None:
        return rows
    return rows.filter(
        Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
    )


def _alike(site: Site, rows: QuerySet[Inspection], like: UUID) -> InspectionPage:
    origin = Inspection.objects.for_site(site).filter(pk=like).first()
    if origin is None or origin.embedding is None:
        return InspectionPage([], like=origin)
    rows = rows.exclude(pk=origin.pk).exclude(twins_of(origin))
    page = _nearest(rows, origin, LIKE_SIZE)
    return InspectionPage(page, like=origin, unfinished=_unfinished(page))


def _nearest(rows: QuerySet[Inspection], origin: Inspection, count: int) -> list[Inspection]:
    """Nearest first, with ``likeness`` 0..1 (cosine similarity)."""
    near = (
        rows.filter(embedding__isnull=False)
        .annotate(distance=CosineDistance("embedding", origin.embedding))
        .annotate(likeness=1 - F("distance"))
        .order_by("distance")
    )
    with transaction.atomic(), connection.cursor() as cursor:
        # The index knows nothing of sites and filters: it has to go on until enough rows pass.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        return list(with_covers(near[:count]))


def _unfinished(rows: list[Inspection]) -> list[UUID]:
    return [row.pk for row in rows if row.status in UNFINISHED]


def with_covers(rows: QuerySet[Inspection]) -> QuerySet[Inspection]:
    """Add what a card shows: first photo as ``cover``, ``photo_count`` and ``finding_count``."""
    photos = Photo.objects.filter(inspection=OuterRef("pk")).order_by()
    findings = Finding.objects.filter(
        STANDING, inspection=OuterRef("pk"), run_id=OuterRef("current_run_id")
    )
    first = Photo.objects.filter(position=0).defer("embedding", "exif", "quality", "codes")
    return (
        rows.select_related("plan")
        .defer(*LIST_ONLY)
        .annotate(
            photo_count=_count(photos, "inspection"),
            finding_count=_count(findings.order_by(), "inspection"),
        )
        .prefetch_related(Prefetch("photos", queryset=first, to_attr="covers"))
    )


def _count(rows: QuerySet[Any], group: str) -> Coalesce:
    counted = rows.values(group).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


def latest(site: Site) -> list[Inspection]:
    """The newest few, for people who want to see what happens here."""
    return list(with_covers(Inspection.objects.for_site(site))[:LATEST])


def cards(site: Site, ids: list[UUID]) -> list[Inspection]:
    """The named inspections, as the list shows them."""
    return list(with_covers(Inspection.objects.for_site(site).filter(pk__in=ids)))


def status_counts(site: Site) -> dict[str, int]:
    """How many are under way, wait for a person or failed (those few that an index answers)."""
    few = [*UNFINISHED, InspectionStatus.REVIEW, InspectionStatus.FAILED]
    rows = Inspection.objects.for_site(site).filter(status__in=few)
    return dict(rows.order_by().values_list("status").annotate(Count("pk")))


def similar_cases(inspection: Inspection) -> list[Inspection]:
    """Past inspections of the site whose photos are most alike, with ``likeness``."""
    if inspection.embedding is None:
        return []
    rows = Inspection.objects.for_site(inspection.site).exclude(pk=inspection.pk)
    return _nearest(rows.exclude(twins_of(inspection)), inspection, SIMILAR)


def parse_id(text: str | None) -> UUID | None:
    """A UUID from outside, or None."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
