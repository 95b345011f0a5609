"""Helpers for judgements by more than one person."""

from __future__ import annotations

import uuid
from typing import Any

from screen_world import Screens

from inspection.models import Inspection, JudgingRule, Membership, Plan, User
from inspection.services import reviews


def key() -> str:
    return uuid.uuid4().hex


def member(world: Screens, name: str, role: str = "reviewer") -> Membership:
    """One more person at the site."""
    user = User.objects.create(username=name)
    made: Membership = Membership.objects.create(site=world.site, user=user, role=role)
    return made


def rule(plan: Plan, **values: Any) -> JudgingRule:
    """Let a second reviewer look, by default at each unit."""
    given = {"share": 1.0} | values
    made: JudgingRule = JudgingRule.objects.create(site=plan.site, plan=plan, **given)
    return made


def decide(who: Membership, inspection: Inspection, disposition: str) -> None:
    """As the page does it: with rows as they are now."""
    fresh = Inspection.objects.get(pk=inspection.pk)
    reviews.decide(who, fresh, disposition, key())
    inspection.refresh_from_db()
