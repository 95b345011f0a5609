"""Counts by day are those of the rows, whatever changes and whoever changes it meanwhile."""

from __future__ import annotations

import random
import threading
import uuid
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pgtrigger
import pytest
from django.db import connection
from django.db.models import Sum
from risk_world import Units
from screen_world import Screens, make_finding, make_inspection, make_screens

from inspection import models as m
from inspection.models.rollup import DayMark, Slice
from inspection.selectors.findings import current_findings, is_standing
from inspection.services import reviews, risk
from inspection.services.rollups import count_marked, mark_everything
from inspection.services.rollups.counting import _days_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
JUDGED = ("review", "decided")


def count_all() -> None:
    while count_marked():
        pass


def told(site: m.Site, **of: Any) -> dict[str, int]:
    """The counts of a site without any split."""
    rows = m.UnitDay.objects.for_site(site).filter(slice=Slice.NONE, **of)
    names = [
        f.name for f in m.UnitDay._meta.fields if f.get_internal_type() == "PositiveIntegerField"
    ]
    return {name: rows.aggregate(n=Sum(name))["n"] or 0 for name in names}


def counted_by_hand(site: m.Site) -> dict[str, int]:
    """The same, unit by unit in Python, with the selectors that the pages use."""
    units = [u for u in m.Inspection.objects.for_site(site) if u.status in JUDGED]
    defects = [f for u in units for f in current_findings(u) if is_standing(f) and not f.is_sealed]
    by_person = [u for u in units if u.decided_at]
    refused = [u for u in by_person if first_word(u) not in ("", "accept")]
    return {
        "units": len(units),
        "defective": sum(u.disposition != "accept" for u in units),
        "defects": len(defects),
        "first": sum(is_first(u) for u in units),
        "first_passed": sum(is_first(u) and u.disposition == "accept" for u in units),
        "rework": sum(u.disposition == "rework" for u in units),
        "reject": sum(u.disposition == "reject" for u in units),
        "hold": sum(u.disposition == "hold" for u in units),
        "minor": sum(u.severity == "minor" for u in units),
        "major": sum(u.severity == "major" for u in units),
        "critical": sum(u.severity == "critical" for u in units),
        "alone": sum(
            u.status == "decided" and not u.decided_at and u.disposition == "accept" for u in units
        ),
        "by_person": len(by_person),
        "refused": len(refused),
        "overkill": sum(u.disposition == "accept" for u in refused),
        "failed": m.Inspection.objects.for_site(site).filter(status="failed").count(),
    }


def first_word(unit: m.Inspection) -> str:
    said = unit.reviews.filter(kind="disposition").order_by("created_at", "id").first()
    return said.before["disposition"] if said else ""


def is_first(unit: m.Inspection) -> bool:
    same = m.Inspection.objects.filter(
        site=unit.site_id, plan=unit.plan_id, reference=unit.reference
    )
    return not unit.reference or not same.filter(created_at__lt=unit.created_at).exists()


def agrees(site: m.Site) -> None:
    count_all()
    by_hand = counted_by_hand(site)
    assert {name: told(site)[name] for name in by_hand} == by_hand


def decide(world: Screens, unit: m.Inspection, word: str) -> None:
    reviews.decide(world.memberships["reviewer"], unit, word, uuid.uuid4().hex)


def test_counts_follow_verdicts_findings_and_names(screens: Screens) -> None:
    site, plan = screens.site, screens.plan
    agrees(site)
    again = make_inspection(site, plan, reference=screens.inspection.reference, findings=3)
    other = make_inspection(site, plan, reference="B", findings=0)
    m.Inspection.objects.filter(pk=other.pk).update(disposition="accept", status="decided")
    agrees(site)
    assert (told(site)["first"], told(site)["first_passed"], told(site)["alone"]) == (2, 1, 1)
    decide(screens, again, "accept")
    agrees(site)
    assert told(site)["overkill"] == 1
    dent = screens.findings[0]
    reviews.reject_finding(screens.memberships["reviewer"], dent, uuid.uuid4().hex)
    agrees(site)
    m.Inspection.objects.filter(pk=screens.inspection.pk).update(reference="C")
    agrees(site)
    assert told(site)["first"] == 3, "the second of that name is the first one now"
    m.Inspection.objects.filter(pk=other.pk).update(status="failed", disposition="")
    agrees(site)


