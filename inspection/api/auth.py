"""Who calls: a member with a token, or one who is signed in in a browser."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import APIKeyCookie, HttpBearer

from inspection.models import ApiToken, Membership
from inspection.models.choices import Role

USED_EVERY = timedelta(minutes=1)


class TokenAuth(HttpBearer):
    """``Authorization: Bearer <token>``; the token stands for a membership of one site."""

    def authenticate(self, request: HttpRequest, token: str) -> Membership | None:
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        rows = ApiToken.objects.select_related("membership__user", "membership__site")
        found = rows.filter(digest=digest, revoked_at=None).first()
        if found is None or not found.membership.user.is_active:
            return None
        _note_use(found)
        request.user = found.membership.user
        request.membership = found.membership  # type: ignore[attr-defined]
        return found.membership  # type: ignore[no-any-return]


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


class SessionAuth(APIKeyCookie):
    """The session of a browser; anything but reading needs the CSRF token too."""

    param_name = "sessionid"

    def __call__(self, request: HttpRequest) -> Any:
        # A wrong token must be told as such, not as a missing CSRF token.
        if request.headers.get("Authorization") or not request.user.is_authenticated:
            return None
        return super().__call__(request)

    def authenticate(self, request: HttpRequest, key: str | None) -> Membership | None:
        membership: Membership | None = getattr(request, "membership", None)
        return membership


def member(request: HttpRequest, role: Role = Role.OPERATOR) -> Membership:
    """The membership of an authenticated call; PermissionDenied where its role is not enough."""
    membership: Membership = request.membership  # type: ignore[attr-defined]
    if not membership.allows(role):
        raise PermissionDenied(f"This needs the role {role.label.lower()}.")
    return membership
