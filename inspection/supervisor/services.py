"""Postgres and Valkey together: started once, shared by everyone who needs them, stopped by the
last one to leave."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspection.supervisor import options
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import Postgres
from inspection.supervisor.valkey import Valkey


@dataclass(frozen=True)
class Services:
    """The embedded servers that a start needs; None where a real server is configured."""

    postgres: Postgres | None
    valkey: Valkey | None

    def start(self) -> None:
        if self.postgres:
            self.postgres.start()
        if self.valkey:
            self.valkey.start()

    def stop(self) -> None:
        if self.valkey:
            self.valkey.stop()
        if self.postgres:
            self.postgres.stop()


def embedded_services(layout: Layout) -> Services:
    """Return the servers to start here: none where the environment names a real one."""
    return Services(
        None if options.real_database() else Postgres(layout),
        None if options.real_broker() else Valkey(layout),
    )


@contextlib.contextmanager
def in_use(services: Services, layout: Layout) -> Iterator[None]:
    """Have the servers running inside the block, whoever started them.

    Every user holds a shared lock; who leaves last gets it alone and stops the servers. The lock
    goes with its process, so a killed user does not keep the servers up.
    """
    make_state_dir(layout)
    with (layout.run / "services.lock").open("a") as lock:
        try:
            # Inside: who is interrupted while they start has started some of them.
            with _alone(layout.run / "start.lock"):
                fcntl.flock(lock, fcntl.LOCK_SH)
                services.start()
            yield
        finally:
            with _alone(layout.run / "start.lock"), contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                services.stop()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_state_dir(layout: Layout) -> None:
    """Make the state directory. Raises SupervisorError where it can't be written."""
    try:
        for directory in (layout.state, layout.run, layout.logs):
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / ".writable").open("w"):
                pass
            (directory / ".writable").unlink()
    except OSError as error:
        raise SupervisorError(
            f"The state directory {layout.state} can't be written: {error.strerror} "
            f"({error.filename}). Make it writable for this user, or point LOUPE_STATE elsewhere."
        ) from error
