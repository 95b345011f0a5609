"""What goes wrong in a request, as the error objects of the OpenAI API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from models_runtime.errors import EngineError, InputError, TransientError


@dataclass(eq=False)
class ApiError(Exception):
    """An answer other than 200. ``param`` names the field at fault; ``retry_after`` in seconds."""

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after: float | None = None

    @property
    def kind(self) -> str:
        if self.status in (401, 403):
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    @property
    def body(self) -> dict[str, Any]:
        told = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": told}

    @property
    def headers(self) -> list[tuple[str, str]]:
        if self.retry_after is None:
            return []
        return [("Retry-After", str(max(1, math.ceil(self.retry_after))))]


def bad(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """A request that can never work as it is."""
    return ApiError(400, message, code, param)


def from_engine(error: EngineError) -> ApiError:
    """What an engine raised on purpose."""
    if isinstance(error, InputError):
        return bad(str(error), "messages", "unusable_input")
    if isinstance(error, TransientError):
        return ApiError(503, str(error), "engine_busy", retry_after=error.retry_after or 5.0)
    # It was loaded and serves others: it is this question that it can't take (a plan longer than
    # its context, a schema that nothing fits). A 5xx would be asked again, and open the caller's
    # circuit.
    return ApiError(422, str(error), "engine_refused")
