"""Why something about reports can't be done."""

from __future__ import annotations


class ReportRefusedError(Exception):
    """It can't be done so; the message says what to do."""
