"""Celery tasks of the queue ``actions``; a message only says which row to look at."""

from __future__ import annotations

from uuid import UUID

from inspection.actions.outbox import ACT_AFTER_DECISION, DELIVER
from inspection.celery import app


@app.task(name=DELIVER)  # type: ignore[untyped-decorator]
def deliver(delivery_id: str) -> None:
    """Make one attempt at a delivery, if it is due."""
    from inspection.actions import deliveries

    deliveries.deliver(UUID(delivery_id))


@app.task(name=ACT_AFTER_DECISION)  # type: ignore[untyped-decorator]
def act_after_decision(inspection_id: str) -> None:
    """Plan and do what follows from a person's decision."""
    from inspection.actions import act

    act.act_after_decision(UUID(inspection_id))
