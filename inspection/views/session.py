"""Signing in and out, and the choice of a site."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from inspection.access import SESSION_SITE
from inspection.models import Membership, Site


class SignIn(LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        demo = settings.SHOW_DEMO and Site.objects.filter(slug="demo").exists()
        return super().get_context_data(**kwargs) | {"demo": demo}


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
    path("switch-site/", switch_site, name="switch-site"),
]
