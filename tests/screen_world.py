"""A site with one of everything that pages show, and another site whose admin must see none."""

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
from django.test import Client
from django.utils import timezone
from PIL import Image

from inspection import models as m
from inspection.models.choices import Role
from inspection.services.members import create_token
from models_runtime import masks
from models_runtime.plans import PlanSpec

SECRET = "Vault door 4711"
ROLES = [role.value for role in Role]
SPEC: dict[str, Any] = {
    "name": "Steel lids",
    "description": "Lids of steel, seen from above",
    "characteristics": [
        {"key": "colour", "title": "Colour", "options": ["bare", "painted"]},
        {"key": "condition", "title": "Condition", "kind": "scale"},
    ],
    "defects": [
        {"key": "dent", "name": "Dent", "definition": "Pressed in", "severity": "major"},
        {"key": "scratch", "name": "Scratch", "severity": "minor"},
    ],
    "playbook": [{"destination": "tickets"}],
}


def jpeg(width: int = 200, height: int = 150, seed: int = 1) -> bytes:
    """A grainy grey photo."""
    pixels = np.random.default_rng(seed).integers(90, 160, (height, width, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


@dataclass
class Screens:
    """Rows of one site (``site``), its people by role, and an admin of another site."""

    site: m.Site
    elsewhere: m.Site
    users: dict[str, m.User]
    memberships: dict[str, m.Membership]
    stranger: m.User
    plan: m.Plan
    inspection: m.Inspection
    photo: m.Photo
    findings: list[m.Finding]
    run: m.Run
    extra: dict[str, Any] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        """A browser in which somebody is signed in: a role, "stranger" or "anonymous"."""
        client = Client()
        if who != "anonymous":
            client.force_login(self.stranger if who == "stranger" else self.users[who])
        return client


def _people(site: m.Site, start: str) -> tuple[dict[str, m.User], dict[str, m.Membership]]:
    users = {role: m.User.objects.create(username=f"{start}-{role}") for role in ROLES}
    memberships = {
        role: m.Membership.objects.create(site=site, user=user, role=role)
        for role, user in users.items()
    }
    return users, memberships


def make_plan(site: m.Site, key: str = "lids", spec: dict[str, Any] | None = None) -> m.Plan:
    parsed = PlanSpec.model_validate(spec or SPEC)
    plan = m.Plan.objects.create(site=site, key=key, name=parsed.name)
    version = m.PlanVersion.objects.create(
        site=site, plan=plan, number=1, spec=parsed.model_dump(mode="json")
    )
    plan.current = version
    plan.save()
    return plan


def stored(data: bytes) -> str:
    return default_storage.save(f"test/{uuid.uuid4().hex}.jpg", ContentFile(data))


def make_photo(inspection: m.Inspection, position: int = 0) -> m.Photo:
    key = stored(jpeg(seed=position))
    return m.Photo.objects.create(
        site=inspection.site, inspection=inspection, position=position, name="lid.jpg",
        status="ready", sha256=f"{position:064x}", size_bytes=9000, format="JPEG", width=200,
        height=150, original_key=key, view_key=key, thumb_key=key,
        exif={"GPSLatitude": "47.37", "Model": "Field camera"},
        warnings=["The photo is dark: add light."],
    )  # fmt: skip


def make_finding(
    inspection: m.Inspection, photo: m.Photo, run: m.Run, number: int, type: str = "dent"
) -> m.Finding:
    area = np.zeros((150, 200), dtype=bool)
    x, y = 10 + 40 * (number % 4), 20 + 30 * (number // 4 % 4)
    area[y : y + 20, x : x + 30] = True
    mask = masks.encode(area)
    return m.Finding.objects.create(
        site=inspection.site, inspection=inspection, photo=photo, run=run, key=f"f{number}",
        type=type, severity="major" if type == "dent" else "minor", source="vlm",
        confidence=0.9 - number / 100, x1=x, y1=y, x2=x + 30, y2=y + 20, area_px=600,
        length_px=30.0,
        mask_counts=mask.counts, mask_height=150, mask_width=200,
    )  # fmt: skip


def make_inspection(
    site: m.Site, plan: m.Plan, *, reference: str = "", findings: int = 2, status: str = "review"
) -> m.Inspection:
    vector = np.random.default_rng(findings).normal(size=384)
    inspection = m.Inspection.objects.create(
        site=site, plan=plan, plan_version=plan.current, reference=reference, status=status,
        disposition="" if status in ("received", "running") else "rework", severity="major",
        confidence=0.6, reasons=["one finding of severity major"], summary="Steel lids: dent",
        embedding=(vector / np.linalg.norm(vector)).tolist(),
    )  # fmt: skip
    photo = make_photo(inspection)
    run = m.Run.objects.create(
        site=site, inspection=inspection, number=1, status="done", finished_at=timezone.now()
    )
    for position, step in enumerate(("intake", "route", "extract", "segment", "triage")):
        m.StepRun.objects.create(
            site=site, run=run, step=step, position=position, status="done", engine="test",
            architecture="rules", reason="as planned", run_ms=12.5, wait_ms=3, confidence=0.8,
            finished_at=timezone.now(),
        )  # fmt: skip
    for number in range(findings):
        make_finding(inspection, photo, run, number, "dent" if number % 2 == 0 else "scratch")
    for key, value in (("colour", "bare"), ("condition", None)):
        m.AttributeValue.objects.create(
            site=site, inspection=inspection, run=run, key=key, value=value, confidence=0.7,
            abstained=value is None, alternatives={"painted": 0.2},
        )  # fmt: skip
    inspection.current_run = run
    inspection.save()
    return inspection


def make_version(plan: m.Plan, number: int = 1) -> m.ModelVersion:
    """A learnt version that is offered."""
    made = m.TrainingSet.objects.create(
        site=plan.site, plan=plan, plan_version=plan.current, digest="d" * 64,
        counts={"train": 0, "held": 0, "gold": 0, "findings": 0},
    )  # fmt: skip
    return m.ModelVersion.objects.create(
        site=plan.site, plan=plan, number=number, training_set=made, bases={"vlm": "test"},
        catalogue="c" * 64, digest="d" * 64, tensors_key="t", plain_key="p",
        figures={"parts": {}, "heads": {}},
    )  # fmt: skip


def _outside(world: Screens) -> dict[str, Any]:
    """What goes out: connector, ticket, delivery, an action that waits, what arrived."""
    site, finding = world.site, world.findings[0]
    connector = m.Connector.objects.create(
        site=site, key="tickets", name="Tickets", url="https://example.com/hook",
        secret="whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0",
    )  # fmt: skip
    ticket = m.Ticket.objects.create(
        site=site, inspection=world.inspection, finding=finding, connector=connector,
        finding_identity=finding.identity, title=f"Dent on {SECRET}",
    )  # fmt: skip
    delivery = m.Delivery.objects.create(
        site=site, connector=connector, ticket=ticket, event_id="msg_1", event_type="ticket",
        body='{"unit": "' + SECRET + '"}', next_attempt_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    graph = m.ActionPlan.objects.create(site=site, inspection=world.inspection, run=world.run)
    step = m.ActionStep.objects.create(
        site=site, action_plan=graph, key="ticket:1", action="ticket", destination="tickets",
        status="approval", requires_approval=True, finding=finding, reason="rule 1",
    )  # fmt: skip
    m.ReceivedWebhook.objects.create(
        site=site, event_id="msg_1", signature_valid=True, body='{"unit": "' + SECRET + '"}'
    )
    return {"connector": connector, "ticket": ticket, "delivery": delivery, "step": step}


def make_screens() -> Screens:
    """Make all of it."""
    site = m.Site.objects.create(name="Lid works", slug="lid-works")
    elsewhere = m.Site.objects.create(name="Elsewhere", slug="elsewhere")
    users, memberships = _people(site, "lid")
    stranger = m.User.objects.create(username="stranger")
    m.Membership.objects.create(site=elsewhere, user=stranger, role=Role.ADMIN)
    plan = make_plan(site)
    inspection = make_inspection(site, plan, reference=SECRET)
    world = Screens(
        site, elsewhere, users, memberships, stranger, plan, inspection,
        inspection.photos.get(), list(inspection.findings.order_by("key")),
        inspection.current_run,
    )  # fmt: skip
    m.Report.objects.create(
        site=site, inspection=inspection, run=world.run, title="Inspection report",
        writer="template (no language model configured)",
        claims=[{"text": "A dent.", "evidence": ["finding:f0", "triage"]}],
    )  # fmt: skip
    golden = m.GoldenPhoto.objects.create(
        site=site, plan=plan, image_key=stored(jpeg()), sha256="a" * 64, name="sound.jpg"
    )
    learned = make_version(plan)
    upload = m.Upload.objects.create(
        site=site, client_key="k", name="lid.jpg", size_bytes=10, chunk_bytes=4_000_000
    )
    token, text = create_token(memberships["admin"], "Camera")
    world.extra = {"golden": golden, "upload": upload, "token": token, "token_text": text}
    world.extra |= {"learned": learned}
    world.extra |= _outside(world)
    return world


@pytest.fixture
def screens(db: None) -> Screens:
    """A site with one of everything."""
    return make_screens()
