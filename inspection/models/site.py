"""Sites (tenants), people and what they may do there."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from inspection.models.audit import audited
from inspection.models.base import SiteModel, new_id, one_of
from inspection.models.choices import Role

ROLE_ORDER: tuple[Role, ...] = (Role.OPERATOR, Role.REVIEWER, Role.MANAGER, Role.ADMIN)


class Site(models.Model):
    """A tenant: nothing in one site is visible from another."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in; what they may do hangs on their membership of a site."""


@audited()
class Membership(SiteModel):
    """A person's role at a site."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "site"], name="membership_once_per_site"),
            one_of("role", Role),
        ]

    def allows(self, role: Role) -> bool:
        """Whether this membership includes the given role."""
        return ROLE_ORDER.index(Role(self.role)) >= ROLE_ORDER.index(role)


@audited("digest")
class ApiToken(SiteModel):
    """A key for the HTTP API. Only its SHA-256 is stored; ``prefix`` tells keys apart."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
