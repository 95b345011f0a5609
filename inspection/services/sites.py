"""Sites made at the console, each with somebody who can let the others in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from inspection.models import Membership, Site, User
from inspection.models.choices import Role
from inspection.services import demo

LONGEST_NAME, LONGEST_SLUG, LONGEST_USERNAME = 100, 50, 150


class SiteRefusedError(Exception):
    """It can't be done; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """A site and its admin. ``password`` is empty where the person was there before: it is told
    once and kept only as a hash."""

    site: Site
    user: User
    site_is_new: bool
    password: str


@transaction.atomic
def make_site(name: str, username: str) -> Made:
    """Make the site and its admin; what is there already stays, so that it can be run again."""
    site, site_is_new = _site(name.strip())
    user, password = _user(username.strip())
    member, is_new = Membership.objects.get_or_create(
        site=site, user=user, defaults={"role": Role.ADMIN}
    )
    if not is_new and member.role != Role.ADMIN:
        member.role = Role.ADMIN
        member.save(update_fields=["role"])
    return Made(site, user, site_is_new, password)


def _site(name: str) -> tuple[Site, bool]:
    slug = slugify(name)[:LONGEST_SLUG].strip("-")
    if not slug or len(name) > LONGEST_NAME:
        raise SiteRefusedError(
            "Give the site a name with Latin letters or digits, of at most "
            f"{LONGEST_NAME} characters."
        )
    if slug == demo.SLUG:
        raise SiteRefusedError(f"“{name}” is the name of the demo. Choose another.")
    site, is_new = Site.objects.get_or_create(slug=slug, defaults={"name": name})
    if site.name != name:
        raise SiteRefusedError(
            f"The site “{site.name}” has the short name {slug} already. Choose another name, or "
            f"say “{site.name}” to mean that one."
        )
    return site, is_new


def _user(username: str) -> tuple[User, str]:
    """The person, and the password where they are new."""
    known = User.objects.filter(username=username).first()
    if known is not None and not known.is_active:
        raise SiteRefusedError(f"The account of {username} is switched off. Name somebody else.")
    if known is not None:
        return known, ""
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as error:
        raise SiteRefusedError(f"The user name can't be “{username}”: {error.message}") from None
    if len(username) > LONGEST_USERNAME:
        raise SiteRefusedError("The user name is too long.")
    password = secrets.token_urlsafe(12)
    return User.objects.create_user(username=username, password=password), password
