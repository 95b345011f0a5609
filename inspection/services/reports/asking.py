"""Asking for a report: on one unit, or on a lot that a filter of the list chooses."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from django.db import transaction
from kombu.exceptions import OperationalError

from inspection.celery import app
from inspection.models import (
    Inspection,
    Membership,
    ReportDocument,
    ReportLayout,
    ReportPart,
)
from inspection.models.choices import Role
from inspection.selectors.inspections import InspectionFilter
from inspection.selectors.reports.lots_chosen import MOST_UNITS, lot_units, words_of
from inspection.services import background
from inspection.services.inspections import storable
from inspection.services.intake import remove
from inspection.services.reports.layouts import snapshot
from inspection.services.reports.refusals import ReportRefusedError

logger = logging.getLogger(__name__)

MAKE = "inspection.report_tasks.make_report"
QUEUE = "language"


def ask_for_unit(
    membership: Membership, inspection: Inspection, layout: ReportLayout | None
) -> ReportDocument:
    """A report on one unit; any member may have it, as any may see the unit's page."""
    kept = snapshot(membership.site, layout)
    title = kept["title"] or f"Inspection report: {inspection}"
    mine = ReportDocument.objects.for_site(membership.site).filter(
        inspection=inspection, requested_by=membership.user, status__in=background.OPEN
    )
    same: ReportDocument | None = mine.filter(layout=kept).first()
    if same is not None:  # a double click
        return same
    return _create(membership, kept, title, [inspection.pk], inspection=inspection)


def ask_for_lot(
    membership: Membership, wanted: InspectionFilter, title: str, layout: ReportLayout | None
) -> ReportDocument:
    """A report on the units that a filter chooses now. ReportRefusedError where they are none, or
    too many; only managers: what it leaves out would tell others which units are gold units."""
    if not membership.allows(Role.MANAGER):
        raise ReportRefusedError("Only quality managers make reports on lots. Ask one of them.")
    units = lot_units(membership.site, wanted)
    if not units:
        raise ReportRefusedError("No unit fits. Loosen the filter.")
    if len(units) > MOST_UNITS:
        raise ReportRefusedError(
            f"More than {MOST_UNITS} units fit. Narrow the filter, by dates for example."
        )
    kept = snapshot(membership.site, layout)
    title = title.strip() or kept["title"] or "Lot report"
    return _create(membership, kept, title, units, criteria=words_of(membership.site, wanted))


def _create(
    membership: Membership,
    layout: dict[str, object],
    title: str,
    units: list[UUID],
    *,
    inspection: Inspection | None = None,
    criteria: list[str] | None = None,
) -> ReportDocument:
    with transaction.atomic():
        document: ReportDocument = ReportDocument.objects.create(
            site=membership.site,
            requested_by=membership.user,
            inspection=inspection,
            title=storable(title)[:200],
            layout=layout,
            criteria=criteria or [],
            units=[str(pk) for pk in units],
            total=2 * len(units),
        )
        transaction.on_commit(partial(wake, document.pk), robust=True)
    return document


def wake(document_id: UUID) -> bool:
    """Tell a worker that a report is to be made; False if unheard, then the sweeper will."""
    return send(MAKE, document_id)


def send(task: str, row_id: UUID) -> bool:
    try:
        app.send_task(task, args=[str(row_id)], queue=QUEUE, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take a message (%s); the sweeper will", error)
        return False
    return True


def cancel(membership: Membership, document: ReportDocument) -> bool:
    """Stop the making of a report; False where it has ended."""
    _check_is_theirs(membership, document, "cancel it")
    rows = ReportDocument.objects.for_site(membership.site).filter(pk=document.pk)
    return background.cancel(rows, membership.user.get_username())


def delete(membership: Membership, document: ReportDocument) -> None:
    """Take a report away, with its files. Who got it by e-mail keeps it."""
    _check_is_theirs(membership, document, "delete it")
    keys = list(ReportPart.objects.filter(document=document).values_list("pdf_key", flat=True))
    keys = [key for key in (*keys, document.pdf_key) if key]
    with transaction.atomic():
        document.delete()
        transaction.on_commit(lambda: remove(keys))


def _check_is_theirs(membership: Membership, document: ReportDocument, act: str) -> None:
    if document.requested_by_id == membership.user_id or membership.allows(Role.MANAGER):
        return
    raise ReportRefusedError(f"Only who made the report and quality managers {act}.")
