"""The process that holds the segmenter: a small HTTP server on a socket of its own.

POST /outline ``{photo, prompt, patience}`` → 200 ``{masks, took_ms}``, 202 ``{progress, words}``,
422 or 503 ``{error}``. GET /health → 200. Threads take requests; photos are looked at one by one.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Annotated, Any

from django.utils.crypto import constant_time_compare
from pydantic import BaseModel, Field, ValidationError

from inspection.clicks import wire
from inspection.clicks.outliner import BusyError, Outliner, Waiting, words_for
from models_runtime.contracts import MaskCandidate, Prompt
from models_runtime.errors import EngineError, InputError

logger = logging.getLogger(__name__)
BUSY = "Many photos wait to be looked at. Try again in a moment, or draw with the brush."


class Question(BaseModel):
    """``photo``: key of the stored original. ``patience``: seconds before progress is told."""

    photo: str = Field(min_length=1, max_length=400)
    prompt: Prompt | None = None
    patience: Annotated[float, Field(ge=0, le=10)] = 0.5


class _Threads(socketserver.ThreadingMixIn):
    daemon_threads = True
    request_queue_size = socket.SOMAXCONN
    outliner: Outliner


class TcpServer(_Threads, socketserver.TCPServer):
    allow_reuse_address = True


class SocketServer(_Threads, socketserver.UnixStreamServer):
    pass


Server = TcpServer | SocketServer


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "loupe-clicks"
    timeout = 60
    server: Any

    def do_GET(self) -> None:
        known = self.path == "/health"
        self._answer(200 if known else 404, {"ok": known})

    def do_POST(self) -> None:
        self._answer(*self._asked())

    def _asked(self) -> tuple[int, dict[str, Any]]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > wire.MOST_BYTES:
            self.close_connection = True
            return 422, {"error": "The question is too long."}
        body = self.rfile.read(int(length))
        if not constant_time_compare(self.headers.get("Authorization", ""), wire.bearer()):
            return 403, {"error": "This is for the web process only."}
        if self.path != "/outline":
            return 404, {"error": "There is only /outline."}
        return answer(self.server.outliner, body)

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return str(self.client_address[0]) if self.client_address else "socket"

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def answer(outliner: Outliner, body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body for a question."""
    begun = time.perf_counter()
    try:
        asked = Question.model_validate_json(body)
        found = outliner.outline(asked.photo, asked.prompt, asked.patience)
    except ValidationError as error:
        return 422, {"error": error.errors(include_url=False, include_input=False)[0]["msg"]}
    except InputError as error:
        return 422, {"error": str(error)}
    except BusyError:
        return 503, {"error": BUSY}
    except EngineError as error:
        return 503, {"error": words_for(error)}
    except Exception as error:
        logger.exception("a question could not be answered")
        return 503, {"error": words_for(EngineError(str(error)))}
    if isinstance(found, Waiting):
        return 202, {"progress": found.progress, "words": found.words}
    took = (time.perf_counter() - begun) * 1000
    return 200, {"masks": [_told(one) for one in found], "took_ms": round(took, 1)}


def _told(found: MaskCandidate) -> dict[str, Any]:
    return {
        "mask": {"size": list(found.mask.size), "counts": found.mask.counts},
        "score": round(found.predicted_iou, 4),
    }


def listen(outliner: Outliner, where: tuple[str, int] | Path) -> Server:
    """Take the address; a socket's file that a killed process left is replaced."""
    server: Server
    if isinstance(where, Path):
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        where.unlink(missing_ok=True)
        server = SocketServer(str(where), Handler)
        where.chmod(0o600)
    else:
        server = TcpServer(where, Handler)
    server.outliner = outliner
    return server


def serve(server: Server) -> None:
    """Serve until ``shutdown``, which ``stop_soon`` calls."""
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.outliner.stop()
        server.server_close()


def stop_soon(server: Server) -> None:
    """From a signal's handler: ``shutdown`` would wait for the thread that it interrupts."""
    threading.Thread(target=server.shutdown, daemon=True).start()
