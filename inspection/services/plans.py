"""Plans: made, changed by new versions, switched on and off. A version is never changed."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from inspection.models import Membership, Plan, PlanVersion
from models_runtime.plans import PlanSpec

RESERVED = {"new", "import"}
"""Keys that are addresses of other pages."""


class PlanRefusedError(Exception):
    """The plan can't be saved; the message says what to do."""


@transaction.atomic
def create_plan(membership: Membership, spec: PlanSpec, key: str = "") -> Plan:
    """Make a plan with its first version. Without a key, one is made from the name."""
    wanted = slugify(key or spec.name)[:60] or "plan"
    if wanted in RESERVED:
        wanted = f"{wanted}-plan"
    plan: Plan | None = None
    try:
        with transaction.atomic():
            plan = Plan.objects.create(site=membership.site, key=wanted, name=spec.name)
    except IntegrityError:
        raise PlanRefusedError(
            f"There is a plan with the key “{wanted}” already. Give it another name."
        ) from None
    _add_version(membership, plan, spec, number=1)
    return plan


@transaction.atomic
def save_plan(
    membership: Membership, plan: Plan, spec: PlanSpec, based_on: int | None = None
) -> PlanVersion:
    """Add a version and put it in force; the same text again adds none.

    ``based_on`` is the version that the editor was opened with: PlanRefusedError where somebody
    else has saved another one since.
    """
    rows = Plan.objects.for_site(membership.site).select_for_update(of=("self",), no_key=True)
    locked = rows.select_related("current").get(pk=plan.pk)
    current: PlanVersion | None = locked.current
    if current is None:
        return _add_version(membership, locked, spec, number=1)
    if current.spec == spec.model_dump(mode="json"):
        return current
    if based_on is not None and based_on != current.number:
        raise PlanRefusedError(
            f"Somebody saved version {current.number} while you worked on version {based_on}. "
            "Open the plan in another tab and bring your changes there."
        )
    return _add_version(membership, locked, spec, number=current.number + 1)


def _add_version(membership: Membership, plan: Plan, spec: PlanSpec, *, number: int) -> PlanVersion:
    version: PlanVersion = PlanVersion.objects.create(
        site_id=membership.site_id,
        plan=plan,
        number=number,
        spec=spec.model_dump(mode="json"),
        created_by=membership.user,
    )
    Plan.objects.filter(pk=plan.pk).update(current=version, name=spec.name)
    plan.refresh_from_db()
    return version


def set_active(plan: Plan, is_active: bool) -> None:
    """Offer the plan for new photos, or no longer."""
    Plan.objects.filter(pk=plan.pk).update(is_active=is_active)
