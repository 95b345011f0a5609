"""A site full of made-up units, to see how the application bears a million of them.

All rows belong to a site of their own whose address name begins with ``seeded-``; each unit is
marked as a drawn sample. Written in SQL, a month at a time, without the triggers that copy every
change into the audit trail. Days are then marked, and counted like any others.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from inspection.models import Connector, DefectCost, Membership, Plan, PlanVersion, Site, User
from inspection.models.choices import Role
from inspection.services.rollups import mark_everything
from models_runtime.plans import PlanSpec

SLUG = "seeded-"
DAYS = 730
SPECS: tuple[dict[str, Any], ...] = (
    {"name": "Seeded castings", "defects": ["porosity", "crack", "misrun", "scratch", "burr"]},
    {"name": "Seeded panels", "defects": ["dent", "scratch", "paint_run", "chip"]},
    {"name": "Seeded boards", "defects": ["solder_bridge", "missing_part", "scratch", "stain"]},
)
REVIEWERS = ("seeded-reviewer-1", "seeded-reviewer-2", "seeded-reviewer-3", "seeded-reviewer-4")

UNITS = """
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT uuidv7() AS id, uuidv7() AS photo, uuidv7() AS run, n, at,
 plans.id AS plan, plans.version, plans.types, product,
 1 + product %% 4 AS line, 1 + (extract(hour FROM at)::int / 8) AS shift,
 1 + (product * 7 + n %% 2) %% 8 AS supplier,
 -- worse in one month on line 3, and from one supplier
 least(6, floor(-ln(1 - random()) * 2.6 * (1 + 0.5 * (product %% 5 = 0)::int
  + 0.8 * (product %% 4 = 2 AND extract(month FROM at) = 5)::int))::int) AS defects,
 random() AS luck, random() AS chance, random() AS person
FROM (SELECT n, %(start)s::timestamptz + (random() * %(seconds)s) * interval '1 second' AS at,
  floor(20 * random() ^ 1.4)::int AS product FROM generate_series(%(first)s, %(last)s) AS n) AS one
JOIN unnest(%(plans)s::uuid[], %(versions)s::uuid[]) WITH ORDINALITY AS plans(id, version, place)
 ON plans.place = 1 + product %% 3
CROSS JOIN LATERAL (SELECT (%(types)s::jsonb -> (product %% 3)) AS types) AS known
""".replace("plans.types, ", "known.types, ")

WORDS = """
ALTER TABLE made ADD COLUMN disposition text, ADD COLUMN model_said text, ADD COLUMN severity text,
 ADD COLUMN judged boolean;
UPDATE made SET
 severity = CASE WHEN defects = 0 THEN '' WHEN luck < 0.03 THEN 'critical' WHEN luck < 0.25
  THEN 'major' ELSE 'minor' END,
 model_said = CASE WHEN defects = 0 OR luck > 0.28 THEN 'accept' WHEN luck < 0.05 THEN 'reject'
  WHEN luck < 0.2 THEN 'rework' ELSE 'hold' END,
 judged = (luck < 0.2 AND defects > 0) OR person < 0.05;
UPDATE made SET disposition = CASE WHEN NOT judged THEN model_said
 WHEN model_said <> 'accept' AND person > 0.8 THEN 'accept'
 WHEN model_said = 'accept' AND person < 0.0015 THEN 'reject' ELSE model_said END;
"""

ROWS = (
    """
INSERT INTO inspection_inspection (id, site_id, created_at, plan_id, plan_version_id, reference,
 note, status, disposition, severity, priority, queue, confidence, defect_probability, in_domain,
 abstained, reasons, message, summary, wants_report, is_sample, created_by_id, decided_by_id,
 decided_at, line, shift, supplier, product, current_run_id)
SELECT id, %(site)s, at, plan, version, 'SEED-' || lpad((n %% %(names)s)::text, 8, '0'), '',
 CASE WHEN NOT judged AND model_said <> 'accept' THEN 'review' ELSE 'decided' END, disposition,
 severity, 3, '', 0.5 + chance / 2, least(1, greatest(0, 0.3 * chance + 0.7 * (defects > 0)::int)),
 0.9, false, '[]', '', CASE WHEN defects > 0 THEN 'defects seen' ELSE 'nothing found' END, false,
 true, NULL, CASE WHEN judged THEN (%(people)s::int[])[1 + n %% 4] END,
 CASE WHEN judged THEN at + interval '1 hour' END, 'Line ' || line, 'Shift ' || shift,
 'Supplier ' || supplier, 'Product ' || product, run FROM made""",
    """
