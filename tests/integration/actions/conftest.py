"""A site with people, a plan, a judged inspection and a receiver on a real socket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone

from inspection.actions import outbox
from inspection.models import (
    Connector,
    Finding,
    Inspection,
    Membership,
    Photo,
    Plan,
    PlanVersion,
    Run,
    Site,
    User,
)
from inspection.models.choices import InspectionStatus, Role, RunStatus

sys.path.insert(0, str(Path(__file__).parent))

from webhook_server import Receiver, receiver

from inspection.actions.webhook.signing import new_secret

PLAN = {
    "name": "Lids",
    "defects": [
        {"key": "hole", "name": "Hole", "severity": "major"},
        {"key": "stain", "name": "Stain", "severity": "minor"},
    ],
    "playbook": [{"destination": "desk"}],
}


@dataclass
class Works:
    """What the tests of actions need of one site."""

    site: Site
    members: dict[Role, Membership]
    connector: Connector
    plan: Plan

    @property
    def admin(self) -> Membership:
        return self.members[Role.ADMIN]

    @property
    def manager(self) -> Membership:
        return self.members[Role.MANAGER]

    def use_plan(self, **changes: object) -> None:
        """Put another version of the plan in force."""
        number = self.plan.versions.count() + 1
        version = PlanVersion.objects.create(
            site=self.site, plan=self.plan, number=number, spec={**PLAN, **changes}
        )
        Plan.objects.filter(pk=self.plan.pk).update(current=version)
        self.plan.refresh_from_db()

    def judged(self, *defects: str, disposition: str = "rework", severity: str = "major"):
        """An inspection that the models have decided, with a finding per defect named."""
        unit = Inspection.objects.create(
            site=self.site,
            plan=self.plan,
            plan_version=self.plan.current,
            reference="LID-7",
            status=InspectionStatus.DECIDED,
            disposition=disposition,
            severity=severity,
            priority=2,
            confidence=0.9,
        )
        self.new_run(unit)
        photo = Photo.objects.create(
            site=self.site,
            inspection=unit,
            name="lid.jpg",
            sha256="ab" * 32,
            size_bytes=10,
            original_key="x",
            width=200,
            height=100,
        )
        for number, defect in enumerate(defects):
            self.found(unit, photo, defect, number)
        return unit

    def new_run(self, unit: Inspection) -> Run:
        run = Run.objects.create(
            site=self.site,
            inspection=unit,
            number=unit.runs.count() + 1,
            status=RunStatus.DONE,
            finished_at=timezone.now(),
        )
        Inspection.objects.filter(pk=unit.pk).update(current_run=run)
        unit.refresh_from_db()
        return run

    def found(self, unit: Inspection, photo: Photo, defect: str, number: int) -> Finding:
        return Finding.objects.create(
            site=self.site,
            inspection=unit,
            photo=photo,
            run=unit.current_run,
            key=f"f{number}",
            type=defect,
            severity="major" if defect == "hole" else "minor",
            source="vlm",
            confidence=0.9,
            x1=10 * number,
            y1=5,
            x2=10 * number + 8,
            y2=25,
            area_px=120,
            area_mm2=30.0,
            length_px=20.0,
            length_mm=10.0,
        )


def make_works(slug: str, url: str = "https://tickets.example.com/hook") -> Works:
    site = Site.objects.create(name=slug.title(), slug=slug)
    members = {}
    for role in Role:
        person = User.objects.create(username=f"{slug}-{role.value}")
        members[role] = Membership.objects.create(site=site, user=person, role=role)
    connector = Connector.objects.create(
        site=site, key="desk", name="Ticket desk", url=url, secret=new_secret(), allow_inside=True
    )
    plan = Plan.objects.create(site=site, key="lids", name="Lids")
    works = Works(site, members, connector, plan)
    works.use_plan()
    return works


@pytest.fixture
def hook(settings) -> Iterator[Receiver]:
    """A receiver that an admin has allowed."""
    settings.ALLOW_INSIDE_HOSTS = ["127.0.0.1"]
    with receiver() as listening:
        yield listening


@pytest.fixture
def woken(monkeypatch) -> list[tuple[str, str]]:
    """Messages to workers, noted instead of sent."""
    sent: list[tuple[str, str]] = []

    def note(task: str, args: list[str], **_: object) -> None:
        sent.append((task, args[0]))

    monkeypatch.setattr(outbox.app, "send_task", note)
    return sent


@pytest.fixture
def works(db, hook, woken) -> Works:
    return make_works("works", hook.url())


@pytest.fixture
def elsewhere(db, woken) -> Works:
    """Another site."""
    return make_works("elsewhere")
