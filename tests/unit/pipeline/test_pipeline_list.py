"""The one visible list of steps."""

from __future__ import annotations

import itertools

from inspection.celery import QUEUES
from inspection.models.choices import StepName
from inspection.pipeline import PIPELINE


def test_every_step_there_is_has_its_place():
    assert [step.name for step in PIPELINE] == list(StepName)


def test_every_step_goes_to_a_queue_that_workers_serve():
    assert {step.queue for step in PIPELINE} == set(QUEUES)


def test_steps_of_one_queue_follow_each_other_so_that_they_need_no_message():
    queues = [step.queue for step in PIPELINE]
    changes = sum(left != right for left, right in itertools.pairwise(queues))
    assert changes == len(set(queues)) - 1