INSERT INTO inspection_photo (id, site_id, created_at, inspection_id, position, name, status,
 message, sha256, size_bytes, format, width, height, original_key, view_key, thumb_key, exif,
 quality, warnings, codes)
SELECT photo, %(site)s, at, id, 0, 'seeded.jpg', 'ready', '', md5(photo::text) || md5(id::text), 0,
 'JPEG', 1600, 1200, 'seeded/none', '', '', '{}', jsonb_build_object('mean', 120 + 6 * chance
 + 4 * sin(extract(doy FROM at) / 20), 'sharpness', 0.2 + 0.1 * luck, 'dark_share', 0,
 'bright_share', 0), '[]', '[]' FROM made""",
    """
INSERT INTO inspection_run (id, site_id, created_at, inspection_id, number, status, finished_at)
SELECT run, %(site)s, at, id, 1, 'done', at + interval '9 seconds' FROM made""",
    """
INSERT INTO inspection_finding (id, site_id, created_at, inspection_id, photo_id, run_id, key,
 identity, type, severity, status, history, source, confidence, x1, y1, x2, y2, mask_counts,
 area_px, model_type, model_severity, is_sealed)
SELECT uuidv7(), %(site)s, at, id, photo, run, 'f' || k, gen_random_uuid(),
 types ->> floor(jsonb_array_length(types) * random() ^ 2)::int,
 CASE WHEN k = 1 THEN severity ELSE 'minor' END, CASE WHEN NOT judged OR random() < 0.3 THEN 'open'
 WHEN random() < 0.85 THEN 'confirmed' ELSE 'rejected' END, 'new', 'vlm', 0.5 + 0.5 * random(),
 x, y, x + 20 + 120 * random(), y + 20 + 120 * random(), '', 900, '', '', false
FROM (SELECT made.*, k, 1400 * (random() + random() + random()) / 3 AS x,
 1000 * random() ^ 2 AS y FROM made, generate_series(1, defects) AS k) AS one""",
    """
INSERT INTO inspection_steprun (id, site_id, created_at, run_id, step, position, status,
 architecture, engine, engine_version, reason, queued_at, started_at, finished_at, worker, attempt,
 wait_ms, run_ms, confidence, escalated, cost_microusd, error, output)
SELECT uuidv7(), %(site)s, at, run, step, place, 'done', kind, engine, '1', 'seeded', at,
 at, at + interval '1 second', 'seeded', 1, 5, ms * exp(0.5 * (random() + random() - 1)),
 0.9, step = 'extract' AND chance < 0.2, cost,
 '', CASE WHEN step <> 'extract' THEN '{}'::jsonb ELSE jsonb_build_object('escalation',
  jsonb_build_object('cases', 1, 'escalated', (chance < 0.2)::int, 'engines', jsonb_build_array(
  jsonb_build_object('architecture', 'vlm', 'engine', 'small', 'version', '1', 'cases', 1,
   'failed', 0, 'run_ms', ms, 'cost_microusd', cost, 'asked', '{}'::jsonb,
   'answered', '{}'::jsonb),
  jsonb_build_object('architecture', 'vlm', 'engine', 'large', 'version', '1',
   'cases', (chance < 0.2)::int, 'failed', 0, 'run_ms', 2100 * (chance < 0.2)::int,
   'cost_microusd', 900 * (chance < 0.2)::int, 'asked', '{}'::jsonb,
   'answered', '{}'::jsonb)))) END
FROM made, (VALUES ('extract', 2, 'vlm', 'small', 180.0, 12), ('segment', 3, 'sam', 'embedded', 140,
 9), ('triage', 4, 'slm', 'embedded', 6, 1)) AS steps(step, place, kind, engine, ms, cost)""",
    """
INSERT INTO inspection_review (id, site_id, created_at, inspection_id, reviewer_id, kind, before,
 after, reason, comment, client_key)
SELECT uuidv7(), %(site)s, at + interval '1 hour', id, (%(people)s::int[])[1 + n %% 4],
 'disposition', jsonb_build_object('disposition', model_said, 'status', 'review'),
 jsonb_build_object('disposition', disposition, 'status', 'decided'), '', '', 'seeded'
FROM made WHERE judged""",
    """
INSERT INTO inspection_ticket (id, site_id, created_at, inspection_id, finding_identity,
 connector_id, title, status, external_id, external_url)
