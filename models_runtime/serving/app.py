"""The WSGI application: health, models, chat completions and embeddings.

Requests beyond ``queue`` are refused at once with 429 and Retry-After, so that callers go to
another machine or wait, instead of piling up here.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from models_runtime.errors import EngineError
from models_runtime.serving.models import ChatServed, EmbeddingModel, Json, Served, not_here
from models_runtime.serving.problems import ApiError, bad, from_engine
from models_runtime.serving.questions import ChatQuestion, EmbeddingQuestion, read_question

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
CHUNK = 65_536
DRAINED = 64 * 1024 * 1024
"""Bytes of a body that is too long which are read away, so that its sender can read the answer."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The models that are served, by name."""

    chat: dict[str, ChatServed] = field(default_factory=dict)
    embedding: dict[str, EmbeddingModel] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Served]:
        return {**self.chat, **self.embedding}

    def close(self) -> None:
        for model in self.all.values():
            model.close()


@dataclass(frozen=True, slots=True)
class Rules:
    """``queue``: requests at a time, those that are worked on included. ``most_bytes``: of one
    body. ``key``: bearer key that callers must send; "" for none."""

    queue: int = 32
    most_bytes: int = 48 * 1024 * 1024
    key: str = ""


class Application:
    """Serves a shelf of models once ``ready`` was called with it; until then it answers 503."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._shelf: Shelf | None = None
        self._state = "loading"
        self._gate = _Gate(rules.queue)
        self._since = int(time.time())

    def ready(self, shelf: Shelf) -> None:
        """Begin to answer."""
        self._shelf, self._state = shelf, "ok"

    def stop(self) -> None:
        """Take no new questions; those under way are answered."""
        self._state = "stopping"
        if self._shelf is not None:
            self._shelf.close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, body, headers = HTTPStatus.OK, self._answer(environ), []
        except ApiError as error:
            status, body, headers = HTTPStatus(error.status), error.body, error.headers
        except EngineError as error:
            told = from_engine(error)
            logger.warning("a question failed: %s", error)
            status, body, headers = HTTPStatus(told.status), told.body, told.headers
        except Exception:
            logger.exception("a defect of the server")
            told = ApiError(500, "the server failed; its log says why", "internal")
            status, body, headers = HTTPStatus.INTERNAL_SERVER_ERROR, told.body, []
        raw = json.dumps(body).encode()
        common = [("Content-Type", "application/json"), ("Content-Length", str(len(raw)))]
        start_response(f"{status.value} {status.phrase}", common + headers)
        return [raw]

    def _answer(self, environ: Environ) -> Json:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").rstrip("/")
        if path == "/health":
            return self._health()
        routes: dict[str, tuple[str, Callable[[Environ, Shelf], Json]]] = {
            "/v1/models": ("GET", self._models),
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/embeddings": ("POST", self._embeddings),
        }
        if path not in routes:
            raise ApiError(404, f"there is nothing at {path[:100]!r}", "not_found")
        self._check_key(environ)
        wanted, answer = routes[path]
        if method != wanted:
            raise ApiError(405, f"{path} takes {wanted}", "method_not_allowed")
        if self._shelf is None or self._state != "ok":
            raise ApiError(503, f"the server is {self._state}", self._state, retry_after=5.0)
        return answer(environ, self._shelf)

    def _health(self) -> Json:
        """200 while questions are answered, else 503, for load balancers."""
        told: Json = {"status": self._state, "busy": self._gate.busy, "queue": self._rules.queue}
        if self._state != "ok":
            raise _Unwell(503, f"the server is {self._state}", self._state, told=told)
        return told

    def _check_key(self, environ: Environ) -> None:
        if not self._rules.key:
            return
        given = environ.get("HTTP_AUTHORIZATION", "")
        expected = f"Bearer {self._rules.key}"
        if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            raise ApiError(401, "send the key as Authorization: Bearer …", "invalid_api_key")

    def _models(self, _: Environ, shelf: Shelf) -> Json:
        common = {"object": "model", "created": self._since, "owned_by": "loupe"}
        listed = [
            {"id": name, **common, "version": model.ref.version}
            for name, model in shelf.all.items()
        ]
        return {"object": "list", "data": listed}

    def _chat(self, environ: Environ, shelf: Shelf) -> Json:
        with self._gate.passed(environ, self._rules.most_bytes) as body:
            question = read_question(ChatQuestion, body)
            model = shelf.chat.get(question.model)
            if model is None:
                raise not_here(question.model, list(shelf.chat))
            return model.answer(question)

    def _embeddings(self, environ: Environ, shelf: Shelf) -> Json:
        with self._gate.passed(environ, self._rules.most_bytes) as body:
            question = read_question(EmbeddingQuestion, body)
            model = shelf.embedding.get(question.model)
            if model is None:
                raise not_here(question.model, list(shelf.embedding))
            return model.embed(question)


@dataclass(eq=False)
class _Unwell(ApiError):
    """The state of a server that is not well, in the form that health has when it is."""

    told: Json = field(default_factory=dict)

    @property
    def body(self) -> Json:
        return self.told


class _Gate:
    """Lets so many requests in at a time, and tells the others when to come again."""

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._seconds = 1.0
        self.busy = 0

    @contextmanager
    def passed(self, environ: Environ, most: int) -> Iterator[object]:
        """The body of a request, while it is worked on; ApiError 429 where too many are."""
        with self._lock:
            full = self.busy >= self._queue
            self.busy += not full
            pause = min(30.0, self._seconds * self._queue / 2)
        if full:
            _drain(environ, most)
            raise ApiError(
                429, f"{self._queue} requests are being answered: come again", "queue_full",
                retry_after=pause,
            )  # fmt: skip
        began = time.monotonic()
        try:
            yield _body(environ, most)
        finally:
            with self._lock:
                self.busy -= 1
                # A moving average over the last few requests.
                self._seconds += 0.2 * (time.monotonic() - began - self._seconds)


def _body(environ: Environ, most: int) -> object:
    """The JSON of a request; ApiError where it is too long or none."""
    stream, parts, length = environ["wsgi.input"], [], 0
    while chunk := stream.read(CHUNK):
        parts.append(chunk)
        length += len(chunk)
        if length > most:
            _drain(environ, DRAINED)
            raise ApiError(413, f"a request may have {most} bytes", "request_too_large")
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise bad("the body is no JSON", code="invalid_json") from None


def _drain(environ: Environ, most: int) -> None:
    left = most
    while left > 0 and (chunk := environ["wsgi.input"].read(min(CHUNK, left))):
        left -= len(chunk)
