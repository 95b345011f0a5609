"""Opening a ticket: exactly one per finding and destination, by constraint."""

from __future__ import annotations

from inspection.actions.catalogue import ActionFailed
from inspection.actions.outbox import enqueue
from inspection.actions.payload import TICKET_OPENED, ticket_data, ticket_title
from inspection.models import ActionStep, Connector, Finding, Inspection, Ticket
from inspection.models.choices import FindingStatus


def open_ticket(step: ActionStep) -> str:
    """Write the ticket and its event; with one there already, nothing. Returns words on it."""
    connector = Connector.objects.filter(site=step.site, key=step.destination).first()
    if connector is None:
        raise ActionFailed(
            f"There is no connector {step.destination!r}. An admin can add it under Connectors; "
            "then run the inspection again."
        )
    if _rejected(step):
        raise ActionFailed("A reviewer rejected this finding, so no ticket is written.")
    ticket = _insert(step, connector)
    if ticket is None:
        return f"{connector.name} already has a ticket for this."
    enqueue(connector, TICKET_OPENED, ticket_data(ticket, step), ticket)
    return f"Ticket written for {connector.name}."


def _rejected(step: ActionStep) -> bool:
    """Has a reviewer rejected the finding since this was planned?"""
    if step.finding_id is None:
        return False
    return Finding.objects.filter(pk=step.finding_id, status=FindingStatus.REJECTED).exists()


def _insert(step: ActionStep, connector: Connector) -> Ticket | None:
    """Insert unless there is one. A racing transaction is waited for, then one of both has it."""
    inspection: Inspection = step.action_plan.inspection
    finding: Finding | None = step.finding
    ticket = Ticket(
        site=step.site,
        inspection=inspection,
        finding=finding,
        finding_identity=finding.identity if finding else inspection.pk,
        connector=connector,
        title=ticket_title(inspection, finding),
    )
    Ticket.objects.bulk_create([ticket], ignore_conflicts=True)
    return Ticket.objects.filter(pk=ticket.pk).first()
