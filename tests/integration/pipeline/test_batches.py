"""Units that wait for the same are done in one pass, and none of them pays for another one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pipeline_world import PLAN, make_plan, photo_bytes

from inspection.models import Inspection, StepRun
from inspection.pipeline import claims, engine, runtime
from models_runtime.contracts import Architecture
from models_runtime.errors import FatalError, InputError, TransientError
from models_runtime.memory import MemoryEmbedder, MemoryExtractor

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
SHADES = (255, 240, 225, 210, 195, 180)


class Watched(MemoryExtractor):
    """Notes how many photos came together; ``meet`` may raise or act on what it sees."""

    def __init__(self, meet=lambda shades: None):
        super().__init__()
        object.__setattr__(self, "passes", [])
        object.__setattr__(self, "meet", meet)

    def extract(self, photos, plan):
        self.passes.append(len(photos))
        self.meet([int(np.percentile(photo.pixels, 99.9)) for photo in photos])
        return super().extract(photos, plan)


@pytest.fixture
def watched(world):
    def watch(meet=lambda shades: None):
        extractor = Watched(meet)
        runtime.runtime().registry.put(Architecture.VLM, "memory:", extractor)
        return extractor

    return watch


def bad(error, shade=SHADES[1]):
    """Fails wherever a photo of this shade is among the others."""

    def meet(shades):
        if any(abs(seen - shade) < 6 for seen in shades):
            raise error

    return meet


def waiting(world, shades=SHADES[:4], **options):
    """Units whose photos were read and that wait for the extractor."""
    units = [
        world.inspect(photo_bytes((20 + n, 30, 60, 70), shade=shade), **options)
        for n, shade in enumerate(shades)
    ]
    for unit in units:
        assert engine.advance(unit.current_run_id, "intake") == 1
    return units


def row(unit, name="extract"):
    return StepRun.objects.get(run=unit.current_run_id, step=name)


def look(unit):
    return engine.advance(unit.current_run_id, "vision", worker="w")


def finished(world, units):
    return [world.run(unit) for unit in units]


def test_units_that_wait_for_the_same_are_done_in_one_pass(world, watched):
    extractor, units = watched(), waiting(world)
    assert look(units[0]) == 8  # four were looked at and four outlined
    assert extractor.passes == [4]
    assert [look(unit) for unit in units] == [0, 0, 0, 0]
    done = finished(world, units)
    assert [unit.status for unit in done] == ["decided"] * 4
    assert [unit.findings.get().x1 for unit in done] == [20, 21, 22, 23]
    assert {row(unit).attempt for unit in done} == {1}


def test_every_unit_pays_for_its_own_share_of_the_time(world, watched):
    watched(lambda shades: time.sleep(0.2))
    units = waiting(world)
    look(units[0])
    times = [row(unit).run_ms for unit in units]
    assert len(set(times)) == 1
    assert 200 <= sum(times) < 4 * 200
    assert sum(row(unit).cost_microusd for unit in units) > 0


def test_no_more_are_taken_along_than_the_setting_says_and_the_longest_waiting_first(
    world, watched, settings
):
    settings.BATCH = 3
    extractor, units = watched(), waiting(world, SHADES)
    StepRun.objects.filter(run=units[5].current_run_id, step="extract").update(
        queued_at=timezone.now() - timedelta(minutes=1)
    )
    look(units[0])
    assert extractor.passes == [3]
    assert [row(unit).status for unit in units] == ["done", "done", *["queued"] * 3, "done"]


def test_one_at_a_time_where_the_setting_says_so(world, watched, settings):
    settings.BATCH = 1
    extractor, units = watched(), waiting(world)
    finished(world, units)
    assert extractor.passes == [1, 1, 1, 1]


def test_units_of_another_plan_or_version_wait_for_their_own_pass(world, watched):
    other = make_plan(world.site, PLAN | {"name": "Cups"}, "cups")
    extractor, units = watched(), waiting(world)
    strangers = waiting(world, plan=other)
    look(units[0])
    assert extractor.passes == [4]
    assert {row(unit).status for unit in strangers} == {"queued"}
    look(strangers[2])
    assert extractor.passes == [4, 4]


def test_a_lone_unit_waits_for_nobody(world, watched, monkeypatch):
    monkeypatch.setattr(engine, "rest", pytest.fail)
    extractor, (unit,) = watched(), waiting(world, SHADES[:1])
    assert look(unit) == 2
    assert extractor.passes == [1]


def test_where_a_setting_says_so_it_waits_for_company(world, watched, settings, monkeypatch):
    settings.BATCH, settings.BATCH_WAIT_MS = 4, 60_000
    extractor, units = watched(), waiting(world, SHADES[:1])
    late = iter(SHADES[1:])
    monkeypatch.setattr(engine, "rest", lambda seconds: units.extend(waiting(world, [next(late)])))
    look(units[0])
    assert extractor.passes == [4]
    assert next(late) == SHADES[4]


@pytest.mark.parametrize(
    ("error", "told"),
    [(InputError("Too dark."), "Too dark."), (FatalError("no such size"), "no such size")],
)
def test_a_bad_unit_fails_alone(world, watched, error, told):
    extractor, units = watched(bad(error)), waiting(world)
    assert look(units[0]) == 6
    assert extractor.passes == [4, 1, 1, 1, 1]
    good, spoilt, *others = finished(world, units)
    assert {unit.status for unit in (good, *others)} == {"decided"}
    assert spoilt.status == "failed"
    assert told in spoilt.message


def test_a_defect_of_ours_stops_only_the_unit_it_comes_up_with(world, watched):
    units = waiting(world)
    watched(bad(ZeroDivisionError("oops")))
    with pytest.raises(ZeroDivisionError):
        look(units[0])
    assert [row(unit).status for unit in units] == ["done", "queued", "done", "done"]
    assert "crashed" in row(units[1]).error


def test_of_a_busy_engine_all_are_put_back_and_each_tries_again_alone(world, watched):
    extractor, units = watched(bad(TransientError("busy"))), waiting(world)
    assert look(units[0]) == 0
    assert extractor.passes == [4]
    assert {(row(unit).status, row(unit).error) for unit in units} == {("queued", "busy")}
    StepRun.objects.filter(step="extract").update(not_before=None)
    for unit in units:
        look(unit)
    assert extractor.passes == [4, 1, 1, 1, 1]
    assert [row(unit).status for unit in units] == ["done", "queued", "done", "done"]


def test_what_was_begun_before_goes_alone_for_it_may_have_stopped_its_worker(world, watched):
    extractor, units = watched(), waiting(world)
    StepRun.objects.filter(pk=row(units[1]).pk).update(attempt=1)
    look(units[1])
    assert extractor.passes == [1]
    look(units[0])
    assert extractor.passes == [1, 3]


def taken_over(unit):
    """Another worker has taken the unit over, because this one was silent for too long."""
    StepRun.objects.filter(pk=row(unit).pk).update(attempt=2, worker="another")


def called_off(unit):
    """The sweeper or a person has ended the run meanwhile."""
    held = row(unit)
    claim = claims.Claim(held.pk, held.run_id, held.step, held.attempt, 0)
    engine.give_up(claim, "called off")


def deleted(unit):
    Inspection.objects.filter(pk=unit.pk).update(current_run=None)
    Inspection.objects.filter(pk=unit.pk).delete()


@pytest.mark.parametrize("lose", [taken_over, called_off, deleted])
def test_a_unit_that_is_lost_in_the_middle_of_a_pass_takes_nobody_with_it(world, watched, lose):
    units = waiting(world)
    watched(lambda shades: lose(units[2]))
    assert look(units[0]) == 6
    kept = [unit for unit in units if unit is not units[2]]
    assert {unit.status for unit in finished(world, kept)} == {"decided"}
    lost = StepRun.objects.filter(run=units[2].current_run_id, step="extract").first()
    assert lost is None or lost.status != "done"


def test_a_lost_unit_that_is_run_again_has_one_result(world, watched):
    units = waiting(world)
    once = iter([units[2]])

    def meet(shades):
        for unit in once:
            StepRun.objects.filter(pk=row(unit).pk).update(
                lease_until=timezone.now() - timedelta(1)
            )
            assert look(unit) == 2  # the other worker is done before this one

    watched(meet)
    assert look(units[0]) == 6
    done = finished(world, units)
    assert [unit.findings.count() for unit in done] == [1] * 4
    assert [row(unit).attempt for unit in done] == [1, 1, 2, 1]


def test_all_that_is_held_is_renewed_and_what_was_lost_is_let_go(world):
    units = waiting(world)
    first = claims.take(units[0].current_run_id, ["extract"], "w")
    holding = claims.Holding()
    holding.hold([first, *claims.take_alike(first, 3)])
    StepRun.objects.filter(step="extract").update(lease_until=timezone.now())
    taken_over(units[3])
    holding.renew()
    assert len(holding.held()) == 3
    fresh = timezone.now() + timedelta(seconds=1)
    assert [row(unit).lease_until > fresh for unit in units] == [True, True, True, False]


def test_what_follows_is_held_too_while_others_of_the_pass_are_at_work(world, watched, monkeypatch):
    units, seen = waiting(world), []
    original = claims.Holding.hold

    def hold(holding, more):
        original(holding, more)
        seen.append(Counter(claim.step for claim in holding.held()))

    monkeypatch.setattr(claims.Holding, "hold", hold)
    watched()
    look(units[0])
    assert seen[1] == {"extract": 4}
    assert {"segment": 4} in seen
    assert max(sum(held.values()) for held in seen) == 4


def test_texts_of_several_cases_are_embedded_in_one_pass(world, watched):
    asked = []

    class Embedder(MemoryEmbedder):
        def embed(self, texts):
            asked.append(len(texts))
            return super().embed(texts)

    watched()
    runtime.runtime().registry.put(Architecture.MLM, "memory:", Embedder())
    units = waiting(world)
    look(units[0])
    assert engine.advance(units[3].current_run_id, "language") == 8  # triage and report
    assert asked == [4]
    done = finished(world, units)
    assert all(Inspection.objects.get(pk=unit.pk).embedding is not None for unit in done)


def test_a_worker_that_is_told_to_stop_gives_back_all_that_it_holds(world, watched, monkeypatch):
    units = waiting(world)
    watched()
    original, calls = engine._finish, []

    def finish(claim, *rest):
        calls.append(claim)
        if len(calls) == 6:  # four were looked at, one is outlined, and three are still to be
            raise KeyboardInterrupt
        return original(claim, *rest)

    monkeypatch.setattr(engine, "_finish", finish)
    with pytest.raises(KeyboardInterrupt):
        look(units[0])
    assert [row(unit, "segment").status for unit in units] == ["done", *["queued"] * 3]
    assert {row(unit).status for unit in units} == {"done"}
    monkeypatch.undo()
    StepRun.objects.filter(step="segment").update(not_before=None)
    assert {unit.status for unit in finished(world, units)} == {"decided"}


def test_a_database_that_goes_away_leaves_the_rest_to_the_sweeper(world, watched, monkeypatch):
    units = waiting(world)
    watched()

    def away(claim, most):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(claims, "take_alike", away)
    assert look(units[0]) == 0
    assert [row(unit).status for unit in units] == ["running", *["queued"] * 3]


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_hold_the_same_unit(world):
    units = waiting(world, SHADES * 4)
    held, begin = [], threading.Barrier(4)

    def work(name):
        try:
            begin.wait()
            for unit in units:
                first = claims.take(unit.current_run_id, ["extract"], name)
                if first is not None:
                    held.extend([first, *claims.take_alike(first, 3)])
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Counter(claim.run_id for claim in held) == {unit.current_run_id: 1 for unit in units}
    assert {row(unit).attempt for unit in units} == {1}
    assert {claim.step_id: claim.worker for claim in held} == dict(
        StepRun.objects.filter(step="extract").values_list("pk", "worker")
    )


@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_worker_is_about_to_claim_is_passed_over(world):
    units = waiting(world)
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        from django.db import transaction

        try:
            with transaction.atomic():
                claims.take(units[1].current_run_id, ["extract"], "slow")
                begun.set()
                go_on.wait(30)
        finally:
            connection.close()

    other = threading.Thread(target=slow)
    other.start()
    begun.wait(30)
    first = claims.take(units[0].current_run_id, ["extract"], "quick")
    company = claims.take_alike(first, 3)
    go_on.set()
    other.join()
    assert {claim.run_id for claim in company} == {units[n].current_run_id for n in (2, 3)}