SELECT uuidv7(), %(site)s, at, id, id, %(connector)s, 'Seeded',
 CASE WHEN chance < 0.97 THEN 'delivered' WHEN chance < 0.99 THEN 'failed' ELSE 'pending' END, '',
 '' FROM made WHERE disposition = 'reject'""",
    """
INSERT INTO inspection_riskgate (id, site_id, created_at, inspection_id, plan_id, dial_id, chances,
 engine, is_asked, is_eligible, is_below, is_drawn)
SELECT uuidv7(), %(site)s, at, made.id, plan, dial.id, '{}', 'seeded', false, true, true, true
FROM made JOIN inspection_riskdial AS dial ON dial.plan_id = made.plan
WHERE judged AND model_said = 'accept'""",
)
DIALS = """
INSERT INTO inspection_riskdial (id, site_id, created_at, plan_id, number, plan_version_id, is_on,
 largest_escape, confidence, check_share, thresholds, engines, figures)
SELECT gen_random_uuid(), %s, now(), plan, 1, version, false, 0.01, 0.95, 0.05, '{}', '[]', '{}'
FROM unnest(%s::uuid[], %s::uuid[]) AS plans(plan, version)"""


class SeedRefusedError(Exception):
    """The site can't be seeded; the message says why."""


def seed(name: str, count: int, tell: Callable[[str], None]) -> Site:
    """Make a new site with so many units, spread over two years until today."""
    slug = SLUG + "".join(char if char.isalnum() else "-" for char in name.lower())[:40]
    if Site.objects.filter(slug=slug).exists():
        raise SeedRefusedError(f"There is a site {slug} already. Give the new one another name.")
    site = Site.objects.create(name=f"Seeded: {name}"[:100], slug=slug)
    told = _ground(site)
    start = timezone.now() - timedelta(days=DAYS)
    months = 24
    for month in range(months):
        first, last = count * month // months + 1, count * (month + 1) // months
        span = timedelta(days=DAYS) / months
        _month(
            told
            | {
                "first": first,
                "last": last,
                "names": max(1, count * 97 // 100),
                "start": start + span * month,
                "seconds": span.total_seconds(),
            }
        )
        tell(f"{last:,} units")
    mark_everything(site)
    return site


def _month(told: dict[str, Any]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # Without the copies for the audit trail, and without a check of each reference: the
        # database's owner may, and everything here is made up.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(UNITS, told)
        for statement in WORDS.strip().split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("ANALYZE made")
        for rows in ROWS:
            cursor.execute(rows, told)


@transaction.atomic
def _ground(site: Site) -> dict[str, Any]:
    """Plans, people, a destination and costs."""
    plans = [_plan(site, number, spec) for number, spec in enumerate(SPECS, 1)]
    people = [User.objects.get_or_create(username=name)[0] for name in REVIEWERS]
    for person in people:
        Membership.objects.create(site=site, user=person, role=Role.REVIEWER)
    connector = Connector.objects.create(
        site=site, key="seeded", name="Seeded tickets", url="https://example.invalid/hook",
        secret="", is_active=False, disabled_reason="A made-up site sends nothing.",
    )  # fmt: skip
    ids, versions = [plan.pk for plan in plans], [plan.current_id for plan in plans]
    with connection.cursor() as cursor:
        cursor.execute(DIALS, [site.pk, ids, versions])
    return {
        "site": site.pk,
        "plans": ids,
        "versions": versions,
        "people": [person.pk for person in people],
        "connector": connector.pk,
        "types": _json([spec["defects"] for spec in SPECS]),
    }


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def _plan(site: Site, number: int, spec: dict[str, Any]) -> Plan:
    parsed = PlanSpec.model_validate(
        {
            "name": spec["name"],
            "description": "Made up",
            "defects": [
                {"key": key, "name": key.replace("_", " ").capitalize(), "severity": "minor"}
                for key in spec["defects"]
            ],
        }
    )
    plan = Plan.objects.create(site=site, key=f"seeded-{number}", name=parsed.name)
    plan.current = PlanVersion.objects.create(
        site=site, plan=plan, number=1, spec=parsed.model_dump(mode="json")
    )
    plan.save()
    chance = random.Random(number)  # noqa: S311  nothing secret
    for key in spec["defects"]:
        amount = Decimal(chance.randrange(50, 4000)) / 100
        DefectCost.objects.create(site=site, plan=plan, type=key, amount=amount)
    return plan