def test_the_first_of_a_name_changes_on_another_day_too(screens: Screens) -> None:
    late = make_inspection(screens.site, screens.plan, reference=screens.inspection.reference)
    m.Inspection.objects.filter(pk=late.pk).update(
        created_at=late.created_at + timedelta(days=9), line="L2"
    )
    agrees(screens.site)
    assert told(screens.site)["first"] == 1
    m.Inspection.objects.filter(pk=screens.inspection.pk).update(reference="")
    agrees(screens.site)
    assert told(screens.site, day=(late.created_at + timedelta(days=9)).date())["first"] == 1


def test_each_slice_adds_up_to_the_same(screens: Screens) -> None:
    for number in range(6):
        unit = make_inspection(screens.site, screens.plan, findings=number)
        m.Inspection.objects.filter(pk=unit.pk).update(
            line=f"L{number % 2}", shift=f"S{number % 3}", supplier="A" * (number % 2), product="P"
        )
    count_all()
    for model in (m.UnitDay, m.DefectDay):
        of = "units" if model is m.UnitDay else "found"
        sums = {
            slice: model.objects.filter(slice=slice).aggregate(n=Sum(of))["n"] for slice in Slice
        }
        assert len(set(sums.values())) == 1, sums
    lines = m.UnitDay.objects.filter(slice=Slice.LINE).values_list("line", "units")
    assert dict(lines) == {"": 1, "L0": 3, "L1": 3}


def test_checks_and_escapes_are_those_of_the_drawn(screens: Screens) -> None:
    dial = risk.set_dial(
        screens.memberships["manager"], screens.plan, largest_escape=0.05, check_share=0.5,
        confidence=0.9, based_on=0,
    )  # fmt: skip
    units = Units(screens.plan, screens.memberships["reviewer"])
    chances, truth = units.draw(40)
    units.seen(dial, chances, truth)
    count_all()
    drawn = m.RiskGate.objects.filter(plan=screens.plan, is_drawn=True, is_below=True)
    judged = drawn.filter(inspection__decided_at__isnull=False, inspection__status="decided")
    counts = told(screens.site)
    assert counts["checked"] == judged.count()
    assert counts["escaped"] == judged.exclude(inspection__disposition="accept").count()


def test_types_are_counted_as_they_stand(screens: Screens) -> None:
    dent, scratch = screens.findings
    reviewer = screens.memberships["reviewer"]
    reviews.change_finding(reviewer, dent, uuid.uuid4().hex, severity="critical")
    reviews.reject_finding(reviewer, scratch, uuid.uuid4().hex)
    count_all()
    rows = m.DefectDay.objects.for_site(screens.site).filter(slice=Slice.NONE)
    assert {row.type: (row.found, row.critical, row.confirmed, row.rejected) for row in rows} == {
        "dent": (1, 1, 1, 0),
        "scratch": (0, 0, 0, 1),
    }
    bins = m.CalibrationDay.objects.filter(kind="finding").values_list("bin", "cases", "hits")
    assert sorted(bins) == [(17, 1, 0), (18, 1, 1)], "0.89 was rejected, 0.9 confirmed"


