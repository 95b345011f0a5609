"""Celery tasks of reports: made in a thread beside the worker's messages, sent by e-mail."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from inspection.celery import app
from inspection.models import ReportDocument
from inspection.services import background
from inspection.services.reports import asking, mailing


@app.task(name=asking.MAKE)  # type: ignore[untyped-decorator]
def make_report(document_id: str) -> None:
    """Make a report, or what is left of it."""
    from inspection.services.reports.making import make  # here: drawing is heavy to import

    job = partial(background.work, ReportDocument, UUID(document_id), make)
    background.in_thread("report", job)


@app.task(name=mailing.SEND)  # type: ignore[untyped-decorator]
def send_report(mailing_id: str) -> None:
    """Send one mailing."""
    mailing.send_mailing(UUID(mailing_id))
