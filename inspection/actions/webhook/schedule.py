"""When to try again: the example schedule of the Standard Webhooks specification, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_MINUTE, _HOUR = 60, 3600
PAUSES = (
    0,
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Seconds to wait before attempt 1, 2, …; after the last one it is given up."""
JITTER = 0.1
"""A pause is up to this share longer, so that many deliveries don't come back in one moment."""
LONGEST_WISH = 24 * _HOUR
"""A receiver may ask for a pause (Retry-After) of at most this many seconds."""


def next_pause(
    attempts: int, wish: float | None = None, draw: Callable[[], float] = random.random
) -> timedelta | None:
    """Time to wait after ``attempts`` failures, None where it is to be given up.

    ``wish`` is the receiver's Retry-After in seconds: it can lengthen a pause, never shorten it.
    ``draw`` gives numbers in 0..1.
    """
    if attempts >= len(PAUSES):
        return None
    seconds = PAUSES[attempts] * (1 + JITTER * draw())
    return timedelta(seconds=max(seconds, min(wish or 0.0, LONGEST_WISH)))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3), None where it says nothing.

    Both forms are read: seconds, and a date of HTTP. A date in the past asks for 0.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
