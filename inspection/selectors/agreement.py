"""How far reviewers agree: kappa on disposition and class, overlap of masks; and their grades."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from inspection.models import Agreement, GoldUnit, Grade, Site
from models_runtime.agreement import Kappa, cohen_kappa, in_words

MOST_PAIRS = 20_000
WEEKS = (4, 12, 26, 52)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two blind words on one unit, as read."""

    at: datetime
    plan: str
    people: tuple[str, str]
    dispositions: tuple[str, str]
    classes: tuple[tuple[str, str], ...]
    ious: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The agreement of some pairs. ``iou``: the mean overlap of ``masks`` masks, None without."""

    name: str
    units: int
    disposition: Kappa | None
    classes: Kappa | None
    masks: int
    iou: float | None

    @property
    def words(self) -> str:
        return in_words(self.disposition.value if self.disposition else None)

    @classmethod
    def of(cls, name: str, pairs: list[Pair]) -> Group:
        ious = [iou for pair in pairs for iou in pair.ious]
        return cls(
            name=name,
            units=len(pairs),
            disposition=cohen_kappa(pair.dispositions for pair in pairs),
            classes=cohen_kappa(label for pair in pairs for label in pair.classes),
            masks=len(ious),
            iou=sum(ious) / len(ious) if ious else None,
        )


def pairs_of(site: Site, weeks: int, plan: str = "") -> list[Pair]:
    """Blind words on the same unit of the last so many weeks, newest first."""
    since = timezone.now() - timedelta(weeks=weeks)
    rows: QuerySet[Agreement] = Agreement.objects.filter(site=site, created_at__gte=since)
    if plan:
        rows = rows.filter(plan__key=plan)
    columns = (
        "created_at", "plan__name", "reviewer_a__username", "reviewer_b__username",
        "disposition_a", "disposition_b", "classes", "ious",
    )  # fmt: skip
    found = rows.order_by("-created_at").values_list(*columns)[:MOST_PAIRS]
    return [_pair(*row) for row in found]


def _pair(
    at: datetime, plan: str | None, a: str, b: str, one: str, two: str, classes: Any, ious: Any
) -> Pair:
    labels = tuple((str(left), str(right)) for left, right in classes)
    return Pair(at, plan or "No plan", (a, b), (one, two), labels, tuple(ious))


def by_pair(pairs: list[Pair]) -> list[Group]:
    return _grouped(pairs, lambda pair: " and ".join(pair.people))


def by_plan(pairs: list[Pair]) -> list[Group]:
    return _grouped(pairs, lambda pair: pair.plan)


def by_week(pairs: list[Pair]) -> list[Group]:
    """By ISO week, the newest first."""
    groups = _grouped(pairs, lambda pair: week_of(pair.at))
    return sorted(groups, key=lambda group: group.name, reverse=True)


def week_of(moment: datetime) -> str:
    """The ISO week in the site's time, such as 2026-W48."""
    year, week, _ = timezone.localtime(moment).isocalendar()
    return f"{year}-W{week:02d}"


def _grouped(pairs: Iterable[Pair], name: Callable[[Pair], str]) -> list[Group]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[name(pair)].append(pair)
    made = [Group.of(key, found) for key, found in groups.items()]
    return sorted(made, key=lambda group: (-group.units, group.name))


def gold_units(site: Site) -> QuerySet[GoldUnit]:
    """Gold units with how often each was judged and how often rightly, those in use first."""
    rows: QuerySet[GoldUnit] = GoldUnit.objects.filter(site=site)
    counted = rows.annotate(
        judged=Count("grades"), right=Count("grades", filter=Q(grades__is_right=True))
    )
    related = counted.select_related("source", "inspection", "plan", "created_by")
    return related.order_by("-is_active", "-created_at")


def grades_by_reviewer(site: Site) -> list[dict[str, Any]]:
    """For each reviewer: units, how many dispositions were right, and defects found, missed,
    called something else, and called where there is none."""
    rows = Grade.objects.filter(site=site).values("reviewer__username")
    summed = rows.annotate(
        units=Count("pk"),
        right=Count("pk", filter=Q(is_right=True)),
        found_all=Sum("found"),
        missed_all=Sum("missed"),
        misclassed_all=Sum("misclassed"),
        overcalled_all=Sum("overcalled"),
    )
    return list(summed.order_by("reviewer__username"))
