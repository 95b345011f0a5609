"""A site whose models call dirt a hole, and reviewers who say so: verdicts by the dozen.

The extractor is a rule with eyes: a dark square is a hole for it, whatever its place. On this site
squares in the left half are dirt, which its ``evidence`` shows but its chance ignores.
"""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image
from pipeline_world import World

from inspection.models import (
    Finding,
    Inspection,
    Membership,
    ModelVersion,
    Photo,
    Plan,
    Review,
    Run,
    StepRun,
)
from inspection.pipeline import runtime
from models_runtime.contracts import Architecture, EngineRef, Extraction, PhotoPixels
from models_runtime.memory import MemoryExtractor
from models_runtime.plans import PlanSpec

SIZE = (96, 64)
RNG = np.random.default_rng(7)
NOISE = RNG.normal(size=(6,)).astype(np.float32)


EYES = EngineRef(architecture=Architecture.VLM, engine="eyes", version="1")


@dataclass
class Eyes:
    """The memory extractor, and what it sees. ``looked`` counts photos."""

    base: MemoryExtractor = field(default_factory=MemoryExtractor)
    looked: int = 0
    broken: str = ""
    ref: EngineRef = EYES

    def extract(self, photos: list[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        if self.broken:
            raise RuntimeError(self.broken)
        self.looked += len(photos)
        return self.base.extract(photos, plan)

    def features(self, photo: PhotoPixels) -> np.ndarray:
        small = photo.pixels[::8, ::8].mean(axis=2).astype(np.float32) / 255
        columns = np.linspace(-1, 1, small.shape[1], dtype=np.float32)
        return np.stack([small, np.broadcast_to(columns, small.shape)])

    def evidence(self, photo: PhotoPixels) -> np.ndarray:
        dark = (photo.pixels.mean(axis=2) < 40).astype(np.float32)
        side = float((dark * np.linspace(-1, 1, dark.shape[1])).sum() / max(1.0, dark.sum()))
        return np.concatenate([[side, float(dark.any())], NOISE]).astype(np.float32)


@dataclass
class Judged:
    """Makes units as they are after a run and a review, without running either."""

    plan: Plan
    reviewer: Membership
    made: int = 0

    def units(self, count: int, **more: Any) -> list[Inspection]:
        """Holes at the right and dirt at the left in turn, and every fifth time nothing."""
        kinds = ("hole", "dirt", "hole", "dirt", "")
        return [self.unit(kinds[n % 5], **more) for n in range(count)]

    def unit(self, what: str, *, reference: str = "", judge: bool = True) -> Inspection:
        """What is on the photo; the models call dirt a hole, the reviewer rejects it."""
        self.made += 1
        site, now = self.plan.site, timezone.now()
        x = {"hole": 60, "dirt": 12, "": 0}[what] + self.made % 9
        box = (x, 10 + self.made % 20, x + 18, 28 + self.made % 20) if what else None
        unit = Inspection.objects.create(
            site=site, plan=self.plan, plan_version=self.plan.current, status="review",
            disposition="rework" if what else "accept", severity="major" if what else "",
            reference=reference or f"lid {self.made:04}", confidence=0.95,
        )  # fmt: skip
        photo = self.photo(unit, box)
        run = Run.objects.create(
            site=site, inspection=unit, number=1, status="done",
            finished_at=now - timedelta(minutes=5),
        )  # fmt: skip
        StepRun.objects.create(
            site=site, run=run, step="extract", position=2, status="done", engine="eyes",
            engine_version="1", architecture="vlm", finished_at=now,
        )  # fmt: skip
        unit.current_run = run
        unit.save(update_fields=["current_run"])
        found = self.finding(unit, photo, run, box) if box else None
        if judge:
            self.judge(unit, found, is_hole=what == "hole")
        return unit

    def photo(self, unit: Inspection, box: tuple[int, ...] | None) -> Photo:
        rng = np.random.default_rng(self.made)
        pixels = rng.integers(180, 250, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
        if box:
            pixels[box[1] : box[3], box[0] : box[2]] = 0
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        key = default_storage.save(f"t/{uuid.uuid4().hex}.png", ContentFile(out.getvalue()))
        return Photo.objects.create(
            site=unit.site, inspection=unit, name="p.png", status="ready", width=SIZE[0],
            sha256=uuid.uuid4().hex * 2, size_bytes=900, format="PNG", height=SIZE[1],
            original_key=key, view_key=key, thumb_key=key,
        )  # fmt: skip

    def finding(self, unit: Inspection, photo: Photo, run: Run, box: tuple[int, ...]) -> Finding:
        x1, y1, x2, y2 = box
        return Finding.objects.create(
            site=unit.site, inspection=unit, photo=photo, run=run, key="0-a", type="hole",
            severity="major", source="vlm", confidence=0.9, x1=x1, y1=y1, x2=x2, y2=y2,
            area_px=(x2 - x1) * (y2 - y1),
        )  # fmt: skip

    def judge(self, unit: Inspection, found: Finding | None, *, is_hole: bool) -> None:
        if found is not None:
            status = "confirmed" if is_hole else "rejected"
            kind = "confirm_finding" if is_hole else "reject_finding"
            self._review(unit, kind, {"status": "open"}, {"status": status}, found)
            Finding.objects.filter(pk=found.pk).update(status=status, model_type="hole")
        word = "rework" if is_hole else "accept"
        told = {"disposition": unit.disposition}
        self._review(unit, "disposition", told, {"disposition": word, "status": "decided"})
        Inspection.objects.filter(pk=unit.pk).update(
            status="decided", disposition=word, decided_by=self.reviewer.user,
            decided_at=timezone.now(), severity="major" if is_hole else "",
        )  # fmt: skip

    def _review(
        self, unit: Inspection, kind: str, before: Any, after: Any, found: Finding | None = None
    ) -> None:
        Review.objects.create(
            site=unit.site, inspection=unit, finding=found, reviewer=self.reviewer.user,
            kind=kind, before=before, after=after, client_key=uuid.uuid4().hex,
        )  # fmt: skip


@pytest.fixture
def eyes(world: World) -> Eyes:
    """The extractor of the workers, from now on."""
    made = Eyes()
    runtime.runtime().registry.put(Architecture.VLM, "memory:", made)
    return made


def live_version(plan: Plan) -> ModelVersion | None:
    return ModelVersion.objects.filter(plan=plan, status="live").first()
