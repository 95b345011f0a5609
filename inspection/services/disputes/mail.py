"""A link by e-mail, sent at once: the token is stored nowhere, so no worker could send it later."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from inspection.models import DisputeLink
from inspection.services.reports.mailing import why

BODY = """{site} inspected {unit} and would like you to see what was found.

{address}

You need no account. You can say what you think of it, with photos, until {until}.
Whoever has this link can open it: pass it on only to those whom it concerns.
"""


def send_link(link: DisputeLink, address: str) -> str:
    """Send it to the link's address; "" where the mail server took it, else why not."""
    until = f"{link.expires_at:%-d %B %Y, %H:%M} UTC"
    unit, site = link.inspection, link.site
    message = EmailMessage(
        subject=f"{site.name}: the inspection of {unit}"[:200],
        body=BODY.format(site=site.name, unit=unit, address=address, until=until),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[link.email],
        connection=get_connection(timeout=settings.EMAIL_TIMEOUT),
    )
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return why(error)
    return ""
