from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from inspection.supervisor import children, processes
from inspection.supervisor.children import Child, Program
from inspection.supervisor.layout import Layout
from inspection.supervisor.options import Address

SLEEP = Program("sleeper", ("-c", "import time; print('up', flush=True); time.sleep(60)"))
FAIL = Program("failing", ("-c", "raise SystemExit(3)"))


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "state")
    made.run.mkdir(parents=True)
    made.logs.mkdir()
    return made


@pytest.fixture
def sleeper(layout):
    child = Child(SLEEP, layout)
    child.start()
    yield child
    child.kill()


def ended(child: Child) -> int:
    codes = []
    assert processes.wait_until(lambda: codes.append(child.ended()) or codes[-1] is not None, 10)
    return codes[-1]


def test_a_program_writes_to_a_log_of_its_own(layout, sleeper):
    log = layout.logs / "sleeper.log"
    assert processes.wait_until(lambda: log.read_text() == "up\n", 10)


def test_a_program_that_keeps_failing_is_started_with_growing_pauses(layout):
    child = Child(FAIL, layout)
    pauses = []
    for _ in range(3):
        child.start()
        assert ended(child) == 3
        assert not child.due()
        pauses.append(child.pause)
    assert pauses == [1, 2, 4]


def test_pauses_stay_bounded(layout):
    assert Child(FAIL, layout, quick_ends=40).pause == children.LONGEST_PAUSE


def test_a_program_that_ran_well_for_long_starts_again_soon(layout):
    child = Child(FAIL, layout, quick_ends=6)
    child.start()
    child.started_at = time.monotonic() - children.SETTLED_SECONDS - 1
    ended(child)
    assert child.pause == 1


def test_leftovers_of_a_killed_supervisor_are_ended(layout, sleeper):
    assert children.end_leftovers(layout, patience=5) == ["sleeper"]
    assert not sleeper.running()
    assert not list(layout.run.glob("*.pid"))


def test_a_pid_file_whose_id_belongs_to_another_program_by_now_harms_nobody(layout, sleeper):
    file = layout.run / "sleeper.pid"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": "long ago"}))
    assert children.end_leftovers(layout, patience=1) == []
    assert sleeper.running()
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 4194305}'])
def test_a_damaged_pid_file_is_dropped(layout, text):
    (layout.run / "web.pid").write_text(text)
    assert children.end_leftovers(layout, patience=1) == []
    assert not (layout.run / "web.pid").exists()


def test_leftovers_are_found_when_only_their_children_live(layout):
    parent = Program("parent", ("-c", f"import os, time; os.fork(); {'time.sleep(60)'}"))
    child = Child(parent, layout)
    child.start()
    group = child.process.pid
    assert processes.wait_until(lambda: len(processes.group_members(group)) == 2, 10)
    child.process.kill()
    child.process.wait()
    assert children.end_leftovers(layout, patience=0.5) == ["parent"]
    assert processes.group_members(group) == []


def test_every_queue_has_a_worker():
    told = [program.arguments[program.arguments.index("-Q") + 1] for program in queue_workers()]
    assert sorted(",".join(told).split(",")) == ["actions", "intake", "language", "vision"]


def queue_workers():
    return [program for program in children.background() if "-Q" in program.arguments]


def test_an_ipv6_address_is_written_as_gunicorn_wants_it():
    arguments = children.web(Address("::1", 8000)).arguments
    assert "[::1]:8000" in arguments


def test_importing_the_supervisor_loads_neither_django_nor_models():
    code = (
        "import sys, inspection.supervisor.run\n"
        "print(*{'django', 'torch', 'celery', 'psycopg', 'cv2'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stderr == ""
    assert told.stdout.strip() == ""
