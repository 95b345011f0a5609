"""How figures and moments are written in reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from inspection.models import Finding, PlanVersion, User


def moment(when: datetime | None) -> str:
    """Day and time in the zone of the pages, with the zone's name."""
    if when is None:
        return ""
    local = timezone.localtime(when)
    return f"{local.day} {local:%b %Y, %H:%M %Z}"


def percent(share: float | None) -> str:
    """0..1 as whole per cent; only all is 100 %, and only nothing 0 %."""
    if share is None:
        return ""
    whole = round(share * 100)
    if whole == 100 and share < 1:
        return f"{int(share * 1000) / 10:g} %"
    if whole == 0 and share > 0:
        return "< 1 %"
    return f"{whole} %"


def person(user: User | None) -> str:
    """By name where there is one."""
    if user is None:
        return ""
    return user.get_full_name() or user.get_username()


def sizes(finding: Finding) -> str:
    """Area and length: in mm where the plan knows the scale, else in pixels."""
    said = []
    if finding.area_mm2 is not None:
        said.append(f"{_number(finding.area_mm2)} mm²")
    elif finding.area_px:
        said.append(f"{finding.area_px} px")
    if finding.length_mm is not None:
        said.append(f"{_number(finding.length_mm)} mm long")
    elif finding.length_px is not None:
        said.append(f"{finding.length_px:.0f} px long")
    return ", ".join(said)


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 0.1 else f"{value:.3g}"


def plan_digest(version: PlanVersion) -> str:
    """SHA-256 (hex) of the plan as JSON: keys in order, no blanks, UTF-8."""
    plain = json.dumps(version.spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def digest_of(lines: Iterable[str]) -> str:
    """SHA-256 (hex) over lines, each ended by a line feed."""
    whole = hashlib.sha256()
    for line in lines:
        whole.update(f"{line}\n".encode())
    return whole.hexdigest()
