"""The audit trail: database triggers copy every insert, update and delete, bulk ones included.

Who did it comes from the request (``pghistory.middleware``) or from ``pghistory.context`` in a
worker. The event tables can only be added to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pghistory
from django.db import models


def audited(*leave_out: str) -> Callable[[type[models.Model]], type[models.Model]]:
    """Track a model in the audit trail, without the columns named (derived or large ones)."""
    decorate: Any = pghistory.track(
        pghistory.InsertEvent(),
        pghistory.UpdateEvent(),
        pghistory.DeleteEvent(),
        exclude=list(leave_out),
        append_only=True,
    )
    return decorate  # type: ignore[no-any-return]
