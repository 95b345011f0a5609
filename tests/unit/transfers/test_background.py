"""A long job runs beside the messages of its worker, one at a time."""

from __future__ import annotations

import threading

import pytest

from inspection.services import background


@pytest.fixture
def freed():
    yield
    assert background._busy.acquire(timeout=10), "the thread never ended"
    background._busy.release()


def test_one_job_at_a_time_runs_beside_the_worker(freed: None) -> None:
    go, ran = threading.Event(), threading.Event()

    def slow() -> None:
        go.wait(10)
        ran.set()

    assert background.in_thread("slow", slow)
    assert not background.in_thread("other", lambda: None), "the sweeper sends it again later"
    go.set()
    assert ran.wait(10)


def test_a_job_that_crashes_frees_its_place(freed: None, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def broken() -> None:
        done.set()
        raise RuntimeError("broken")

    assert background.in_thread("broken", broken)
    assert done.wait(10)
