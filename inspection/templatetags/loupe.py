"""How figures are written on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """0..1 as whole per cent; nothing where it is not known."""
    return "" if share is None else f"{share * 100:.0f} %"


@register.filter
def fine_percent(share: float | None) -> str:
    """0..1 as per cent with the digits that small shares need: 0.05 %, 1.5 %, 37 %."""
    if share is None:
        return ""
    hundredths = share * 100
    if hundredths >= 10:
        return f"{hundredths:.0f} %"
    return f"{hundredths:.2f}".rstrip("0").rstrip(".") + " %"


@register.filter
def milliseconds(value: float | None) -> str:
    """A duration in the unit in which people would say it."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} ms"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s"


@register.filter
def microusd(value: int | None) -> str:
    """Millionths of a US dollar, with enough digits to tell small steps apart."""
    if not value:
        return "–"
    if value < 10:
        return "< 0.001 ¢"
    if value < 10_000:
        return f"{value / 10_000:.3f} ¢"
    return f"$ {value / 1_000_000:.2f}"


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, in one unit."""
    seconds = (timezone.now() - moment).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if (count := int(seconds // size)) > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


@register.filter
def share_of_hundred(share: float | None) -> str:
    """0..1 as a number 0..100 for the width of a bar."""
    return f"{min(1.0, max(0.0, share or 0.0)) * 100:.1f}"


@register.filter
def area(finding: object) -> str:
    """The area of a finding: in mm² where the plan knows the scale, else in pixels."""
    mm2 = getattr(finding, "area_mm2", None)
    if mm2 is not None:
        return f"{mm2:,.1f} mm²".replace(",", " ")
    return f"{getattr(finding, 'area_px', 0):,} px".replace(",", " ")


@register.filter
def extent(finding: object) -> str:
    """How long a finding is: in mm where the plan knows the scale, else in pixels; nothing where it
    was not measured."""
    mm, px = getattr(finding, "length_mm", None), getattr(finding, "length_px", None)
    if mm is not None:
        return f"{mm:,.1f} mm long".replace(",", " ")
    return "" if px is None else f"{px:,.0f} px long".replace(",", " ")


@register.filter
def at(values: Mapping[str, str], key: str) -> str:
    """The value under a key that is only known on the page; nothing where there is none."""
    return values.get(key, "")


@register.filter
def add_text(left: object, right: object) -> str:
    """Both as text, one after the other."""
    return f"{left}{right}"


@register.simple_tag
def new_key() -> str:
    """A key that makes a form count once, however often it is sent."""
    return uuid4().hex
