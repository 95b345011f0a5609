"""Wake a worker for a run. The message may be lost: the rows are the truth, the sweeper looks."""

from __future__ import annotations

import logging
from uuid import UUID

from kombu.exceptions import OperationalError

from inspection.celery import app

logger = logging.getLogger(__name__)

ADVANCE = "inspection.pipeline.tasks.advance"
RECEIVE = "inspection.pipeline.tasks.receive"
TILE = "inspection.pipeline.tasks.tile"


def wake(run_id: UUID, queue: str = "intake") -> bool:
    """Tell the workers of a queue that this run has something for them; False if unheard."""
    return _send(ADVANCE, str(run_id), queue)


def wake_upload(upload_id: UUID) -> bool:
    """Tell the intake workers that a file is here as a whole; False if unheard."""
    return _send(RECEIVE, str(upload_id), "intake")


def wake_tiles(photo_id: UUID) -> bool:
    """Ask for the tiles of a photo that has none; False if unheard: whoever opens it asks again."""
    return _send(TILE, str(photo_id), "intake")


def _send(task: str, argument: str, queue: str) -> bool:
    try:
        app.send_task(task, args=[argument], queue=queue, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take a message (%s); the sweeper will", error)
        return False
    return True
