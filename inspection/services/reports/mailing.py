"""Reports by e-mail: kept as rows, sent by a worker, once.

A mail server can't be asked whether it has taken a message. So a mailing whose worker died while
it sent is not sent again by itself: it fails, and says that it may have gone out.
"""

from __future__ import annotations

import smtplib
from functools import partial
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from inspection.models import Membership, ReportDocument, ReportMailing
from inspection.models.background import JobStatus
from inspection.models.choices import Role
from inspection.services.background import LEASE, Claim
from inspection.services.inspections import storable
from inspection.services.intake import fetch
from inspection.services.reports.asking import send
from inspection.services.reports.refusals import ReportRefusedError

SEND = "inspection.report_tasks.send_report"
UNSURE = "The worker died while it sent. It may have gone out; ask the receiver, or send it again."


def is_configured() -> bool:
    """Whether the settings name a mail server."""
    return bool(settings.EMAIL_HOST)


def ask_to_send(
    membership: Membership,
    document: ReportDocument,
    to: list[str],
    subject: str,
    body: str,
    client_key: str,
) -> ReportMailing:
    """Send a report that is done; the same key again is the same mailing."""
    _check(membership, document, client_key)
    with transaction.atomic():
        mailing, created = ReportMailing.objects.get_or_create(
            document=document,
            client_key=client_key,
            defaults={
                "site": membership.site,
                "requested_by": membership.user,
                "to": to,
                "subject": " ".join(storable(subject).split())[:200] or document.title,
                "body": storable(body)[:4000],
            },
        )
        if created:
            transaction.on_commit(partial(send, SEND, mailing.pk), robust=True)
    found: ReportMailing = mailing
    return found


def _check(membership: Membership, document: ReportDocument, client_key: str) -> None:
    if not membership.allows(Role.REVIEWER):
        raise ReportRefusedError("Only reviewers send reports out of the house. Ask one of them.")
    if not is_configured():
        raise ReportRefusedError("No mail server is set up. Download the PDF and send it yourself.")
    if document.status != JobStatus.DONE:
        raise ReportRefusedError("The report is not ready yet. Wait until it is, then send it.")
    if document.size_bytes > settings.EMAIL_MAX_BYTES:
        raise ReportRefusedError(
            f"The PDF has {document.size_bytes / 1e6:.0f} MB; by e-mail at most "
            f"{settings.EMAIL_MAX_BYTES / 1e6:.0f} MB are sent. Download it and hand it over "
            "otherwise, or make one with fewer parts."
        )
    if not 0 < len(client_key) <= 64:
        raise ReportRefusedError("This form has no key of its own. Reload the page.")


def send_mailing(mailing_id: UUID) -> None:
    """Send one that waits."""
    waiting = ReportMailing.objects.filter(pk=mailing_id, status=JobStatus.WAITING)
    won = waiting.update(
        status=JobStatus.RUNNING, attempt=F("attempt") + 1, lease_until=Now() + 5 * LEASE
    )
    if not won:
        return
    mailing = ReportMailing.objects.select_related("document").get(pk=mailing_id)
    claim = Claim(ReportMailing, mailing_id, mailing.attempt)
    try:
        message_of(mailing).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        claim.end(JobStatus.FAILED, why(error))
        return
    claim.end(JobStatus.DONE)


def message_of(mailing: ReportMailing) -> EmailMessage:
    """The mail with the PDF at it."""
    document = mailing.document
    message = EmailMessage(
        subject=mailing.subject,
        body=mailing.body,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=mailing.to,
        connection=get_connection(timeout=settings.EMAIL_TIMEOUT),
    )
    message.attach(file_name(document), fetch(document.pdf_key), "application/pdf")
    return message


def file_name(document: ReportDocument) -> str:
    """A name for the PDF that every system takes."""
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in document.title)
    return f"{'-'.join(part for part in kept.split('-') if part)[:80] or 'report'}.pdf"


def why(error: Exception) -> str:
    """For people: what the mail server had against it, and what to do."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "The mail server did not accept user and password. An admin checks LOUPE_EMAIL_USER."
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        refused = ", ".join(error.recipients)
        return f"The mail server refuses these addresses: {refused}. Check how they are spelt."
    if isinstance(error, FileNotFoundError):
        return "The PDF is gone from the storage. Make a new report."
    if isinstance(error, smtplib.SMTPException):
        return f"The mail server did not take it: {error}"[:2000]
    return "The mail server can't be reached. An admin checks LOUPE_EMAIL_HOST and _PORT."


def due() -> list[UUID]:
    """Mailings that wait for a worker, for the sweeper; those whose worker died are ended."""
    lost = ReportMailing.objects.filter(status=JobStatus.RUNNING, lease_until__lt=Now())
    lost.update(status=JobStatus.FAILED, message=UNSURE, finished_at=Now(), lease_until=None)
    waiting = ReportMailing.objects.filter(status=JobStatus.WAITING)
    return list(waiting.order_by("created_at").values_list("pk", flat=True)[:20])
