"""Reads of the risk dial: what is in force, the labels, and what has come of it since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform

from inspection.models import Finding, Plan, Review, RiskDial, RiskGate
from inspection.models.choices import DispositionChoice, ReviewKind
from inspection.selectors.findings import STANDING
from inspection.selectors.rounds import IN_FORCE

MOST_LABELS = 20_000
"""The newest labels that a choice of thresholds looks at."""
ENGINE_WINDOW = 100
"""Versions of the extractor that answered among so many newest units are those in use."""
LOAD_WINDOW = 1000
"""Newest units from which the expected load is told."""


@dataclass(frozen=True, slots=True)
class Label:
    """A unit that was drawn and that a person has judged since."""

    inspection_id: UUID
    chances: dict[str, float]
    is_defective: bool
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Realised:
    """Units drawn below the thresholds of one dial: how many a person has judged, how many of them
    were defective, how many wait."""

    judged: int
    escaped: int
    waiting: int


def dial_of(plan: Plan) -> RiskDial | None:
    """The newest setting, be it on or off."""
    dial: RiskDial | None = dials_of(plan).first()
    return dial


def dials_of(plan: Plan) -> QuerySet[RiskDial]:
    """All settings, newest first."""
    rows: QuerySet[RiskDial] = RiskDial.objects.filter(plan=plan)
    return rows.select_related("created_by").order_by("-number")


def dial_in_force(plan_id: UUID) -> RiskDial | None:
    """The dial that units go by; None where none was set or it is off."""
    rows = RiskDial.objects.filter(plan=plan_id).defer("figures")
    newest: RiskDial | None = rows.order_by("-number").first()
    return newest if newest and newest.is_on else None


def engines_in_use(plan: Plan) -> list[str]:
    """Versions of the extractor that answered lately."""
    newest = RiskGate.objects.filter(plan=plan).order_by("-created_at")
    return sorted(set(newest.values_list("engine", flat=True)[:ENGINE_WINDOW]))


def labels_of(plan: Plan, classes: Iterable[str], engines: Iterable[str]) -> list[Label]:
    """Labels that fit the catalogue and the extractor of today, newest first.

    Only units that were drawn count: those that went to a person because a model doubted are no
    fair sample of what would pass. A unit is defective where the latest verdict is not "accept".
    """
    rows = [
        row
        for row in _judged(plan).filter(engine__in=list(engines))[:MOST_LABELS]
        if set(row.chances) == set(classes)
    ]
    types = _types_of([row.inspection_id for row in rows if _is_defective(row)])
    return [
        Label(
            inspection_id=row.inspection_id,
            chances=row.chances,
            is_defective=_is_defective(row),
            types=frozenset(types.get(row.inspection_id, ())),
        )
        for row in rows
    ]


def _judged(plan: Plan) -> QuerySet[Any]:
    drawn = _with_verdict(RiskGate.objects.filter(plan=plan, is_drawn=True))
    return drawn.filter(verdict__isnull=False).order_by("-created_at")


def _has_verdict() -> Exists:
    return Exists(
        Review.objects.filter(
            IN_FORCE,
            inspection=OuterRef("inspection"),
            kind=ReviewKind.DISPOSITION,
            undone_by__isnull=True,
        )
    )


def _with_verdict(rows: QuerySet[RiskGate]) -> QuerySet[Any]:
    """With the disposition of the latest verdict of a person, None where there is none."""
    verdicts = Review.objects.filter(
        IN_FORCE,
        inspection=OuterRef("inspection"),
        kind=ReviewKind.DISPOSITION,
        undone_by__isnull=True,
    ).order_by("-created_at", "-id")
    latest = verdicts.values(said=KeyTextTransform("disposition", "after"))[:1]
    return rows.annotate(verdict=Subquery(latest))


def _is_defective(row: Any) -> bool:
    """Of a row ``_with_verdict``."""
    return bool(row.verdict != DispositionChoice.ACCEPT)


def _types_of(inspections: list[UUID]) -> dict[UUID, set[str]]:
    """Types of the findings that are defects, by inspection."""
    found: dict[UUID, set[str]] = {}
    rows = Finding.objects.filter(STANDING, inspection__in=inspections)
    for inspection, kind in rows.values_list("inspection_id", "type"):
        found.setdefault(inspection, set()).add(kind)
    return found


def waiting_labels(plan: Plan) -> int:
    """Drawn units that nobody has judged yet."""
    return RiskGate.objects.filter(~_has_verdict(), plan=plan, is_drawn=True).count()


def new_labels(dial: RiskDial) -> int:
    """Labels of units that came after this setting, so that it could not know them."""
    drawn = RiskGate.objects.filter(plan=dial.plan_id, is_drawn=True)
    return drawn.filter(_has_verdict(), created_at__gt=dial.created_at).count()


def realised(dial: RiskDial) -> Realised:
    """What became of the units that the dial would have let pass and that were drawn: only those
    that came after the setting, which took no part in it."""
    drawn = RiskGate.objects.filter(
        dial=dial, is_below=True, is_drawn=True, created_at__gt=dial.created_at
    )
    counts = _with_verdict(drawn).aggregate(
        judged=Count("pk", filter=Q(verdict__isnull=False)),
        escaped=Count("pk", filter=Q(verdict__isnull=False) & ~Q(verdict=DispositionChoice.ACCEPT)),
        waiting=Count("pk", filter=Q(verdict__isnull=True)),
    )
    return Realised(**counts)


def recent_gates(plan: Plan) -> list[RiskGate]:
    """The newest units of the plan under a dial, of which the expected load is told."""
    rows = RiskGate.objects.filter(plan=plan).order_by("-created_at")
    return list(rows.only("chances", "engine", "is_asked", "is_eligible")[:LOAD_WINDOW])


def labels_by_class(labels: Iterable[Label]) -> Counter[str]:
    """How many labelled units show each type of the catalogue."""
    return Counter(kind for label in labels for kind in label.types)
