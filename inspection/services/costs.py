"""What a defect costs, as managers say it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.db import transaction

from inspection.models import DefectCost, Membership, Plan


@transaction.atomic
def set_costs(membership: Membership, costs: Mapping[tuple[Plan, str], Decimal | None]) -> None:
    """Write the costs of types of plans of this site; None takes one away."""
    for (plan, type), amount in costs.items():
        if plan.site_id != membership.site_id:
            raise ValueError("this plan belongs to another site")
        if amount is None:
            DefectCost.objects.for_site(membership.site).filter(plan=plan, type=type).delete()
        else:
            DefectCost.objects.update_or_create(
                site=membership.site, plan=plan, type=type, defaults={"amount": amount}
            )
