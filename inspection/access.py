"""Who may see and do what: the membership of a request, and the guard on every view."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from inspection.models import Membership, User
from inspection.models.choices import Role

SESSION_SITE = "site"
P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request that passed ``member_required``: somebody, at a site, with a role."""

    user: User
    membership: Membership


class MembershipMiddleware:
    """Put the membership at the chosen site (or the first one) on the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        membership = find_membership(request) if request.user.is_authenticated else None
        request.membership = membership  # type: ignore[attr-defined]
        return self.get_response(request)


def find_membership(request: HttpRequest) -> Membership | None:
    """The signed-in person's membership at the site kept in the session, else their first one."""
    mine = Membership.objects.select_related("site").filter(user_id=request.user.pk)
    chosen = request.session.get(SESSION_SITE)
    if chosen and (membership := mine.filter(site_id=chosen).first()):
        return cast(Membership, membership)
    return cast("Membership | None", mine.order_by("created_at").first())


def member_required(
    role: Role = Role.OPERATOR,
) -> Callable[
    [Callable[Concatenate[MemberRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Let in members of a site whose role includes ``role``; others sign in, or are refused."""

    def decorate(
        view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            membership: Membership | None = getattr(request, "membership", None)
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if membership is None or not membership.allows(role):
                raise PermissionDenied(f"This needs the role {role.label.lower()}.")
            return view(cast(MemberRequest, request), *args, **kwargs)

        guarded.required_role = role  # type: ignore[attr-defined]
        return cast(Callable[Concatenate[HttpRequest, P], HttpResponseBase], guarded)

    return decorate


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    address = f"{reverse('sign-in')}?next={quote(request.get_full_path())}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def membership_context(request: HttpRequest) -> dict[str, Any]:
    """Template context: the membership, and which roles it includes."""
    membership: Membership | None = getattr(request, "membership", None)
    allowed = {role.value for role in Role if membership and membership.allows(role)}
    site = membership.site if membership else None
    sites = SimpleLazyObject(lambda: _sites_of(membership))
    return {"membership": membership, "site": site, "sites": sites, "may": allowed}


def _sites_of(membership: Membership | None) -> list[Membership]:
    """All memberships of the same person, for the choice of a site."""
    if membership is None:
        return []
    mine = Membership.objects.select_related("site").filter(user_id=membership.user_id)
    return list(mine.order_by("site__name"))
