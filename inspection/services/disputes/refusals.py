"""What can't be done with a link, a statement or an answer."""

from __future__ import annotations


class DisputeRefusedError(Exception):
    """It can't be done so; the message says what to do. Nothing was changed."""


class LinkClosedError(DisputeRefusedError):
    """The link is revoked or its time is over."""


class NewStatementError(DisputeRefusedError):
    """The party wrote again while the answer was being written."""
