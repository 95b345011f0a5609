"""Members of the site (for admins) and one's own API tokens."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST

from inspection.access import MemberRequest, member_required
from inspection.forms.account import MemberForm, RoleForm, TokenForm
from inspection.models import ApiToken, Membership
from inspection.models.choices import Role
from inspection.services import members as services


@require_http_methods(["GET", "HEAD", "POST"])
@member_required(Role.ADMIN)
def members(request: MemberRequest) -> HttpResponse:
    """Who may do what here, and a form for one more."""
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _add(request, form)
        except services.MemberRefusedError as error:
            form.add_error("username", str(error))
        else:
            return HttpResponseRedirect(reverse("members"))
    rows = _members(request).select_related("user").order_by("user__username")
    context = {"members": rows, "form": form, "roles": Role.choices}
    return render(request, "account/members.html", context, status=422 if form.errors else 200)


def _add(request: MemberRequest, form: MemberForm) -> None:
    given = form.cleaned_data
    services.add_member(
        request.membership.site, given["username"], given["password"], Role(given["role"])
    )
    messages.success(request, f"{given['username']} can sign in now.")


def _members(request: MemberRequest) -> QuerySet[Membership]:
    return Membership.objects.filter(site=request.membership.site)


@require_POST
@member_required(Role.ADMIN)
def member_role(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Give a member another role."""
    member = get_object_or_404(_members(request), pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the four roles.")
        return HttpResponseRedirect(reverse("members"))
    try:
        services.change_role(member, Role(form.cleaned_data["role"]))
    except services.MemberRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("members"))


@require_POST
@member_required(Role.ADMIN)
def member_remove(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Take a member out of the site."""
    member = get_object_or_404(_members(request), pk=pk)
    try:
        services.remove_member(member)
    except services.MemberRefusedError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("members"))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required()
def tokens(request: MemberRequest) -> HttpResponse:
    """One's own tokens; a new one is shown once, in the answer that made it."""
    form = TokenForm(request.POST or None)
    made = ""
    if request.method == "POST" and form.is_valid():
        _, made = services.create_token(request.membership, form.cleaned_data["name"])
        form = TokenForm()
    rows = ApiToken.objects.filter(membership=request.membership).order_by("-created_at")
    context = {"tokens": rows, "form": form, "made": made}
    response = render(request, "account/tokens.html", context, status=422 if form.errors else 200)
    response.headers["Cache-Control"] = "no-store"
    return response


@require_POST
@member_required()
def token_revoke(request: MemberRequest, pk: UUID) -> HttpResponse:
    """Let a token open nothing any more."""
    mine = ApiToken.objects.filter(membership=request.membership)
    services.revoke_token(get_object_or_404(mine, pk=pk))
    messages.success(request, "The token opens nothing any more.")
    return HttpResponseRedirect(reverse("tokens"))


urlpatterns = [
    path("members/", members, name="members"),
    path("members/<uuid:pk>/role/", member_role, name="member-role"),
    path("members/<uuid:pk>/remove/", member_remove, name="member-remove"),
    path("tokens/", tokens, name="tokens"),
    path("tokens/<uuid:pk>/revoke/", token_revoke, name="token-revoke"),
]
