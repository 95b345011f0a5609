"""What the sweeper does for reports: sends those again that no worker has taken."""

from __future__ import annotations

from inspection.models import ReportDocument
from inspection.services import background
from inspection.services.reports import asking, mailing


def wake_due() -> int:
    """How many were sent again."""
    made = sum(map(asking.wake, background.due(ReportDocument)))
    return made + sum(asking.send(mailing.SEND, pk) for pk in mailing.due())
