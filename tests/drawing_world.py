"""Drawing on the lid of ``screen_world``: masks as a browser sends them, and requests."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from django.http import HttpResponse
from screen_world import Screens

from models_runtime import masks

SIZE = (150, 200)


def start(world: Screens) -> str:
    return f"/inspections/{world.inspection.pk}/photos/{world.photo.pk}/draw/"


def disc(x: float, y: float, radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def sent(pixels: np.ndarray) -> dict[str, Any]:
    """A mask as JSON."""
    mask = masks.encode(pixels)
    return {"size": list(mask.size), "counts": mask.counts}


def shapes(world: Screens, who: str = "reviewer") -> list[dict[str, Any]]:
    answer = world.client(who).get(f"{start(world)}state/")
    return list(answer.json()["findings"])


def save(
    world: Screens,
    *changes: dict[str, Any],
    who: str = "reviewer",
    key: str = "",
    **more: Any,
) -> HttpResponse:
    body = {"client_key": key or uuid.uuid4().hex, "changes": list(changes), **more}
    return world.client(who).post(f"{start(world)}save/", body, content_type="application/json")


def change(shape: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"op": "change", "finding": shape["id"], "was": shape["was"], **fields}


def add(**fields: Any) -> dict[str, Any]:
    return {"op": "add", "type": "dent", "severity": "minor", **fields}


def reject(shape: dict[str, Any], reason: str = "duplicate", **fields: Any) -> dict[str, Any]:
    return {
        "op": "reject",
        "finding": shape["id"],
        "was": shape["was"],
        "reason": reason,
        **fields,
    }
