"""Reads of plans, their versions and golden photos."""

from __future__ import annotations

from django.db.models import Count, Max, QuerySet

from inspection.models import GoldenPhoto, Plan, PlanVersion, Site


def active_plans(site: Site) -> QuerySet[Plan]:
    """Plans that new photos may be given to, by name."""
    rows: QuerySet[Plan] = Plan.objects.filter(site=site)
    return rows.filter(is_active=True, current__isnull=False).select_related("current")


def plans_with_use(site: Site) -> QuerySet[Plan]:
    """All plans with ``inspection_count`` and ``last_used``, by name."""
    rows: QuerySet[Plan] = Plan.objects.filter(site=site)
    used = rows.annotate(
        inspection_count=Count("inspections"), last_used=Max("inspections__created_at")
    )
    return used.select_related("current").order_by("-is_active", "name")


def versions_of(plan: Plan) -> QuerySet[PlanVersion]:
    """Newest first."""
    return plan.versions.select_related("created_by").order_by("-number")


def golden_photos_of(plan: Plan) -> QuerySet[GoldenPhoto]:
    return plan.golden_photos.order_by("created_at")
