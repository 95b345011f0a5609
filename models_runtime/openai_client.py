"""Chat with any OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp, the hosted ones).

Only the widely shared part of the chat-completions protocol is used: text and image messages,
``max_tokens``, ``temperature`` and ``response_format`` with a JSON schema. What comes back is data
that the caller must validate; some servers ignore ``response_format``.
"""

from __future__ import annotations

import email.utils
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.registry import EngineSpec

Message = dict[str, Any]
"""``{"role": …, "content": text or a list of content parts}``, as the protocol has it."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
LONGEST_PAUSE = 20.0
"""Seconds; a server that asks for more gets the caller's queue to wait, not this thread."""

_RETRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED_INPUT = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: httpx.Headers
    body: bytes

    def excerpt(self) -> str:
        return " ".join(self.body[:300].decode("utf-8", "replace").split())


class ChatClient:
    """One server and one model. Safe to share between threads; keeps connections open.

    ``timeout`` is in seconds for the whole wait on one answer; connecting gets at most ten.
    ``attempts`` counts the first try too.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        timeout: float = 60.0,
        *,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise FatalError(
                f"model server {base_url!r} is no http address: use http://host:port/v1"
            )
        if not model:
            raise FatalError("no model named: add ?model=NAME to the engine setting")
        self.base_url = base_url.rstrip("/")
        self.model = model
        self._attempts = max(1, attempts)
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            follow_redirects=False,
        )

    @classmethod
    def from_spec(cls, spec: EngineSpec) -> ChatClient:
        """Read ``openai:http://host:8000/v1?model=…&key_env=…&timeout=60``.

        ``key_env`` names the environment variable with the key, so that no key stands in a setting.
        """
        return cls(
            spec.target,
            spec.options.get("model", ""),
            _key(spec.options.get("key_env", "")),
            _seconds(spec.options.get("timeout", "60")),
        )

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        max_tokens: int = 1024,
        temperature: float = 0.0,
    ) -> str:
        """Return the text of the first choice.

        InputError where the server refuses this very request, TransientError where it is busy,
        unreachable or answers with nothing usable, FatalError where the setting is wrong.
        """
        payload: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        if schema is not None:
            payload["response_format"] = _response_format(schema)
        reply = self._post_patiently(payload)
        if reply.status in _REFUSED_INPUT and b"response_format" in reply.body:
            payload.pop("response_format", None)
            reply = self._post_patiently(payload)
        if reply.status != 200:
            raise _error(reply, self.base_url)
        return _text(reply)

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._http.close()

    def _post_patiently(self, payload: dict[str, Any]) -> _Reply:
        """Post; on 429, 5xx and broken connections wait and try again."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                reply = self._post(payload)
            except httpx.TransportError as error:
                if last:
                    raise TransientError(_unreachable(self.base_url, error)) from error
                self._sleep(_pause(attempt, None))
                continue
            asked = _retry_after(reply.headers)
            if reply.status not in _RETRY or last or (asked or 0.0) > LONGEST_PAUSE:
                return reply
            self._sleep(_pause(attempt, asked))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _post(self, payload: dict[str, Any]) -> _Reply:
        with self._http.stream("POST", f"{self.base_url}/chat/completions", json=payload) as got:
            body = bytearray()
            for chunk in got.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise TransientError(f"{self.base_url} sent more than 4 MiB for one answer")
            return _Reply(got.status_code, got.headers, bytes(body))


def _key(variable: str) -> str | None:
    if not variable:
        return None
    key = os.environ.get(variable, "")
    if not key:
        raise FatalError(
            f"the environment variable {variable} (key_env) is empty: put the key there"
        )
    return key


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= 3600.0:
        raise FatalError(f"timeout={text!r} must be seconds between 0 and 3600")
    return seconds


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait as the server asks (RFC 9110 §10.2.3: seconds or a date)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(asked, LONGEST_PAUSE)
    jitter: float = random.uniform(0.5, 1.0)  # noqa: S311
    return min(LONGEST_PAUSE, 2.0 ** (attempt - 1)) * jitter


def _unreachable(base_url: str, error: httpx.TransportError) -> str:
    what = (
        "did not answer in time" if isinstance(error, httpx.TimeoutException) else "is unreachable"
    )
    return f"model server {base_url} {what} ({type(error).__name__})"


def _error(reply: _Reply, base_url: str) -> EngineError:
    told = f"model server {base_url} answered {reply.status}: {reply.excerpt()}"
    if reply.status in _RETRY:
        return TransientError(told, retry_after=_retry_after(reply.headers))
    if reply.status in _REFUSED_INPUT:
        return InputError(told)
    if reply.status in (401, 403):
        return FatalError(f"{told} (check the key named by key_env)")
    if reply.status == 404:
        return FatalError(
            f"{told} (check the address, it usually ends in /v1, and the model's name)"
        )
    return FatalError(told)


def _text(reply: _Reply) -> str:
    try:
        content = json.loads(reply.body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise TransientError(
            f"the model server's answer is no chat completion: {reply.excerpt()}"
        ) from error
    if isinstance(content, list):
        content = "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    if not isinstance(content, str) or not content.strip():
        raise TransientError("the model answered without any text")
    return content
