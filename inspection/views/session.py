"""Signing in and out, one's own password, and the choice of a site."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse, reverse_lazy
from django.views.decorators.http import require_POST

from inspection.access import SESSION_SITE
from inspection.forms.account import OwnPasswordForm
from inspection.models import Membership, Site


class SignIn(LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        demo = settings.SHOW_DEMO and Site.objects.filter(slug="demo").exists()
        return super().get_context_data(**kwargs) | {"demo": demo}


class OwnPassword(PasswordChangeView):
    """For everybody who is signed in; other browsers they are signed in at are signed out."""

    template_name = "account/password.html"
    form_class = OwnPasswordForm
    success_url = reverse_lazy("home")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


@login_required
@require_POST
def switch_site(request: HttpRequest) -> HttpResponse:
    """Keep another of one's own sites in the session."""
    try:
        wanted = uuid.UUID(request.POST.get("site", ""))
    except ValueError as error:
        raise Http404("no such site") from error
    membership = get_object_or_404(Membership, user_id=request.user.pk, site_id=wanted)
    request.session[SESSION_SITE] = str(membership.site_id)
    return HttpResponseRedirect(reverse("home"))


urlpatterns = [
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("password/", OwnPassword.as_view(), name="password"),
    path("switch-site/", switch_site, name="switch-site"),
]
