from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from inspection.supervisor import processes

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('up', flush=True); time.sleep(60)",
]
PARENT_OF_A_SLEEPER = [
    sys.executable,
    "-c",
    f"import subprocess, time; subprocess.Popen({SLEEPER!r}); time.sleep(60)",
]


def start(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    return process


@pytest.fixture
def sleeper():
    process = start(SLEEPER)
    yield process
    process.kill()
    process.communicate()


def test_this_process_is_described():
    found = processes.describe(os.getpid())
    assert (found.pid, found.group, found.zombie) == (os.getpid(), os.getpgrp(), False)
    assert "python" in found.command


def test_nobody_has_an_impossible_id():
    assert processes.describe(0) is None
    assert processes.describe(2**22 + 1) is None
    assert not processes.alive(-5)


def test_a_process_that_ended_unreaped_is_not_alive(sleeper):
    assert processes.alive(sleeper.pid)
    sleeper.kill()
    assert processes.wait_until(lambda: not processes.alive(sleeper.pid), 5)
    assert processes.describe(sleeper.pid).zombie


def test_ending_a_group_asks_first(sleeper):
    assert processes.end_group(sleeper.pid, patience=5)
    assert sleeper.wait() == -signal.SIGTERM


def test_ending_a_group_insists_when_it_is_not_heard():
    process = start(DEAF)
    assert not processes.end_group(process.pid, patience=0.3)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_ending_a_group_ends_grandchildren_too():
    process = start(PARENT_OF_A_SLEEPER)
    assert len(processes.group_members(process.pid)) == 2
    processes.end_group(process.pid, patience=0.3)
    process.wait()
    process.stdout.close()
    assert processes.group_members(process.pid) == []


def test_a_group_that_is_gone_needs_no_ending(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert processes.end_group(sleeper.pid, patience=1)
