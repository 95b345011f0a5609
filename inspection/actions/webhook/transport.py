"""One attempt to deliver an event to a webhook: sign, call, judge the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from inspection.actions import outbound
from inspection.actions.outbound import Answer, Refused, Unreachable
from inspection.actions.webhook.schedule import retry_after
from inspection.actions.webhook.signing import signed_headers

TIMEOUT = 20.0
"""Seconds for the whole call; the specification asks for 15 to 30."""
USER_AGENT = "Loupe-Webhooks/1"
MOST_SHOWN = 2000

Post = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is to be sent where, signed with each of ``secrets``. ``inside`` allows an address of
    the own network."""

    url: str
    secrets: tuple[str, ...]
    event_id: str
    body: str
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went.

    ``permanent``: trying again can't help. ``gone``: the receiver wants nothing more (410).
    ``wish``: seconds it asked to wait. ``reference`` and ``link``: the ticket on its side, if told.
    """

    delivered: bool
    status_code: int | None = None
    response: str = ""
    error: str = ""
    permanent: bool = False
    gone: bool = False
    wish: float | None = None
    reference: str = ""
    link: str = ""


def send(envelope: Envelope, now: datetime, post: Post = outbound.post) -> Outcome:
    """Make one attempt; whatever goes wrong outside becomes an Outcome."""
    try:
        headers = _headers(envelope, now)
        answer = post(
            envelope.url,
            envelope.body.encode(),
            headers,
            inside=envelope.inside,
            timeout=TIMEOUT,
        )
    except (Refused, Unreachable) as error:
        return Outcome(False, error=str(error), permanent=error.permanent)
    return judge(answer, now)


def _headers(envelope: Envelope, now: datetime) -> dict[str, str]:
    try:
        signed = signed_headers(envelope.secrets, envelope.event_id, now, envelope.body)
    except ValueError:
        raise Refused(
            "The connector's secret isn't whsec_ and base64: rotate it, then resend."
        ) from None
    return {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}


def judge(answer: Answer, now: datetime) -> Outcome:
    """Only 2xx counts; a redirect is a failure like any other."""
    shown = readable(answer.body)
    if 200 <= answer.status < 300:
        reference, link = _ticket_named(answer.body)
        return Outcome(True, answer.status, shown, reference=reference, link=link)
    gone = answer.status == HTTPStatus.GONE
    return Outcome(
        False,
        answer.status,
        shown,
        error=_words(answer.status),
        permanent=gone,
        gone=gone,
        wish=retry_after(answer.headers.get("retry-after"), now),
    )


def _words(status: int) -> str:
    if status == HTTPStatus.GONE:
        return "The receiver answered 410 Gone: it wants no more events."
    if 300 <= status < 400:
        return f"The receiver answered {status}: redirects aren't followed, use its final address."
    try:
        return f"The receiver answered {status} {HTTPStatus(status).phrase}."
    except ValueError:
        return f"The receiver answered {status}."


def readable(body: bytes) -> str:
    """A bounded excerpt that any database column takes (Postgres has no NUL in text)."""
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")[:MOST_SHOWN]


def _ticket_named(body: bytes) -> tuple[str, str]:
    """The receiver's own id and page of the ticket, where its answer is JSON that says so."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    return _reference(said.get("id")), _link(said.get("url"))


def _reference(said: object) -> str:
    if isinstance(said, bool) or not isinstance(said, int | str):
        return ""
    text = str(said) if isinstance(said, str) or abs(said) < 10**18 else ""
    return text if text.isprintable() and len(text) <= 200 else ""


def _link(said: object) -> str:
    """Only a plain web address is kept: it becomes a link on our page."""
    if not isinstance(said, str) or len(said) > 500 or not said.isascii() or not said.isprintable():
        return ""
    try:
        parts = urlsplit(said)
    except ValueError:
        return ""
    return said if parts.scheme in ("http", "https") and parts.netloc else ""
