"""A job learns what reviewers say: too few, enough, killed, cancelled, two managers at once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from learning_world import Eyes, Judged
from pipeline_world import World, make_member

from inspection.models import (
    Inspection,
    LearningJob,
    Membership,
    ModelVersion,
    Photo,
    PhotoReading,
    Review,
    TrainingExample,
)
from inspection.models.choices import Role
from inspection.services import learning_jobs, reviews
from inspection.services.learning_steps import STAGES, read_missing

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def learn(manager: Membership, world: World) -> LearningJob:
    job = learning_jobs.start(manager, world.plan)
    return learning_jobs.run_to_end(job.pk, lambda now: None)


def test_corrections_become_a_version_that_is_better_on_units_it_never_saw(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    judged.units(75)
    job = learn(manager, world)
    assert (job.status, job.message) == ("done", "Version 1 is offered.")
    version = job.version
    assert version is not None
    held = version.figures["parts"]["held"]
    assert held["units"] >= 10
    assert held["old"]["accuracy"]["mean"] < 0.8
    assert held["new"]["accuracy"]["mean"] > 0.95
    assert held["new"]["overkill"]["mean"] < held["old"]["overkill"]["mean"]
    assert held["new"]["accuracy"]["low"] < held["new"]["accuracy"]["mean"]
    assert held["changes"]["fixed"] > 0
    assert held["changes"]["new"] == 0
    assert version.status == "offered"
    assert not version.compared.exclude(part="train").filter(change="returning").exists()


def test_every_label_tells_its_verdict_and_what_the_models_had_said(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    judged.units(45)
    job = learn(manager, world)
    made = job.training_set
    assert made is not None
    assert made.counts["train"] + made.counts["held"] == 45
    assert len(made.digest) == 64
    rows = TrainingExample.objects.filter(training_set=made)
    assert rows.count() == Review.objects.count()
    rejected = rows.filter(review__kind="reject_finding").first()
    assert rejected is not None
    assert rejected.label == {"type": "hole", "is_defect": False}
    assert rejected.said["version"] == "eyes 1"
    assert rejected.said["confidence"] == 0.9
    assert rejected.review.reviewer == judged.reviewer.user
    again = learn(manager, world)
    assert again.training_set is not None
    assert again.training_set.digest == made.digest


def test_verdicts_overruled_or_taken_back_do_not_count(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    units = judged.units(45)
    other = make_member(world.site, Role.REVIEWER)
    overruled = Inspection.objects.get(pk=units[0].pk)
    reviews.decide(other, overruled, "accept", "again")
    Inspection.objects.filter(pk=units[1].pk).update(
        status="review", decided_by=None, decided_at=None, disposition="rework"
    )
    job = learn(manager, world)
    rows = TrainingExample.objects.filter(training_set=job.training_set, finding=None)
    assert rows.count() == 44
    assert rows.get(inspection=units[0].pk).review.reviewer == other.user
    assert not rows.filter(inspection=units[1].pk).exists()


def test_with_too_few_verdicts_it_says_how_many_are_missing(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    judged.units(9)
    job = learn(manager, world)
    assert job.status == "too_few"
    assert "more judged units" in job.message
    assert not ModelVersion.objects.exists()
    assert eyes.looked == 0


def test_a_killed_job_goes_on_where_it_was(
    world: World, eyes: Eyes, judged: Judged, manager: Membership, monkeypatch
) -> None:
    judged.units(45)
    job = learning_jobs.start(manager, world.plan)
    read = STAGES["read"]

    def killed(*given: object) -> None:
        read(given[0], given[1], 0.0)  # one look at the time: nothing is read
        read_missing(
            list(Photo.objects.values_list("pk", flat=True)[:20]), world.plan.current.parsed()
        )
        raise KeyboardInterrupt

    monkeypatch.setitem(STAGES, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        learning_jobs.work(job.pk)
    assert eyes.looked == 20
    assert not learning_jobs.work(job.pk), "its lease still holds"
    LearningJob.objects.update(lease_until="2020-01-01T00:00Z")
    monkeypatch.setitem(STAGES, "read", read)
    ended = learning_jobs.run_to_end(job.pk, lambda now: None)
    assert ended.status == "done"
    assert eyes.looked == 45
    assert PhotoReading.objects.count() == 45
    assert ModelVersion.objects.count() == 1


def test_a_cancelled_job_stops_and_another_can_be_started(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    judged.units(45)
    job = learning_jobs.start(manager, world.plan)
    learning_jobs.work(job.pk, seconds=0)
    assert learning_jobs.cancel(manager, world.plan)
    assert not learning_jobs.cancel(manager, world.plan)
    assert not learning_jobs.work(job.pk)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert learning_jobs.start(manager, world.plan).pk != job.pk


def test_a_slow_slice_of_a_cancelled_job_saves_nothing_more(
    world: World, eyes: Eyes, judged: Judged, manager: Membership, monkeypatch
) -> None:
    judged.units(45)
    job = learning_jobs.start(manager, world.plan)
    fit = STAGES["fit"]

    def cancelled_meanwhile(*given: object) -> None:
        learning_jobs.cancel(manager, world.plan)
        fit(*given)

    monkeypatch.setitem(STAGES, "fit", cancelled_meanwhile)
    ended = learning_jobs.run_to_end(job.pk, lambda now: None)
    assert ended.status == "cancelled"
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_managers_at_once_start_one_job(world: World, manager: Membership) -> None:
    other, started = make_member(world.site, Role.MANAGER), []

    def start(who: Membership) -> None:
        started.append(learning_jobs.start(who, world.plan).pk)
        connection.close()

    threads = [threading.Thread(target=start, args=(who,)) for who in (manager, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(started)) == 1
    assert LearningJob.objects.count() == 1


def test_a_defect_of_ours_ends_the_job_with_words(
    world: World, eyes: Eyes, judged: Judged, manager: Membership
) -> None:
    judged.units(30)
    eyes.broken = "no light"
    job = learning_jobs.start(manager, world.plan)
    with pytest.raises(RuntimeError, match="no light"):
        learning_jobs.run_to_end(job.pk, lambda now: None)
    job.refresh_from_db()
    assert (job.status, job.message) == ("failed", learning_jobs.CRASHED)


def test_only_managers_start_and_cancel(world: World) -> None:
    reviewer = make_member(world.site, Role.REVIEWER)
    for act in (learning_jobs.start, learning_jobs.cancel):
        with pytest.raises(learning_jobs.LearningRefusedError, match="quality managers"):
            act(reviewer, world.plan)
