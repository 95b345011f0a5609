"""Settings that the supervisor reads itself, before Django is there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from inspection import environment as env

PORT = env.integer(
    "LOUPE_PORT", default=8000, minimum=1, maximum=65535, help="Port of the web pages and the API."
)
BIND = env.text(
    "LOUPE_BIND",
    default="127.0.0.1",
    help="Address to listen on. `0.0.0.0` opens the application to the network: name the host in "
    "`LOUPE_ALLOWED_HOSTS` too, and put TLS in front.",
)
WEB_THREADS = env.integer(
    "LOUPE_WEB_THREADS",
    default=8,
    minimum=1,
    maximum=64,
    help="Requests that the web process answers at the same time.",
)
STOP_SECONDS = env.integer(
    "LOUPE_STOP_SECONDS",
    default=20,
    minimum=1,
    help="How long workers may finish what they are at when the application stops, in seconds. "
    "What they can't finish is done after the next start.",
)
CLICKS_URL = env.url(
    "LOUPE_CLICKS_URL",
    default="",
    schemes=("http",),
    shown="a socket on this machine",
    help="Where `manage.py serve_clicks` answers, which outlines what reviewers click on, e.g. "
    "`http://clicks:8101`. The same `LOUPE_SECRET_KEY` must be given to both.",
)
CLICKS_CACHE_MB = env.integer(
    "LOUPE_CLICKS_CACHE_MB",
    default=1000,
    minimum=1,
    help="Space for what the segmenter has seen of photos, in megabytes in the state directory, so "
    "that a first click on a photo that was drawn on before is quick after a restart too.",
)


@dataclass(frozen=True)
class Address:
    """Where the web process listens and how a person on this machine reaches it."""

    bind: str
    port: int

    @property
    def host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.bind, self.bind)  # noqa: S104

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def demo_wanted() -> bool:
    """Tell whether the first start makes the demo site."""
    return env.boolean(
        "LOUPE_DEMO",
        default=True,
        help="Make the demo site, its log-ins and samples on first start.",
    )


def real_database() -> bool:
    """Tell whether DATABASE_URL names a server, so that none is to be started here."""
    return bool(os.environ.get("DATABASE_URL", "").strip())


def real_broker() -> bool:
    """Tell whether CELERY_BROKER_URL names a server, so that none is to be started here."""
    return bool(os.environ.get("CELERY_BROKER_URL", "").strip())
