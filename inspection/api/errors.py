"""Errors as JSON: ``message`` says what to do, ``details`` where in the request."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig
from django.core.exceptions import SuspiciousOperation as Suspicious
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from inspection.services.uploads import UploadRefusedError
from models_runtime.errors import InputError


class Problem(Schema):
    """What went wrong and what to do about it."""

    message: str
    details: list[str] = []


def _validation(error: Exception) -> tuple[int, str, list[str]]:
    errors = error.errors if isinstance(error, ValidationError) else []
    details = [f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg', '')}" for one in errors]
    return 422, "The request does not fit its description; see details and the API's page.", details


def _http(error: Exception) -> tuple[int, str, list[str]]:
    status = error.status_code if isinstance(error, HttpError) else 400
    return status, str(error), []


def _plain(status: int, message: str = "") -> Any:
    return lambda error: (status, message or str(error) or type(error).__name__, [])


ANSWERS: list[tuple[type[Exception], Any]] = [
    (ValidationError, _validation),
    (HttpError, _http),
    (AuthenticationError, _plain(401, "Sign in, or send an Authorization header with a token.")),
    (PermissionDenied, _plain(403)),
    (Http404, _plain(404, "There is nothing here at your site. Check the address.")),
    (UploadRefusedError, _plain(409)),
    (InputError, _plain(422)),
    (RequestDataTooBig, _plain(413, "This request is too large. Send the file in chunks.")),
    (MultiPartParserError, _plain(400, "This form can't be read. Send multipart/form-data.")),
    (UnreadablePostError, _plain(400, "The connection broke off. Send it again.")),
    (Suspicious, _plain(400, "This request can't be read. Check its form.")),
    (BadRequest, _plain(400, "This request can't be read. Check its form.")),
]


def answer_errors_as_json(api: NinjaAPI) -> None:
    """Let the API answer every expected error as a Problem."""
    for kind, describe in ANSWERS:
        api.add_exception_handler(kind, _handler(api, describe))


def _handler(api: NinjaAPI, describe: Any) -> Any:
    def handle(request: HttpRequest, error: Exception) -> HttpResponse:
        status, message, details = describe(error)
        return api.create_response(request, {"message": message, "details": details}, status=status)

    return handle
