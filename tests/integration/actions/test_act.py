"""From a verdict to tickets: planned, approved, done once."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from importlib import import_module

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from inspection.actions import act, approvals, catalogue, executor
from inspection.actions.act import act_due, act_on
from inspection.models import ActionPlan, ActionStep, Connector, Delivery, Inspection, Run, Ticket
from inspection.models.choices import ActionStatus, FindingStatus, InspectionStatus, Role, RunStatus
from models_runtime.contracts import (
    ActionGraph,
    Architecture,
    EngineRef,
    PlannedAction,
)
from models_runtime.errors import FatalError, TransientError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
ARGUMENTS = {"title": "t", "severity": "major", "disposition": "rework", "priority": 2}


class Planner:
    """Plans whatever the test says."""

    ref = EngineRef(architecture=Architecture.LAM, engine="test", version="1")

    def __init__(self, *actions, error=None):
        self.actions = actions
        self.error = error

    def plan(self, case):
        if self.error:
            raise self.error
        return ActionGraph(actions=self.actions)


def node(key, *needs, destination="desk", finding=None, approval=False, action="ticket"):
    return PlannedAction(
        id=key,
        action=action,
        destination=destination,
        depends_on=needs,
        finding_id=str(finding.pk) if finding else None,
        requires_approval=approval,
        arguments=ARGUMENTS,
    )


def states(unit):
    rows = ActionStep.objects.filter(action_plan__inspection=unit)
    return {row.key: row.status for row in rows}


def test_a_verdict_leads_to_one_ticket_per_finding_the_playbook_names(works):
    unit = works.judged("hole", "stain", "hole")
    steps = act_on(unit.pk)
    assert [step.status for step in steps] == [ActionStatus.DONE] * 2
    assert Ticket.objects.filter(inspection=unit).count() == 2
    assert Delivery.objects.filter(ticket__inspection=unit).count() == 2


def test_doing_it_again_does_nothing_more(works):
    unit = works.judged("hole")
    first = act_on(unit.pk)
    assert [step.pk for step in act_on(unit.pk)] == [step.pk for step in first]
    assert Ticket.objects.count() == Delivery.objects.count() == 1


def test_a_re_run_that_sees_the_same_defect_makes_no_second_ticket(works):
    unit = works.judged("hole")
    act_on(unit.pk)
    finding = unit.findings.get()
    works.new_run(unit)
    again = works.found(unit, finding.photo, "hole", 0)
    type(again).objects.filter(pk=again.pk).update(identity=finding.identity)
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.DONE
    assert "already has a ticket" in step.message
    assert Ticket.objects.count() == Delivery.objects.count() == 1


def test_the_same_finding_may_have_tickets_at_two_destinations(works):
    other = Connector.objects.create(
        site=works.site, key="floor", name="Floor", url="https://f.example/", secret="whsec_eA=="
    )
    works.use_plan(playbook=[{"destination": "desk"}, {"destination": "floor"}])
    unit = works.judged("hole")
    act_on(unit.pk)
    assert set(Ticket.objects.values_list("connector__key", flat=True)) == {"desk", "floor"}
    assert other.tickets.count() == 1


def test_the_database_itself_refuses_a_second_ticket(works):
    unit = works.judged("hole")
    act_on(unit.pk)
    ticket = Ticket.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.create(
            site=works.site,
            inspection=unit,
            finding_identity=ticket.finding_identity,
            connector=works.connector,
            title="again",
        )


@pytest.mark.parametrize(
    "change",
    [
        {"status": InspectionStatus.REVIEW},
        {"status": InspectionStatus.FAILED, "disposition": ""},
        {"disposition": "accept"},
        {"disposition": "hold"},
        {"plan_version": None},
        {"current_run": None},
    ],
)
def test_nothing_goes_out_without_a_verdict_that_calls_for_it(works, change):
    unit = works.judged("hole")
    Inspection.objects.filter(pk=unit.pk).update(**change)
    assert act_on(unit.pk) == []
    assert not Ticket.objects.exists()


def test_a_rejected_finding_never_becomes_a_ticket(works):
    unit = works.judged("hole", "hole")
    unit.findings.filter(key="f0").update(status=FindingStatus.REJECTED)
    act_on(unit.pk)
    assert Ticket.objects.get().finding.key == "f1"


def test_a_ticket_says_what_its_receiver_needs(works, settings):
    settings.PUBLIC_URL = "https://loupe.example.com"
    unit = works.judged("hole")
    act_on(unit.pk)
    data = json.loads(Delivery.objects.get().body)["data"]
    assert data["title"] == "Hole (major) on LID-7"
    assert data["inspection"]["url"] == f"https://loupe.example.com/inspections/{unit.pk}/"
    assert data["inspection"]["disposition"] == "rework"
    assert data["plan"] == {"key": "lids", "name": "Lids", "version": 1}
    finding = data["finding"]
    assert finding["box"] == {"x1": 0.0, "y1": 5.0, "x2": 8.0, "y2": 25.0}
    assert (finding["area_px"], finding["area_mm2"]) == (120, 30.0)
    assert (finding["severity"], finding["confidence"]) == ("major", 0.9)
    assert finding["photo"]["sha256"] == "ab" * 32


def test_a_missing_connector_fails_the_step_with_what_to_do_and_works_later(works):
    Connector.objects.update(key="other")
    unit = works.judged("hole")
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.FAILED
    assert "no connector 'desk'" in step.message
    Connector.objects.update(key="desk")
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.DONE


def test_a_connector_of_another_site_is_not_used(works, elsewhere):
    works.connector.delete()
    unit = works.judged("hole")
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.FAILED
    assert not Ticket.objects.exists()


def test_an_action_waits_for_a_manager_and_is_then_done_once(works):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    unit = works.judged("hole")
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.APPROVAL
    assert not Ticket.objects.exists()
    assert approvals.approve(works.manager, step)
    assert not approvals.approve(works.manager, step)
    step.refresh_from_db()
    assert step.status == ActionStatus.DONE
    assert step.approved_by == works.manager.user
    assert Ticket.objects.count() == 1


def test_what_a_manager_called_off_stays_off(works):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    unit = works.judged("hole")
    (step,) = act_on(unit.pk)
    assert approvals.cancel(works.manager, step)
    assert not approvals.approve(works.manager, step)
    (step,) = act_on(unit.pk)
    assert step.status == ActionStatus.CANCELLED
    assert works.manager.user.username in step.message
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.REVIEWER])
def test_only_a_manager_may_approve(works, elsewhere, role):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    (step,) = act_on(works.judged("hole").pk)
    for decide in (approvals.approve, approvals.cancel):
        with pytest.raises(PermissionDenied):
            decide(works.members[role], step)
        with pytest.raises(PermissionDenied):
            decide(elsewhere.manager, step)
    step.refresh_from_db()
    assert step.status == ActionStatus.APPROVAL


def test_steps_are_done_in_the_order_of_their_dependencies(works, monkeypatch):
    done = []

    def note(step):
        done.append(step.key)
        return ""

    monkeypatch.setattr(executor, "find", lambda name: note)
    planner = Planner(node("z"), node("y", "z"), node("a", "y", "z"))
    steps = act_on(works.judged("hole").pk, planner)
    assert done == ["z", "y", "a"]
    assert {step.status for step in steps} == {ActionStatus.DONE}


def test_what_depends_on_an_approval_waits_with_it_and_what_depends_on_a_failure_is_off(works):
    works.use_plan(playbook=[{"destination": "desk"}, {"destination": "nowhere"}])
    unit = works.judged("hole")
    planner = Planner(
        node("asked", approval=True),
        node("after", "asked"),
        node("fails", destination="nowhere"),
        node("never", "fails"),
        node("nor", "never", approval=True),
    )
    act_on(unit.pk, planner)
    assert states(unit) == {
        "asked": "approval",
        "after": "ready",
        "fails": "failed",
        "never": "cancelled",
        "nor": "cancelled",
    }
    approvals.approve(works.manager, ActionStep.objects.get(key="asked"))
    assert states(unit)["after"] == "done"


def test_calling_off_an_action_calls_off_what_depends_on_it(works):
    unit = works.judged("hole")
    act_on(unit.pk, Planner(node("asked", approval=True), node("after", "asked")))
    approvals.cancel(works.manager, ActionStep.objects.get(key="asked"))
    assert states(unit) == {"asked": "cancelled", "after": "cancelled"}


def test_when_the_verdict_changes_what_still_waits_is_taken_back_and_comes_again(works):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    unit = works.judged("hole")
    act_on(unit.pk)
    Inspection.objects.filter(pk=unit.pk).update(disposition="accept")
    (step,) = act_on(unit.pk)
    assert (step.status, step.message) == (ActionStatus.CANCELLED, act.NOT_CALLED_FOR)
    Inspection.objects.filter(pk=unit.pk).update(disposition="reject")
    (step,) = act_on(unit.pk)
    assert (step.status, step.message) == (ActionStatus.APPROVAL, "")


def test_what_waits_from_an_earlier_run_is_replaced_by_the_later_one(works):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    unit = works.judged("hole")
    act_on(unit.pk)
    photo = unit.photos.get()
    unit.findings.update(status=FindingStatus.REJECTED)
    works.new_run(unit)
    works.found(unit, photo, "hole", 5)
    act_on(unit.pk)
    old, new = ActionPlan.objects.order_by("created_at")
    assert old.steps.get().message == act.REPLACED
    assert new.steps.get().status == ActionStatus.APPROVAL


@pytest.mark.parametrize(
    "actions",
    [
        (node("a", "b"), node("b")),
        (node("a"), node("a")),
        (node("a", "missing"),),
        (node("a", action="delete_everything"),),
        (node("a", destination="https://evil.example/"),),
        (node("a" * 121),),
    ],
    ids=["order", "twice", "missing", "unknown-action", "unknown-destination", "long-id"],
)
def test_what_a_planner_may_not_ask_for_is_shown_and_not_done(works, actions):
    unit = works.judged("hole")
    (step,) = act_on(unit.pk, Planner(*actions))
    assert (step.key, step.status) == ("plan", ActionStatus.FAILED)
    assert "could not be planned" in step.message
    assert not Ticket.objects.exists()


def test_a_broken_planner_is_shown_and_a_working_one_takes_over(works):
    unit = works.judged("hole")
    (step,) = act_on(unit.pk, Planner(error=FatalError("no such model")))
    assert "no such model" in step.message
    act_on(unit.pk)
    assert states(unit)["plan"] == "cancelled"
    assert Ticket.objects.count() == 1


def test_a_busy_planner_is_asked_again_later(works, woken):
    unit = works.judged("hole")
    with pytest.raises(TransientError):
        act_on(unit.pk, Planner(error=TransientError("busy")))
    decide(works, unit)
    assert act_due() == 1


def decide(works, unit, ago=60):
    Inspection.objects.filter(pk=unit.pk).update(
        status=InspectionStatus.DECIDED,
        disposition="rework",
        decided_by=works.manager.user,
        decided_at=timezone.now() - timedelta(seconds=ago),
    )


def test_a_decision_that_no_worker_heard_of_is_found_by_the_sweeper(works, woken):
    unit = works.judged("hole")
    decide(works, unit)
    assert act_due() == 1
    assert woken[-1] == ("actions.act_after_decision", str(unit.pk))
    act_on(unit.pk)
    assert act_due() == 0


def test_a_decision_is_not_acted_on_in_the_middle_of_a_run(works, woken):
    """Findings of the run before count no more, and those of this one are not there yet."""
    unit = works.judged("hole")
    decide(works, unit)
    act_on(unit.pk)
    run = works.new_run(unit)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, finished_at=None)
    assert act_due() == 0
    act.act_after_decision(unit.pk)
    assert [ticket.finding.key for ticket in Ticket.objects.all()] == ["f0"]
    Run.objects.filter(pk=run.pk).update(status=RunStatus.DONE, finished_at=timezone.now())
    assert act_due() == 1


def test_a_decision_on_a_unit_that_the_models_could_not_judge_is_found_too(works, woken):
    unit = works.judged()
    Run.objects.filter(pk=unit.current_run_id).update(status=RunStatus.FAILED)
    decide(works, unit)
    assert act_due() == 1


def test_a_verdict_that_changes_while_actions_are_planned_is_planned_for_again(works):
    unit = works.judged("hole")

    class Slow(Planner):
        def plan(self, case):
            Inspection.objects.filter(pk=unit.pk).update(disposition="accept")
            return super().plan(case)

    with pytest.raises(TransientError, match="changed"):
        act_on(unit.pk, Slow(node("t1")))
    assert not Ticket.objects.exists()


def test_a_finding_rejected_before_the_approval_gets_no_ticket(works):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    unit = works.judged("hole")
    (step,) = act_on(unit.pk)
    unit.findings.update(status=FindingStatus.REJECTED)
    approvals.approve(works.manager, step)
    step.refresh_from_db()
    assert step.status == ActionStatus.FAILED
    assert "rejected this finding" in step.message
    assert not Ticket.objects.exists()


def test_a_later_decision_is_found_too(works, woken):
    unit = works.judged("hole")
    decide(works, unit, ago=600)
    act_on(unit.pk)
    ActionPlan.objects.update(planned_at=timezone.now() - timedelta(seconds=300))
    assert act_due() == 0
    decide(works, unit, ago=60)
    assert act_due() == 1


class Killed(BaseException):
    """Stands for a worker that ends at this instruction."""


KILLED_AT = [
    "inspection.actions.executor.execute",
    "inspection.actions.executor._perform",
    "inspection.actions.tickets._insert",
    "inspection.actions.tickets.enqueue",
    "inspection.actions.tickets.ticket_data",
    "inspection.actions.act._retire_earlier",
    "inspection.actions.act._keep",
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", KILLED_AT)
@pytest.mark.django_db(transaction=True)
def test_killed_anywhere_and_run_again_it_is_the_same_once(works, monkeypatch, place, when):
    """Each kill rolls back what its transaction had written, as the loss of a connection does."""
    unit = works.judged("hole", "hole")
    module, _, name = place.rpartition(".")
    real = getattr(import_module(module), name)

    def dies(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        raise Killed

    where = "inspection.actions.act.execute" if name == "execute" else place
    with monkeypatch.context() as patched:
        patched.setattr(where, dies)
        with pytest.raises(Killed):
            act_on(unit.pk)
    steps = act_on(unit.pk)
    assert [step.status for step in steps] == [ActionStatus.DONE] * 2
    assert Ticket.objects.count() == 2
    assert sorted(Delivery.objects.values_list("ticket", flat=True)) == sorted(
        Ticket.objects.values_list("pk", flat=True)
    )


@pytest.mark.django_db(transaction=True)
def test_workers_that_act_at_once_make_one_ticket_and_one_delivery(works):
    unit = works.judged("hole", "hole", "hole")
    start = threading.Barrier(5)
    finished = []

    def work():
        try:
            start.wait(10)
            finished.append(len(act_on(unit.pk)))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert finished == [3] * 5
    assert Ticket.objects.count() == Delivery.objects.count() == 3
    assert set(states(unit).values()) == {"done"}


@pytest.mark.django_db(transaction=True)
def test_two_plans_that_race_for_the_same_finding_make_one_ticket(works):
    """The constraint decides even where nothing else is locked in common."""
    unit = works.judged("hole")
    finding = unit.findings.get()
    rows = []
    for _ in range(4):
        run = works.new_run(unit)
        plan = ActionPlan.objects.create(site=works.site, inspection=unit, run=run)
        rows.append(
            ActionStep.objects.create(
                site=works.site,
                action_plan=plan,
                key="t",
                action="ticket",
                destination="desk",
                finding=finding,
                status=ActionStatus.READY,
            )
        )
    start = threading.Barrier(len(rows))

    def work(step):
        try:
            start.wait(10)
            executor.execute(step.action_plan_id)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(row,)) for row in rows]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Ticket.objects.count() == Delivery.objects.count() == 1
    assert {step.status for step in ActionStep.objects.all()} == {ActionStatus.DONE}


def test_every_action_of_the_grammar_is_in_the_catalogue():
    from models_runtime.lam.grammar import ACTIONS

    assert set(ACTIONS) == set(catalogue.ACTIONS)
    for name in catalogue.ACTIONS:
        assert callable(catalogue.find(name))
