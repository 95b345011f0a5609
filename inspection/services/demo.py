"""Making the demo site: people, connector, plans, samples; again, only what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from inspection.actions.webhook.destination import DEMO_KEY, demo_hook_url
from inspection.actions.webhook.signing import new_secret
from inspection.demo.plans import demo_plans
from inspection.demo.samples import SAMPLES, Sample, sample_photo
from inspection.models import (
    Connector,
    Inspection,
    Membership,
    Plan,
    PlanVersion,
    Site,
    User,
)
from inspection.models.choices import Role
from inspection.services.inspections import create_inspection, store_bytes
from models_runtime.plans import PlanSpec

SLUG = "demo"
NAME = "Demo works"
PASSWORD = "loupe-demo"  # noqa: S105 - printed on purpose; only for the demo site
LOCK = 7_126_045
"""Number of the advisory lock that lets only one process make the demo at a time."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What there is afterwards. ``made_samples``: how many inspections were started now."""

    site: Site
    log_ins: tuple[str, ...]
    made_samples: int


def may_make_demo() -> bool:
    """Only where it is wanted, and never beside real sites."""
    mine = Site.objects.filter(slug=SLUG).exists()
    return settings.SHOW_DEMO and (mine or not Site.objects.exists())


def make_demo() -> Demo | None:
    """Make the demo, or complete it; None where it is off or real sites are there."""
    if not may_make_demo():
        return None
    photos = {sample.reference: sample_photo(sample) for sample in _missing_samples()}
    with transaction.atomic():
        _take_turns()
        site, _ = Site.objects.get_or_create(slug=SLUG, defaults={"name": NAME})
        people = _people(site)
        _connector(site)
        for key, spec in demo_plans().items():
            _plan(site, key, spec, people[Role.MANAGER])
        wanted = [sample for sample in _missing_samples() if sample.reference in photos]
        for sample in wanted:
            _inspection(site, sample, photos[sample.reference], people[Role.OPERATOR])
    return Demo(site, tuple(role.value for role in Role), len(wanted))


def _take_turns() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _missing_samples() -> list[Sample]:
    known = set(
        Inspection.objects.filter(site__slug=SLUG, is_sample=True).values_list(
            "reference", flat=True
        )
    )
    return [sample for sample in SAMPLES if sample.reference not in known]


def _people(site: Site) -> dict[Role, User]:
    """One person per role, named like it. A password that somebody changed stays."""
    hashed = make_password(PASSWORD)
    people: dict[Role, User] = {}
    for role in Role:
        person, made = User.objects.get_or_create(
            username=role.value, defaults={"password": hashed}
        )
        people[role] = person
        if made:
            Membership.objects.get_or_create(user=person, site=site, defaults={"role": role})
    return people


def _connector(site: Site) -> None:
    Connector.objects.get_or_create(
        site=site,
        key=DEMO_KEY,
        defaults={
            "name": "Demo receiver",
            "url": demo_hook_url(site.slug),
            "secret": new_secret(),
        },
    )


def _plan(site: Site, key: str, spec: PlanSpec, author: User) -> None:
    plan, made = Plan.objects.get_or_create(site=site, key=key, defaults={"name": spec.name})
    if made:
        version = PlanVersion.objects.create(
            site=site, plan=plan, number=1, spec=spec.model_dump(mode="json"), created_by=author
        )
        Plan.objects.filter(pk=plan.pk).update(current=version)


def _inspection(site: Site, sample: Sample, photo: bytes, operator: User) -> None:
    create_inspection(
        site=site,
        created_by=operator,
        files=[store_bytes(site, sample.file_name, photo)],
        plan=Plan.objects.get(site=site, key=sample.plan),
        reference=sample.reference,
        note=sample.note,
        is_sample=True,
    )
