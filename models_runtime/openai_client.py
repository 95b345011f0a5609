"""Chat with any OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp, the hosted ones).

Only the widely shared part of the chat-completions protocol is used: text and image messages,
``max_tokens``, ``temperature``, ``response_format`` with a JSON schema, and ``logprobs``. What
comes back is data that the caller must validate; some servers ignore ``response_format``.
"""

from __future__ import annotations

import email.utils
import json
import os
import random
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from models_runtime.circuit import Circuit
from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.redaction import scrubbed, shown_url
from models_runtime.registry import EngineSpec

Message = dict[str, Any]
"""``{"role": …, "content": text or a list of content parts}``, as the protocol has it."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
LONGEST_PAUSE = 20.0
"""Seconds; a server that asks for more gets the caller's queue to wait, not this thread."""
LONGEST_WISH = 86_400.0
"""Seconds that a server may ask for: nobody's queue waits longer on one word of it."""
OPTIONS = ("model", "key_env", "timeout", "attempts")
"""What from_spec reads in a setting."""

_BROKEN = (httpx.TransportError, httpx.DecodingError)
"""No answer, or one that isn't packed as it says."""
_RETRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_DOWN = frozenset({500, 502, 503, 504, 529})
_REFUSED_INPUT = frozenset({400, 413, 415, 422})
_NOT_EVERYWHERE = ("response_format", "logprobs")
"""Fields that some servers refuse; they are then left out, and not sent to that server again."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer, as UTF-8, and the natural logarithm of its probability."""

    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server answered.

    ``cut_off``: it ended at the token limit or at a content filter, not of itself. ``tokens`` are
    empty where the server gave no probabilities, or none of this text. ``body``: all of it.
    """

    text: str
    cut_off: bool = False
    tokens: tuple[Token, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)


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
    ``attempts`` counts the first try too. A user name and password in the address are sent as basic
    authentication, and neither they nor the key are in any message.
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
        circuit: Circuit | None = None,
    ) -> None:
        address = _address(base_url)
        if not model:
            raise FatalError("no model named: add ?model=NAME to the engine setting")
        self.base_url = shown_url(base_url).rstrip("/")
        self.model = model
        self._attempts, self._timeout, self._sleep = max(1, attempts), timeout, sleep
        self._circuit = circuit or Circuit(f"model server {self.base_url}")
        self._secrets = tuple(s for s in (api_key, address.password, address.username) if s)
        self._left_out: frozenset[str] = frozenset()
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            auth=_log_in(address) if not api_key else None,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            follow_redirects=False,
        )
        # Engines live as long as their process and are then dropped: no socket is left to chance.
        weakref.finalize(self, self._http.close)

    @classmethod
    def from_spec(cls, spec: EngineSpec) -> ChatClient:
        """Read ``openai:http://host:8000/v1?model=…&key_env=…&timeout=60&attempts=3``.

        ``key_env`` names the environment variable with the key, so that no key stands in a setting.
        """
        return cls(
            spec.target,
            spec.options.get("model", ""),
            _key(spec.options.get("key_env", "")),
            _seconds(spec.options.get("timeout", "60")),
            attempts=_attempts(spec.options.get("attempts", "3")),
        )

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        max_tokens: int = 1024,
        temperature: float = 0.0,
    ) -> str:
        """Return the text of the first choice; errors as ``chat`` has them."""
        return self.chat(messages, schema, max_tokens, temperature).text

    def chat(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        max_tokens: int = 1024,
        temperature: float = 0.0,
        *,
        logprobs: bool = False,
    ) -> Completion:
        """Ask, and return the first choice, with token probabilities if wanted and given.

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
        if logprobs:
            payload["logprobs"] = True
        reply = self._post_what_it_takes(payload)
        if reply.status != 200:
            raise self._error(reply)
        return self._completion(reply)

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._http.close()

    def _post_what_it_takes(self, payload: dict[str, Any]) -> _Reply:
        """Leave out, one by one, the fields that this server says it does not take."""
        payload = {k: v for k, v in payload.items() if k not in self._left_out}
        reply = self._post_patiently(payload)
        while reply.status in _REFUSED_INPUT:
            refused = [f for f in _NOT_EVERYWHERE if f in payload and f.encode() in reply.body]
            if not refused:
                break
            self._left_out |= {refused[0]}
            del payload[refused[0]]
            reply = self._post_patiently(payload)
        return reply

    def _post_patiently(self, payload: dict[str, Any]) -> _Reply:
        """Post; on 429, 5xx and broken connections wait and try again."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                reply = self._post_guarded(payload)
            except _BROKEN as error:
                if last:
                    raise TransientError(_unreachable(self.base_url, error)) from None
                self._sleep(_pause(attempt, None))
                continue
            asked = _retry_after(reply.headers)
            if reply.status not in _RETRY or last or (asked or 0.0) > LONGEST_PAUSE:
                return reply
            self._sleep(_pause(attempt, asked))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _post_guarded(self, payload: dict[str, Any]) -> _Reply:
        """Post unless the circuit is open, and tell it how that went. A busy server is not down."""
        self._circuit.enter()
        try:
            reply = self._post(payload)
        except (*_BROKEN, TransientError):
            self._circuit.failed()
            raise
        except BaseException:
            self._circuit.left()
            raise
        if reply.status in _DOWN:
            self._circuit.failed()
        else:
            self._circuit.succeeded()
        return reply

    def _post(self, payload: dict[str, Any]) -> _Reply:
        deadline = time.monotonic() + self._timeout
        with self._http.stream("POST", f"{self.base_url}/chat/completions", json=payload) as got:
            body = bytearray()
            for chunk in got.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise TransientError(f"{self.base_url} sent more than 4 MiB for one answer")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer trickles in")
            return _Reply(got.status_code, got.headers, bytes(body))

    def _error(self, reply: _Reply) -> EngineError:
        said = scrubbed(reply.excerpt(), self._secrets)
        told = f"model server {self.base_url} answered {reply.status}: {said}"
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

    def _completion(self, reply: _Reply) -> Completion:
        try:
            body = json.loads(reply.body)
            choice = body["choices"][0]
            text = _text(choice["message"])
        except (ValueError, LookupError, TypeError, RecursionError):
            said = scrubbed(reply.excerpt(), self._secrets)
            raise TransientError(
                f"the model server's answer is no chat completion: {said}"
            ) from None
        if not text.strip():
            raise TransientError("the model answered without any text")
        cut_off = choice.get("finish_reason") in ("length", "content_filter")
        return Completion(text, cut_off, _tokens(choice, text), body)


def _address(base_url: str) -> SplitResult:
    try:
        address = urlsplit(base_url)
        if address.scheme in ("http", "https") and address.hostname and address.port != 0:
            return address
    except ValueError:
        pass
    raise FatalError(
        f"model server {shown_url(base_url)!r} is no http address: use http://host:port/v1"
    )


def _log_in(address: SplitResult) -> httpx.BasicAuth | None:
    if not address.username:
        return None
    return httpx.BasicAuth(unquote(address.username), unquote(address.password or ""))


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


def _attempts(text: str) -> int:
    if not _is_digits(text) or not 1 <= int(text) <= 10:
        raise FatalError(f"attempts={text!r} must be a whole number from 1 to 10")
    return int(text)


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
    if _is_digits(text):
        return min(float(text), LONGEST_WISH)
    try:
        when = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, when - time.time()), LONGEST_WISH)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(asked, LONGEST_PAUSE)
    jitter: float = random.uniform(0.5, 1.0)  # noqa: S311
    return min(LONGEST_PAUSE, 2.0 ** (attempt - 1)) * jitter


def _unreachable(base_url: str, error: httpx.RequestError) -> str:
    what = "is unreachable"
    if isinstance(error, httpx.TimeoutException):
        what = "did not answer in time"
    elif isinstance(error, httpx.DecodingError):
        what = "sent an answer that can't be unpacked"
    return f"model server {base_url} {what} ({type(error).__name__})"


def _text(message: dict[str, Any]) -> str:
    """The words of a message, whole or in parts; a refusal is words too."""
    content = message["content"] or message.get("refusal") or ""
    if isinstance(content, list):
        content = "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""


def _tokens(choice: dict[str, Any], text: str) -> tuple[Token, ...]:
    """The answer's tokens, if they are those of this text; reasoning before it is cut away."""
    try:
        given = choice["logprobs"]["content"] or []
        tokens = tuple(_token(one) for one in given)
        wanted = text.encode()  # half of a surrogate pair can't be
    except (LookupError, TypeError, ValueError, AttributeError):
        return ()
    whole = b"".join(token.text for token in tokens)
    surplus = len(whole) - len(wanted)
    if surplus < 0 or not whole.endswith(wanted):
        return ()
    while surplus > 0 and surplus >= len(tokens[0].text):
        surplus -= len(tokens[0].text)
        tokens = tokens[1:]
    return tokens if surplus == 0 else ()


def _token(given: dict[str, Any]) -> Token:
    raw = given.get("bytes")
    text = bytes(raw) if raw and isinstance(raw, list) else str(given["token"]).encode()
    logprob = float(given["logprob"])
    if not logprob <= 0.0:
        raise ValueError("no logarithm of a probability")
    return Token(text, logprob)
