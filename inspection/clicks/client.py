"""The web process's side of click to mask: a question over a socket, an answer or words."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from inspection.clicks import wire

PATIENCE_S = 0.7
"""So long the other side may take before it says how far it is: short first looks need no asking
twice, and a thread of the web process is not held for longer."""
TIMEOUT_S = 15.0
DOWN = (
    "The process that outlines what you click on does not answer. Draw with brush or polygon "
    "meanwhile and try again in half a minute. If it stays away: its log is clicks.log in the "
    "state directory, and “manage.py serve_clicks” starts it by hand."
)
SLOW = "Outlining by click is very busy just now. Try again in a moment, or draw with the brush."


class ClicksDownError(Exception):
    """No answer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side said: 200 with masks, 202 with progress, 422 or 503 with words."""

    status: int
    told: dict[str, Any]


def ask(original_key: str, prompt: dict[str, Any] | None) -> Reply:
    """Ask for masks of a prompt on a stored photo, or let the photo be looked at.

    ``prompt``: ``{"box": {x1 … y2} or None, "clicks": [{x, y, positive}]}`` in pixels of the photo.
    """
    question = {"photo": original_key, "prompt": prompt, "patience": PATIENCE_S}
    line = wire.connection(TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json", "Authorization": wire.bearer()}
        line.request("POST", "/outline", json.dumps(question), headers)
        answer = line.getresponse()
        told = json.loads(answer.read())
    except TimeoutError:
        raise ClicksDownError(SLOW) from None
    except (OSError, http.client.HTTPException, ValueError):
        raise ClicksDownError(DOWN) from None
    finally:
        line.close()
    if answer.status not in (200, 202, 422, 503) or not isinstance(told, dict):
        raise ClicksDownError(DOWN)
    return Reply(answer.status, told)
