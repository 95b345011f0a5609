"""Celery tasks: a few lines each. No model library is loaded by importing this."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any
from uuid import UUID

from celery.signals import worker_process_init

from inspection.celery import app
from inspection.pipeline import engine, runtime, tiles
from inspection.pipeline.wake import ADVANCE, RECEIVE, TILE
from inspection.services import uploads


@app.task(name=ADVANCE, bind=True)  # type: ignore[untyped-decorator]
def advance(self: Any, run_id: str) -> None:
    """Do what is due of this run in the queue that this message came by."""
    queue = (self.request.delivery_info or {}).get("routing_key") or "intake"
    engine.advance(UUID(run_id), queue, worker=f"{socket.gethostname()}:{os.getpid()}")


@app.task(name=RECEIVE)  # type: ignore[untyped-decorator]
def receive(upload_id: str) -> None:
    """Turn a whole upload into inspections."""
    uploads.receive(UUID(upload_id))


@app.task(name=TILE)  # type: ignore[untyped-decorator]
def tile(photo_id: str) -> None:
    """Make the tiles of a large photo."""
    tiles.make_missing(UUID(photo_id))


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: Any) -> None:
    """Load the models of this worker's queues after the fork, while it can already take work."""
    queues = frozenset(app.amqp.queues.consume_from)
    runtime.runtime()  # before the thread, so that it and the first task share one
    threading.Thread(target=runtime.warm_up, args=(queues,), daemon=True, name="warm-up").start()
