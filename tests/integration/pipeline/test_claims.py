"""Workers die, hang and come back late: each step's result is saved once, and nothing is stuck."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from celery import Celery
from django.db import OperationalError as OperationalErrorOfDatabase
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from pipeline_world import photo_bytes

from inspection.celery import app
from inspection.models import Finding, Inspection, StepRun
from inspection.pipeline import claims, engine, extract, sweeper
from inspection.pipeline.wake import ADVANCE
from models_runtime.errors import FatalError, InputError, TransientError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def failing(monkeypatch, *errors):
    """Let the extract step raise these errors, one per attempt, and then work."""
    left = list(errors)
    original = extract._extract

    def extracted(engines, plan, photos):
        if left:
            raise left.pop(0)
        return original(engines, plan, photos)

    monkeypatch.setattr(extract, "_extract", extracted)


def step(inspection, name) -> StepRun:
    return StepRun.objects.get(run=inspection.current_run, step=name)


def rest(inspection):
    """Let the pause before the next attempt pass."""
    StepRun.objects.filter(run=inspection.current_run, not_before__isnull=False).update(
        not_before=timezone.now() - timedelta(seconds=1)
    )


def test_a_step_is_given_to_one_worker_only(world):
    inspection = world.inspect(photo_bytes())
    first = claims.take(inspection.current_run_id, ["intake"], "a")
    assert first is not None
    assert claims.take(inspection.current_run_id, ["intake"], "b") is None


def test_a_message_for_another_queue_does_nothing(world):
    inspection = world.inspect(photo_bytes())
    assert engine.advance(inspection.current_run_id, "language") == 0


def test_the_step_of_a_dead_worker_is_taken_over_and_its_late_result_is_discarded(world):
    inspection = world.inspect(photo_bytes())
    dead = claims.take(inspection.current_run_id, ["intake"], "dead")
    StepRun.objects.filter(pk=dead.step_id).update(lease_until=timezone.now() - timedelta(1))
    done = world.run(inspection)
    assert done.status == "decided"
    assert step(done, "intake").attempt == 2
    assert not claims.renew(dead)
    assert claims.held(dead).update(status="queued") == 0
    engine.give_up(dead, "too late")
    assert Inspection.objects.get(pk=inspection.pk).status == "decided"


def test_a_heartbeat_keeps_the_lease_during_a_long_call(world):
    inspection = world.inspect(photo_bytes())
    claim = claims.take(inspection.current_run_id, ["intake"], "a")
    StepRun.objects.filter(pk=claim.step_id).update(lease_until=timezone.now())
    assert claims.renew(claim)
    assert step(inspection, "intake").lease_until > timezone.now() + timedelta(seconds=1)


def test_a_busy_engine_is_asked_again_after_a_pause(world, monkeypatch):
    failing(monkeypatch, TransientError("the server is busy"))
    inspection = world.run(world.inspect(photo_bytes()))
    waiting = step(inspection, "extract")
    assert (waiting.status, waiting.error) == ("queued", "the server is busy")
    assert waiting.not_before > timezone.now()
    assert inspection.status == "running"
    rest(inspection)
    assert world.run(inspection).status == "decided"


def test_pauses_grow_and_the_other_side_may_ask_for_longer():
    pauses = [claims.pause_after(attempt).total_seconds() for attempt in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 2
    assert pauses[-1] == 300
    assert claims.pause_after(1, asked=60).total_seconds() == 60


def test_an_engine_that_stays_busy_ends_in_a_message(world, monkeypatch):
    failing(monkeypatch, *[TransientError("the server is busy")] * 20)
    inspection = world.inspect(photo_bytes())
    for _ in range(claims.MAX_ATTEMPTS):
        world.run(inspection)
        rest(inspection)
    done = world.run(inspection)
    assert done.status == "failed"
    assert "the server is busy" in done.message
    assert step(done, "triage").status == "skipped"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("The photo shows nothing."), "The photo shows nothing."),
        (FatalError("no weights"), "until an admin repairs it: no weights"),
    ],
)
def test_what_cannot_work_fails_at_once_with_words(world, monkeypatch, error, told):
    failing(monkeypatch, error)
    done = world.run(world.inspect(photo_bytes()))
    assert done.status == "failed"
    assert told in done.message
    assert told in step(done, "extract").error


def test_a_defect_of_ours_surfaces_and_the_step_is_tried_again(world, monkeypatch):
    failing(monkeypatch, ZeroDivisionError("oops"))
    inspection = world.inspect(photo_bytes())
    with pytest.raises(ZeroDivisionError):
        world.run(inspection)
    assert step(inspection, "extract").status == "queued"
    rest(inspection)
    assert world.run(inspection).status == "decided"


def long_ago(inspection):
    StepRun.objects.filter(run=inspection.current_run).update(
        queued_at=timezone.now() - timedelta(minutes=1)
    )


def test_the_sweeper_wakes_what_no_message_woke(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 0)
    world.woken.up = False
    inspection = world.inspect(photo_bytes())
    world.woken.up = True
    assert sweeper.sweep()["steps"] == 0  # its own message may still be under way
    long_ago(inspection)
    assert sweeper.sweep()["steps"] == 1
    assert world.woken.sent == [(ADVANCE, str(inspection.current_run_id), "intake")]


def test_the_sweeper_sends_nothing_while_messages_wait(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 40)
    long_ago(world.inspect(photo_bytes()))
    assert sweeper.sweep()["steps"] == 0


def test_a_step_that_was_overtaken_in_a_busy_queue_is_sent_once_again(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 40)
    lost = world.inspect(photo_bytes())
    long_ago(lost)
    world.run(world.inspect(photo_bytes()))
    assert [sweeper.sweep()["steps"] for _ in range(3)] == [1, 0, 0]
    assert world.run(lost).status == "decided"


def test_the_step_of_a_dead_worker_is_sent_again_also_in_a_busy_queue(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 40)
    inspection = world.inspect(photo_bytes())
    claims.take(inspection.current_run_id, ["intake"], "dead")
    StepRun.objects.filter(run=inspection.current_run, status="running").update(
        lease_until=timezone.now() - timedelta(1)
    )
    long_ago(inspection)
    swept = sweeper.sweep()
    assert {name: swept[name] for name in ("killers", "left behind", "steps", "uploads")} == {
        "killers": 0,
        "left behind": 1,
        "steps": 1,
        "uploads": 0,
    }
    assert world.run(inspection).status == "decided"


def test_steps_that_wait_in_a_long_queue_in_their_order_are_not_sent_again(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 40)
    waits = world.inspect(photo_bytes())
    engine.advance(waits.current_run_id, "intake")
    long_ago(waits)
    before = world.inspect(photo_bytes())
    engine.advance(before.current_run_id, "intake")
    StepRun.objects.filter(run=before.current_run, step="extract").update(
        queued_at=timezone.now() - timedelta(minutes=2)
    )
    engine.advance(before.current_run_id, "vision")
    assert sweeper.sweep()["steps"] == 0


def test_a_step_may_have_waited_for_a_month(world):
    inspection = world.inspect(photo_bytes())
    StepRun.objects.filter(run=inspection.current_run).update(
        queued_at=timezone.now() - timedelta(days=31)
    )
    assert world.run(inspection).status == "decided"
    assert step(inspection, "intake").wait_ms == claims.LONGEST_WAIT_MS


def test_an_answer_lost_at_commit_stops_nothing(world, monkeypatch):
    """The result is saved and the next step begun, but the worker is told that the database broke
    off."""
    original, lost = engine._finish, []

    def finish(claim, *rest):
        ended = original(claim, *rest)
        if claim.step == "extract" and not lost:
            lost.append(claim)
            raise OperationalErrorOfDatabase("server closed the connection")
        return ended

    monkeypatch.setattr(engine, "_finish", finish)
    monkeypatch.setattr(engine, "SAVE_PAUSES", (0, 0))
    inspection = world.inspect(photo_bytes())
    assert world.run(inspection).status == "decided"
    assert lost
    assert {row.attempt for row in StepRun.objects.filter(run=lost[0].run_id, status="done")} == {1}


@pytest.mark.django_db(transaction=True)
def test_a_late_worker_that_saves_just_then_is_not_set_back_by_the_sweeper(world):
    inspection = world.inspect(photo_bytes())
    late = claims.take(inspection.current_run_id, ["intake"], "late")
    rows = StepRun.objects.filter(pk=late.step_id)
    rows.update(lease_until=timezone.now() - timedelta(1))
    sweeping = threading.Thread(target=in_a_thread, args=(sweeper._requeue_left_behind,))
    with transaction.atomic():
        rows.update(status="done", finished_at=timezone.now(), lease_until=None)
        sweeping.start()
        time.sleep(0.5)
    sweeping.join()
    assert rows.get().status == "done"


def in_a_thread(work):
    try:
        work()
    finally:
        connection.close()


def test_a_photo_that_keeps_killing_its_worker_is_given_up(world, monkeypatch):
    monkeypatch.setattr(sweeper, "_waiting", lambda queue: 0)
    inspection = world.inspect(photo_bytes())
    for _ in range(claims.MAX_ATTEMPTS):
        assert claims.take(inspection.current_run_id, ["intake"], "dies") is not None
        StepRun.objects.filter(run=inspection.current_run, status="running").update(
            lease_until=timezone.now() - timedelta(1)
        )
    long_ago(inspection)
    assert sweeper.sweep()["killers"] == 1
    done = Inspection.objects.get(pk=inspection.pk)
    assert done.status == "failed"
    assert "stopped its worker 6 times" in done.message
    assert engine.advance(done.current_run_id, "intake") == 0


def test_a_broker_that_is_down_does_not_stop_the_sweeper(world, monkeypatch, tmp_path):
    nobody = f"redis+socket://{tmp_path}/nobody.sock"
    monkeypatch.setattr(sweeper, "app", Celery("none", broker=nobody))
    sweeper.app.conf.task_queues = app.conf.task_queues
    long_ago(world.inspect(photo_bytes()))
    assert sweeper.sweep()["steps"] == 0
    with pytest.raises(OperationalError):
        sweeper._waiting("intake")


def test_the_same_step_done_twice_leaves_one_result(world):
    inspection = world.inspect(photo_bytes())
    for name in ("intake", "extract", "segment", "triage"):
        world.run(inspection)
        StepRun.objects.filter(run=inspection.current_run, step=name).update(
            status="queued", finished_at=None
        )
        type(inspection.current_run).objects.filter(pk=inspection.current_run_id).update(
            status="running"
        )
    done = world.run(inspection)
    assert done.status == "decided"
    assert Finding.objects.filter(inspection=inspection).count() == 1