def test_boxes_fill_the_cells_they_touch(screens: Screens) -> None:
    """200 × 150 px in 16 cells a side: a cell is 12.5 × 9.375 px. Box 10..40 × 20..40 touches
    columns 0–3 and rows 2–4."""
    make_finding(screens.inspection, screens.photo, screens.run, 7)
    m.Finding.objects.exclude(pk=screens.findings[0].pk).delete()
    count_all()
    rows = m.HeatDay.objects.for_site(screens.site)
    assert {(row.is_month, row.type, row.findings) for row in rows} == {
        (month, kind, 1) for month in (True, False) for kind in ("", "dent")
    }
    filled = {(n % 16, n // 16) for n, hits in enumerate(rows[0].cells) if hits}
    assert filled == {(x, y) for x in range(4) for y in range(2, 5)}


def test_a_cascade_is_counted_by_engine_and_a_single_engine_by_step(screens: Screens) -> None:
    engine = {"architecture": "slm", "engine": "small", "version": "1", "cases": 4, "failed": 0,
              "run_ms": 8.0, "cost_microusd": 2, "asked": {}, "answered": {}}  # fmt: skip
    larger = engine | {"architecture": "vlm", "engine": "large", "cases": 1, "cost_microusd": 90}
    m.StepRun.objects.filter(run=screens.run, step="extract").update(
        output={"escalation": {"cases": 4, "escalated": 1, "engines": [engine, larger]}}
    )
    count_all()
    rows = m.EngineDay.objects.for_site(screens.site).filter(step="extract").order_by("rank")
    assert [(r.rank, r.engine, r.cases, r.cost_microusd) for r in rows] == [
        (1, "small", 4, 2),
        (2, "large", 1, 90),
    ]
    single = m.EngineDay.objects.for_site(screens.site).get(step="triage")
    assert (single.engine, single.cases, single.run_ms) == ("test", 1, 12.5)
    latency = m.LatencyDay.objects.for_site(screens.site).filter(step="triage").get()
    assert 1.2**latency.bucket <= 12.5 < 1.2 ** (latency.bucket + 1)


def test_speed_of_a_reviewer_leaves_breaks_out(screens: Screens) -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=ZoneInfo("UTC"))
    reviewer = screens.memberships["reviewer"]
    for seconds in (0, 20, 60, 60 + 1200, 60 + 1230):
        unit = make_inspection(screens.site, screens.plan, findings=0)
        decide(screens, unit, "accept")
        with pgtrigger.ignore("inspection.Review:verdicts_are_immutable"):
            m.Review.objects.filter(inspection=unit).update(
                created_at=start + timedelta(seconds=seconds)
            )
    mark_everything(screens.site)
    count_all()
    row = m.ReviewerDay.objects.get(reviewer=reviewer.user, day=date(2026, 3, 2))
    assert (row.units, row.timed, row.active_s, row.changed) == (5, 3, 90.0, 5)


def test_a_site_without_units_is_counted_too_and_other_sites_are_left_alone(
    screens: Screens,
) -> None:
    count_all()
    before = told(screens.site)
    make_inspection(screens.elsewhere, screens.plan)
    count_all()
    assert told(screens.site) == before
    assert told(screens.elsewhere)["units"] == 1


def test_an_hour_of_a_half_hour_zone_belongs_to_both_days(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    hour = datetime(2026, 1, 1, 18, tzinfo=ZoneInfo("UTC"))
    assert _days_of(hour) == {date(2026, 1, 1), date(2026, 1, 2)}
    settings.TIME_ZONE = "UTC"
    assert _days_of(hour) == {date(2026, 1, 1)}


@pytest.mark.django_db(transaction=True)
def test_counts_are_right_while_units_pour_in(transactional_db: None) -> None:
    """Four writers add, decide, change and delete while two others count; afterwards, and after
    one more pass, nothing is missing or doubled."""
    world = make_screens()
    stop, problems = threading.Event(), []

    def guarded(work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001  told by the main thread
            problems.append(error)
        finally:
            connection.close()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(8):
            unit = make_inspection(world.site, world.plan, reference=f"R{number % 3}", findings=2)
            if chance.random() < 0.5:
                decide(world, unit, chance.choice(["accept", "reject"]))
            elif chance.random() < 0.3:
                unit.findings.first().delete()
            elif chance.random() < 0.3:
                m.Inspection.objects.filter(pk=unit.pk).update(line="L9")

    def count() -> None:
        while not stop.is_set():
            count_marked()

    writers = [threading.Thread(target=guarded, args=(write, n)) for n in range(4)]
    counters = [threading.Thread(target=guarded, args=(count,)) for _ in range(2)]
    for thread in writers + counters:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in counters:
        thread.join()
    assert problems == []
    assert told(world.site)["units"] > 0, "counted meanwhile, not only at the end"
    agrees(world.site)
    assert told(world.site)["units"] == 33
    assert not DayMark.objects.exists()


def test_the_time_zone_says_which_day_it_is(screens: Screens, settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    moment = datetime(2026, 6, 1, 13, tzinfo=ZoneInfo("UTC"))
    m.Inspection.objects.filter(pk=screens.inspection.pk).update(created_at=moment)
    count_all()
    assert m.UnitDay.objects.filter(slice=Slice.NONE).get().day == date(2026, 6, 2)
