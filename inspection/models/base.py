"""What all tables of a site share: scoping, ids that tell nothing, constraints."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from inspection.models.site import Site


def new_id() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): random, yet in order of time, which keeps indexes compact."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64)
    return uuid.UUID(int=value | (0b10 << 62) | secrets.randbits(62))


class SiteQuerySet(models.QuerySet[Any]):
    """Reads start with ``for_site``: a row of another site is never in the set."""

    def for_site(self, site: Site) -> Self:
        return self.filter(site=site)


class SiteModel(models.Model):
    """A row that belongs to one site."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey("inspection.Site", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SiteQuerySet.as_manager()

    class Meta:
        abstract = True


class UnitContext(models.Model):
    """Where a unit comes from, in the site's own words; empty where nobody said."""

    line = models.CharField(max_length=64, blank=True)
    shift = models.CharField(max_length=64, blank=True)
    supplier = models.CharField(max_length=64, blank=True)
    product = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True


def one_of(field: str, choices: type[models.TextChoices], *, empty: bool = False) -> Any:
    """A CHECK that the column holds one of the choices, or nothing where ``empty`` is allowed."""
    values = [*choices.values, ""] if empty else list(choices.values)
    return models.CheckConstraint(
        condition=Q(**{f"{field}__in": values}), name=f"%(class)s_{field}_known"
    )


def share(field: str) -> Any:
    """A CHECK that the column is NULL or within 0..1."""
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__range": (0, 1)}),
        name=f"%(class)s_{field}_share",
    )
