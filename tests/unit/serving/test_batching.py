"""Requests of one question share a pass; nobody waits for ever or gets another's answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from models_runtime.errors import TransientError
from models_runtime.serving.batching import Batcher


class Work:
    """Doubles numbers; notes the passes; waits at a gate that the test opens."""

    def __init__(self) -> None:
        self.passes: list[tuple[str, list[Any]]] = []
        self.gate = threading.Event()

    @property
    def begun(self) -> int:
        return sum(len(items) for _, items in self.passes)

    def __call__(self, key: str, items: list[Any]) -> list[Any]:
        self.passes.append((key, items))
        self.gate.wait(60)
        if any(item is None for item in items):
            raise ValueError("None can't be doubled")
        return [item * 2 for item in items]


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def batcher(work: Work) -> Iterator[Batcher[Any, Any]]:
    made: Batcher[Any, Any] = Batcher(work, most=4, wait=0.01, name="test")
    yield made
    work.gate.set()
    made.close()


def together(jobs: list[Callable[[], Any]]) -> list[Any]:
    """The results, or what was raised, of calls that are made at the same time."""
    found: list[Any] = [None] * len(jobs)

    def one(number: int) -> None:
        try:
            found[number] = jobs[number]()
        except Exception as error:  # noqa: BLE001
            found[number] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def opened_when(work: Work, waiting: Callable[[], bool]) -> threading.Thread:
    """Opens the gate once something is so."""

    def wait() -> None:
        while not waiting():
            time.sleep(0.005)
        work.gate.set()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_each_caller_gets_its_own_answer_and_passes_are_shared(
    batcher: Batcher[Any, Any], work: Work
) -> None:
    opener = opened_when(work, lambda: len(batcher._queue) >= 16)
    answers = together([lambda n=n: batcher.ask("k", np.full(3, n), 60) for n in range(20)])
    opener.join()
    assert [int(answer[0]) for answer in answers] == [2 * n for n in range(20)]
    assert max(len(items) for _, items in work.passes) == 4
    assert sum(len(items) for _, items in work.passes) == 20


def test_other_questions_are_other_passes(batcher: Batcher[Any, Any], work: Work) -> None:
    work.gate.set()
    keys = ["a", "b", "a", "c", "b"]
    answers = together([lambda k=k, n=n: batcher.ask(k, n, 60) for n, k in enumerate(keys)])
    assert answers == [0, 2, 4, 6, 8]
    for key, items in work.passes:
        assert all(keys[item] == key for item in items)


def test_the_one_that_fails_fails_alone(batcher: Batcher[Any, Any], work: Work) -> None:
    opener = opened_when(work, lambda: work.begun + len(batcher._queue) >= 5)
    items = [0, 1, None, 3, 4]
    answers = together([lambda item=item: batcher.ask("k", item, 60) for item in items])
    opener.join()
    assert isinstance(answers[2], ValueError)
    assert [a for n, a in enumerate(answers) if n != 2] == [0, 2, 6, 8]


def test_who_waits_too_long_is_told_and_no_longer_worked_for(
    batcher: Batcher[Any, Any], work: Work
) -> None:
    first = threading.Thread(target=lambda: batcher.ask("k", 1, 60))
    first.start()
    while not work.passes:
        time.sleep(0.005)
    with pytest.raises(TransientError, match="overloaded"):
        batcher.ask("k", 7, 0.05)
    work.gate.set()
    first.join()
    assert batcher.ask("k", 2, 60) == 4
    assert all(7 not in items for _, items in work.passes)


def test_closing_answers_what_waits_and_takes_no_more(work: Work) -> None:
    batcher: Batcher[Any, Any] = Batcher(work, most=2, wait=0.01, name="test")

    def close() -> None:
        while len(batcher._queue) < 4:
            time.sleep(0.005)
        threading.Timer(0.05, work.gate.set).start()
        batcher.close()

    answers = together([close, *(lambda n=n: batcher.ask("k", n, 60) for n in range(6))])
    assert answers[1:] == [0, 2, 4, 6, 8, 10]
    with pytest.raises(TransientError, match="stopping"):
        batcher.ask("k", 1, 60)
