"""Processes are really killed, at every step: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import time

import pytest
from killing_house import open_house
from pipeline_world import PLAN, make_member, make_plan, photo_bytes

from inspection.models import Connector, Delivery, Inspection, Site, StepRun, Ticket
from inspection.models.choices import RunStatus
from inspection.pipeline import PIPELINE, engine
from inspection.services.inspections import create_inspection, store_bytes
from inspection.supervisor import processes

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]
STEPS = [step.name.value for step in PIPELINE if step.name != "route"]
BATCH = 30
COUNTED = ("attributes", "steps", "reports", "tickets", "deliveries")
SPEC = PLAN | {"playbook": [{"destination": "board"}]}


@pytest.fixture(scope="module")
def house(django_db_blocker):
    with open_house(django_db_blocker.unblock()) as opened:
        opened.site = Site.objects.create(name="Works", slug="works")
        opened.member = make_member(opened.site)
        opened.plan = make_plan(opened.site, SPEC)
        Connector.objects.create(
            site=opened.site,
            key="board",
            name="Board",
            url=opened.hook,
            secret="whsec_" + "A" * 32,
            allow_inside=True,
        )
        opened.start_worker()
        opened.start_sweeper()
        yield opened


def inspect(house, square=(20, 30, 60, 70), plan="own"):
    return create_inspection(
        site=house.site,
        created_by=house.member.user,
        files=[store_bytes(house.site, "p.png", photo_bytes(square))],
        plan=house.plan if plan == "own" else None,
    )


def ended(*inspections):
    ids = [unit.pk for unit in inspections]
    return Inspection.objects.filter(
        pk__in=ids, current_run__status__in=[RunStatus.DONE, RunStatus.FAILED]
    ).count() == len(ids)


def result(unit):
    """Everything a user would see of a unit, without ids and times."""
    unit = Inspection.objects.get(pk=unit.pk)
    findings = unit.findings.values_list("type", "severity", "x1", "y1", "x2", "y2", "mask_counts")
    return {
        "verdict": (unit.status, unit.disposition, unit.severity, unit.summary),
        "findings": sorted(findings),
        "attributes": sorted(unit.attributes.values_list("key", "value")),
        "steps": sorted(unit.current_run.steps.values_list("step", "status")),
        "reports": unit.reports.count(),
        "tickets": unit.tickets.count(),
        "deliveries": Delivery.objects.filter(ticket__inspection=unit).count(),
    }


@pytest.fixture(scope="module")
def undisturbed(house):
    unit = inspect(house)
    assert house.wait_for(lambda: ended(unit)), house.told()
    found = result(unit)
    assert found["verdict"][:3] == ("decided", "rework", "major")
    assert (found["reports"], found["tickets"], found["deliveries"]) == (1, 1, 1)
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_in_a_step_changes_nothing(house, undisturbed, step, moment):
    house.stop_next(f"{step}-{moment}")
    unit = inspect(house)
    os.kill(house.held(f"{step}-{moment}"), signal.SIGKILL)
    assert house.wait_for(lambda: ended(unit)), house.told()
    assert result(unit) == undisturbed
    tries = dict(StepRun.objects.filter(run=unit.current_run).values_list("step", "attempt"))
    assert tries[step] == 2
    assert sum(tries.values()) == len(STEPS) + 1


def test_a_worker_killed_while_it_chooses_the_plan_changes_nothing(house, undisturbed):
    house.stop_next("route-after")
    unit = inspect(house, plan=None)
    os.kill(house.held("route-after"), signal.SIGKILL)
    assert house.wait_for(lambda: ended(unit)), house.told()
    unit.refresh_from_db()
    assert unit.plan == house.plan
    steps = dict(undisturbed["steps"]) | {"route": "done"}
    assert result(unit) == undisturbed | {"steps": sorted(steps.items())}


def photos_read(house, count):
    """Units that wait for vision while no worker is there."""
    house.kill_program("worker")
    units = [inspect(house, (5 + n, 10 + n, 45 + n, 50 + n)) for n in range(count)]
    for unit in units:
        assert engine.advance(unit.current_run_id, "intake") == 1
    return units


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["extract", "triage"])
def test_a_worker_killed_in_a_pass_over_several_units_loses_none(house, undisturbed, step, moment):
    units = photos_read(house, 4)
    point = f"{step}-many-{moment}"
    house.stop_next(point)
    house.start_worker()
    os.kill(house.held(point), signal.SIGKILL)
    assert house.wait_for(lambda: ended(*units)), house.told()
    tries = StepRun.objects.filter(run__in=[unit.current_run_id for unit in units], step=step)
    assert sorted(tries.values_list("attempt", flat=True))[-2:] == [2, 2]
    assert max(tries.values_list("attempt", flat=True)) == 2
    for number, unit in enumerate(units):
        found = result(unit)
        assert found["verdict"] == undisturbed["verdict"]
        assert found["findings"][0][2:4] == (5 + number, 10 + number)
        assert {name: found[name] for name in COUNTED} == {
            name: undisturbed[name] for name in COUNTED
        }


def test_a_whole_worker_killed_is_followed_by_another_one(house, undisturbed):
    house.stop_next("extract-after")
    unit = inspect(house)
    house.held("extract-after")
    house.kill_program("worker")
    house.start_worker()
    assert house.wait_for(lambda: ended(unit)), house.told()
    assert result(unit) == undisturbed


def strike_broker(house):
    os.kill(house.valkey.pid(), signal.SIGKILL)
    time.sleep(1)
    house.valkey.start()


def strike_postgres(house):
    house.postgres.stop()
    house.postgres.start()


def strike_postgres_hard(house):
    os.kill(house.postgres.pid(), signal.SIGKILL)
    processes.wait_until(lambda: not house.postgres.healthy(), 10)
    house.postgres.start()


@pytest.mark.parametrize("strike", [strike_broker, strike_postgres, strike_postgres_hard])
def test_a_batch_survives_a_restart_of_what_carries_it(house, undisturbed, strike):
    units = [inspect(house, (5 + n, 10 + n, 45 + n, 50 + n)) for n in range(BATCH)]
    assert house.wait_for(lambda: any(ended(unit) for unit in units)), house.told()
    assert not ended(*units)
    strike(house)
    assert house.wait_for(lambda: ended(*units), 900), house.told()
    for number, unit in enumerate(units):
        found = result(unit)
        assert found["verdict"] == undisturbed["verdict"]
        assert found["findings"][0][2:4] == (5 + number, 10 + number)
        assert (len(found["findings"]), found["reports"]) == (1, 1)
        assert (found["tickets"], found["deliveries"]) == (1, 1)


def test_after_all_of_it_every_ticket_has_arrived_and_none_was_doubled(house):
    tickets = Ticket.objects.count()
    assert tickets == Inspection.objects.count()
    arrived = house.receiver.events
    assert house.wait_for(lambda: len(arrived) == tickets), house.told()
    assert all(len(bodies) == 1 for bodies in house.receiver.tickets.values())
    assert Delivery.objects.count() == tickets
