"""Saved layouts: which parts, in which order, title, footer, paper, and the site's logo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from inspection.models import Membership, ReportLayout, Site, SiteLogo
from inspection.models.choices import Role
from inspection.models.report_document import Paper
from inspection.selectors.reports.parts import ALL, known
from inspection.services.reports.refusals import ReportRefusedError

MOST = 30
STANDARD: dict[str, Any] = {
    "name": "Standard",
    "title": "",
    "footer": "",
    "paper": Paper.A4.value,
    "parts": list(ALL),
    "shows_logo": True,
}
"""What reports look like at a site that has saved no layout."""


def snapshot(site: Site, layout: ReportLayout | None) -> dict[str, Any]:
    """A layout as it is now, with the logo of now, for a report to keep."""
    said = STANDARD if layout is None else {name: getattr(layout, name) for name in STANDARD}
    logo = SiteLogo.objects.for_site(site).first() if said["shows_logo"] else None
    key = logo.image_key if logo else ""
    return dict(said) | {"parts": known(said["parts"]), "logo": key}


@transaction.atomic
def save_layout(
    membership: Membership, pk: UUID | None, values: dict[str, Any], *, is_default: bool
) -> ReportLayout:
    """Write a layout, a new one where ``pk`` is None. ReportRefusedError with words."""
    _check(membership, "Only quality managers change layouts. Ask one of them.")
    mine = ReportLayout.objects.for_site(membership.site).select_for_update()
    values = values | {"parts": known(values["parts"]), "updated_by": membership.user}
    if not values["parts"]:
        raise ReportRefusedError("Choose at least one part: a report of none says nothing.")
    if is_default:
        mine.exclude(pk=pk).filter(is_default=True).update(is_default=False)
    layout = _row(membership.site, mine, pk)
    for name, value in (values | {"is_default": is_default}).items():
        setattr(layout, name, value)
    try:
        with transaction.atomic():
            layout.save()
    except IntegrityError:
        raise ReportRefusedError("There is a layout of this name. Choose another name.") from None
    return layout


def _row(site: Site, mine: Any, pk: UUID | None) -> ReportLayout:
    if pk is None:
        if mine.count() >= MOST:
            raise ReportRefusedError(f"A site has at most {MOST} layouts. Delete one first.")
        return ReportLayout(site=site)
    found: ReportLayout | None = mine.filter(pk=pk).first()
    if found is None:
        raise ReportRefusedError("Somebody deleted this layout meanwhile. Save it as a new one.")
    return found


def delete_layout(membership: Membership, layout: ReportLayout) -> None:
    """Reports that were made with it keep theirs."""
    _check(membership, "Only quality managers delete layouts. Ask one of them.")
    layout.delete()


def _check(membership: Membership, otherwise: str) -> None:
    if not membership.allows(Role.MANAGER):
        raise ReportRefusedError(otherwise)
