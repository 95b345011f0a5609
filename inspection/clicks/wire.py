"""How the web process and ``serve_clicks`` find and trust each other; knows no model."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import salted_hmac

from inspection.supervisor.layout import Layout
from inspection.supervisor.options import CLICKS_URL

MOST_BYTES = 100_000
"""Of a question."""


def bearer() -> str:
    """What a caller shows: only who has the application's secret key can make it."""
    return f"Bearer {salted_hmac('inspection.clicks', 'caller').hexdigest()}"


def socket_path() -> Path:
    return Layout(settings.STATE_DIR).clicks_socket


def address() -> tuple[str, int] | None:
    """Host and port where a network address is configured, None for the socket."""
    if not CLICKS_URL:
        return None
    parts = urlsplit(CLICKS_URL)
    return parts.hostname or "127.0.0.1", parts.port or 8101


def connection(timeout: float) -> http.client.HTTPConnection:
    """A line to the process, not yet open."""
    found = address()
    if found is not None:
        return http.client.HTTPConnection(*found, timeout=timeout)
    return _SocketConnection(socket_path(), timeout)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
