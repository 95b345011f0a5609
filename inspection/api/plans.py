"""Inspection plans, to be read."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router
from ninja.errors import HttpError

from inspection.api.auth import member
from inspection.api.schemas import PlanOut
from inspection.models import Plan, Site
from inspection.selectors.plans import active_plans

router = Router(tags=["plans"])


def plan_with_key(site: Site, key: str | None) -> Plan | None:
    """The site's plan in force with this key; None where none is named, 422 where there is none."""
    if not key:
        return None
    found = active_plans(site).select_related("current").filter(key=key).first()
    if found is None:
        known = ", ".join(active_plans(site).values_list("key", flat=True)[:20])
        raise HttpError(422, f"There is no plan {key!r}. There are: {known or 'none yet'}.")
    return found


@router.get("", response=list[PlanOut], summary="List plans")
def plans(request: HttpRequest) -> list[PlanOut]:
    """The plans that photos can be inspected by."""
    rows = active_plans(member(request).site).select_related("current")
    return [
        PlanOut(key=row.key, name=row.name, version=row.current.number, spec=row.current.spec)
        for row in rows
        if row.current
    ]
