"""`manage.py serve_clicks`: outlines what reviewers click on, for the drawing page."""

from __future__ import annotations

import contextlib
import fcntl
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inspection.clicks import wire
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import CLICKS_CACHE_MB
from inspection.supervisor.postgres import make_socket_dirs

if TYPE_CHECKING:
    from inspection.clicks.outliner import Outliner
    from models_runtime.contracts import PhotoPixels, Segmenter


class Command(BaseCommand):
    help = (
        "Serve click to mask (LOUPE_SAM) to the web process: on a socket of this machine, or at "
        "the port of LOUPE_CLICKS_URL. `make run` starts it by itself."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="", help="address to listen on instead of LOUPE_CLICKS_URL's host"
        )

    def handle(self, *args: Any, host: str, **options: Any) -> None:
        from inspection.clicks import server

        with _only_one():
            where = _where(host)
            try:
                make_socket_dirs(Layout(settings.STATE_DIR))
                serving = server.listen(outliner(), where)
            except (OSError, SupervisorError) as error:
                raise CommandError(f"{where} can't be listened on: {error}") from None
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: server.stop_soon(serving))
            self.stdout.write(f"outlining clicks at {where}")
            server.serve(serving)


def _where(host: str) -> tuple[str, int] | Path:
    found = wire.address()
    if found is None:
        return wire.socket_path()
    return (host or found[0], found[1])


def outliner() -> Outliner:
    """On the application's photos, engine and cache. The model loads with the first photo."""
    from inspection.clicks.embeddings import Embeddings
    from inspection.clicks.outliner import Outliner

    kept = Embeddings(settings.STATE_DIR / "clicks", CLICKS_CACHE_MB * 1_000_000)
    return Outliner(_segmenter, _pixels, kept)


def _segmenter() -> Segmenter:
    from inspection.pipeline.runtime import runtime

    return runtime().segmenter()


def _pixels(key: str) -> PhotoPixels:
    from inspection.models.base import new_id
    from inspection.pipeline.photos import PhotoRef, pixels

    return pixels(PhotoRef(new_id(), key))


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """A second one would take the first one's socket. The lock goes with its process, however
    that ends."""
    folder = Layout(settings.STATE_DIR).run
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "clicks.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("serve_clicks runs already for this state directory.") from None
        yield
