"""How often something may be tried in a minute, counted in the database for all processes.

The count and the increment are one statement, so that two at once are counted as two.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone
from django.utils.crypto import salted_hmac

from inspection.models.dispute import TryCount

KEPT = timedelta(minutes=10)
COUNTED = """
INSERT INTO inspection_trycount (key, minute, count)
VALUES (%s, date_trunc('minute', now()), 1)
ON CONFLICT (key, minute) DO UPDATE SET count = inspection_trycount.count + 1
RETURNING count
"""


def is_too_often(what: str, who: str, most: int) -> bool:
    """Count one try of ``what`` by ``who``; whether there were more than ``most`` this minute."""
    key = salted_hmac("inspection.tries", f"{what}\n{who}", algorithm="sha256").hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [key])
        row = cursor.fetchone()
    return bool(row and row[0] > most)


def forget() -> int:
    """Delete counts of minutes that are over. Called by the sweeper."""
    old = TryCount.objects.filter(minute__lt=timezone.now() - KEPT)
    return int(old.delete()[0])
