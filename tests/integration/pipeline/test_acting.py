"""What a verdict leads to: a ticket, exactly once, unless a person must decide first."""

from __future__ import annotations

import pytest
from pipeline_world import PLAN, photo_bytes, set_plan

from inspection.models import Connector, Delivery, Ticket
from inspection.services.inspections import start_run

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def board(world):
    set_plan(world.plan, PLAN | {"playbook": [{"destination": "board"}]})
    return Connector.objects.create(
        site=world.site, key="board", name="Board", url="https://example.com/hook", secret="whsec_A"
    )


def test_a_defect_leads_to_one_ticket_in_the_outbox(world, board):
    done = world.run(world.inspect(photo_bytes()))
    act = done.current_run.steps.get(step="act")
    assert (act.status, act.architecture) == ("done", "lam")
    assert Ticket.objects.get().finding == done.findings.get()
    assert Delivery.objects.count() == 1


def test_a_re_run_writes_no_second_ticket(world, board):
    first = world.run(world.inspect(photo_bytes()))
    start_run(first, None)
    second = world.run(first)
    assert second.current_run.number == 2
    assert Ticket.objects.get().finding == second.findings.get()
    assert Delivery.objects.count() == 1


def test_a_finding_with_a_ticket_stays_although_it_is_seen_no_more_and_counts_no_more(world, board):
    first = world.run(world.inspect(photo_bytes()))
    set_plan(world.plan, {"name": "Lids", "defects": []})
    start_run(first, None)
    second = world.run(first)
    assert second.findings.get().run.number == 1
    assert second.disposition == "accept"


def test_a_sound_unit_leads_to_nothing(world, board):
    world.run(world.inspect(photo_bytes(square=None)))
    assert not Ticket.objects.exists()
