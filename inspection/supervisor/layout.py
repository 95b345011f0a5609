"""Where things lie: files below the state directory, sockets in a short directory of their own."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

# sun_path holds 108 bytes on Linux and 104 on macOS, with a closing zero in both.
LONGEST_SOCKET_PATH = 103
POSTGRES_SOCKET_NAME = ".s.PGSQL.5432"
DATABASE = "loupe"
SUPERUSER = "postgres"


@dataclass(frozen=True)
class Layout:
    """Every path that the supervisor uses, derived from the state directory alone.

    A second process that knows the same state directory finds the same sockets.
    """

    state: Path

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def postgres(self) -> Path:
        return self.state / "postgres"

    @property
    def valkey(self) -> Path:
        return self.state / "valkey"

    @property
    def log_ins(self) -> Path:
        return self.state / "log-ins.txt"

    @property
    def sockets(self) -> Path:
        return socket_dir(self.state)

    @property
    def postgres_sockets(self) -> Path:
        return self.sockets / "pg"

    @property
    def clicks_socket(self) -> Path:
        return self.sockets / "clicks" / "http.sock"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "mq" / "valkey.sock"


def digest(state: Path) -> str:
    """Name a state directory in 12 characters."""
    return hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:12]


def socket_dir(state: Path) -> Path:
    """Return the directory for the sockets of a state directory: short, and the same every time.

    $XDG_RUNTIME_DIR comes after /tmp: systemd empties it when the user signs out, although a
    server started in tmux or with nohup goes on.
    """
    name = f"loupe-{os.geteuid()}-{digest(state)}"
    longest = max(map(len, ("pg/" + POSTGRES_SOCKET_NAME, "mq/valkey.sock", "clicks/http.sock")))
    bases = ["/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()]  # noqa: S108
    for base in filter(None, bases):
        candidate = Path(base) / name
        fits = len(os.fsencode(candidate)) + 1 + longest <= LONGEST_SOCKET_PATH
        if fits and os.access(base, os.W_OK | os.X_OK):
            return candidate
    return Path("/tmp") / name  # noqa: S108  (making it will say why it can't be used)


def embedded_database_url(state: Path) -> str:
    """Return the libpq URL of the embedded Postgres of a state directory, running or not."""
    query = urlencode({"host": str(Layout(state).postgres_sockets)})
    return f"postgresql://{SUPERUSER}@/{DATABASE}?{query}"


def embedded_broker_url(state: Path) -> str:
    """Return the Celery URL of the embedded Valkey of a state directory, running or not."""
    return "redis+socket://" + quote(str(Layout(state).valkey_socket))


def django_database(url: str) -> dict[str, Any]:
    """Turn a libpq URL (with a socket as `?host=` too) into the core of a DATABASES entry.

    Parameters other than database, user, password, host and port become OPTIONS.
    """
    from psycopg.conninfo import conninfo_to_dict

    parts = dict(conninfo_to_dict(url))
    entry = {
        key: str(parts.pop(name, "") or "")
        for key, name in [
            ("NAME", "dbname"),
            ("USER", "user"),
            ("PASSWORD", "password"),
            ("HOST", "host"),
            ("PORT", "port"),
        ]
    }
    return {"ENGINE": "django.db.backends.postgresql", **entry, "OPTIONS": parts}
