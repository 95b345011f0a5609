"""Celery task of disputes: photos of the party are read outside the web process."""

from __future__ import annotations

from uuid import UUID

from inspection.celery import app
from inspection.services.disputes import photos


@app.task(name=photos.READ_TASK)  # type: ignore[untyped-decorator]
def read_photo(photo_id: str) -> None:
    """Decode and re-encode one photo."""
    photos.read_photo(UUID(photo_id))
