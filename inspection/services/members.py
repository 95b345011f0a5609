"""Members of a site and their keys for the HTTP API."""

from __future__ import annotations

import hashlib
import secrets

from django.db import IntegrityError, transaction
from django.utils import timezone

from inspection.models import ApiToken, Membership, Site, User
from inspection.models.choices import Role

PREFIX = "loupe_"


class MemberRefusedError(Exception):
    """It can't be done; the message says what to do."""


@transaction.atomic
def add_member(site: Site, username: str, password: str, role: Role) -> Membership:
    """Make a person with a password and let them in.

    Names are unique over all sites: where one is taken, nothing is changed, so that an admin of
    one site never sets a password that works at another.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(username=username, password=password)
    except IntegrityError:
        raise MemberRefusedError(f"The user name “{username}” is taken. Choose another.") from None
    membership: Membership = Membership.objects.create(site=site, user=user, role=role)
    return membership


@transaction.atomic
def change_role(membership: Membership, role: Role) -> None:
    """Give another role. The last admin stays one, so that a site can't be locked out."""
    admins = Membership.objects.for_site(membership.site).filter(role=Role.ADMIN)
    ids = list(admins.select_for_update().order_by("pk").values_list("pk", flat=True))
    if ids == [membership.pk] and role != Role.ADMIN:
        raise MemberRefusedError("A site needs an admin. Make somebody else admin first.")
    Membership.objects.filter(pk=membership.pk).update(role=role)
    membership.role = role


@transaction.atomic
def remove_member(membership: Membership) -> None:
    """Take somebody out of the site; what they did stays theirs."""
    admins = Membership.objects.for_site(membership.site).filter(role=Role.ADMIN)
    ids = list(admins.select_for_update().order_by("pk").values_list("pk", flat=True))
    if ids == [membership.pk]:
        raise MemberRefusedError("A site needs an admin. Make somebody else admin first.")
    membership.delete()


def create_token(membership: Membership, name: str) -> tuple[ApiToken, str]:
    """A new key and its text, which is shown once: only its SHA-256 is kept."""
    text = PREFIX + secrets.token_urlsafe(32)
    token: ApiToken = ApiToken.objects.create(
        site=membership.site,
        membership=membership,
        name=name[:100],
        prefix=text[:12],
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
    return token, text


def revoke_token(token: ApiToken) -> None:
    """Let it open nothing any more."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
