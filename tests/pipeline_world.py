"""A site, its people and a plan, the rule engines in memory, and photos drawn by the test."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from inspection.models import Inspection, Membership, Plan, PlanVersion, Site, User
from inspection.models.choices import Role
from inspection.pipeline import PIPELINE, engine, progress, runtime, wake
from inspection.services.inspections import create_inspection, store_bytes

KINDS = ("vlm", "sam", "slm", "mlm", "llm")
PLAN = {
    "name": "Lids",
    "description": "Plastic lids",
    "characteristics": [{"key": "colour", "options": ["white", "black"]}],
    "defects": [{"key": "hole", "name": "Hole", "severity": "major"}],
    "policy": {"review_below": 0.5},
}


def photo_bytes(square=(20, 30, 60, 70), size=(200, 150), shade=255, kind="PNG", **options):
    """A light photo with grain and, if asked, a black square (x1, y1, x2, y2): the defect."""
    rng = np.random.default_rng(abs(hash((square, size, shade))) % 2**32)
    pixels = rng.integers(shade - 60, shade, (size[1], size[0], 3)).astype(np.uint8)
    if square:
        x1, y1, x2, y2 = square
        pixels[y1:y2, x1:x2] = 0
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


@dataclass
class Woken:
    """Messages that would have gone to the broker: (task, argument, queue)."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)
    up: bool = True

    def __call__(self, task, argument, queue):
        if self.up:
            self.sent.append((task, argument, queue))
        return self.up


@dataclass
class World:
    site: Site
    operator: Membership
    plan: Plan
    woken: Woken

    def inspect(self, *photos, plan="own", **options):
        """Make an inspection of these photos (bytes); nothing runs yet."""
        files = [store_bytes(self.site, f"p{i}.png", data) for i, data in enumerate(photos)]
        return create_inspection(
            site=self.site,
            created_by=self.operator.user,
            files=files or [store_bytes(self.site, "p.png", photo_bytes())],
            plan=self.plan if plan == "own" else plan,
            **options,
        )

    def run(self, inspection):
        """Let a worker of every queue do what is due, until the run ends."""
        inspection.refresh_from_db()
        run_id = inspection.current_run_id
        while any(engine.advance(run_id, queue) for queue in queues()):
            pass
        return Inspection.objects.get(pk=inspection.pk)


def queues():
    return list(dict.fromkeys(step.queue for step in PIPELINE))


def make_plan(site, spec=PLAN, key="lids"):
    plan = Plan.objects.create(site=site, key=key, name=spec["name"])
    set_plan(plan, spec)
    return plan


def set_plan(plan, spec):
    number = plan.versions.count() + 1
    plan.current = PlanVersion.objects.create(
        site=plan.site, plan=plan, number=number, spec={"format": "loupe.plan/1", **spec}
    )
    plan.save()


def make_member(site, role=Role.OPERATOR):
    user = User.objects.create_user(f"{role}-{uuid.uuid4().hex[:6]}", password="a long secret")
    return Membership.objects.create(site=site, user=user, role=role)


@pytest.fixture
def world(db, settings, tmp_path, monkeypatch):
    settings.ENGINES = dict.fromkeys(KINDS, "memory:") | {"lam": "embedded:"}
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "photos"), "allow_overwrite": True},
        }
    }
    runtime.runtime.cache_clear()
    woken = Woken()
    monkeypatch.setattr(wake, "_send", woken)
    site = Site.objects.create(name="Works", slug=uuid.uuid4().hex[:8])
    yield World(site, make_member(site), make_plan(site), woken)
    runtime.runtime.cache_clear()


def statuses(inspection):
    """{step: status} of the inspection's current run."""
    return dict(inspection.current_run.steps.values_list("step", "status"))


__all__ = ["PLAN", "World", "make_member", "make_plan", "photo_bytes", "progress", "world"]
