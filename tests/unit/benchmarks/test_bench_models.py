"""bench-models: every evaluation runs, failures show, the summary tells bars met from missed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import models
from tests.benchmarks.models import BARS, Bar, Evaluation, figure, run, summary


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Evaluations of this test's own, which leave a note of what they were called with."""
    (tmp_path / "good_evaluation.py").write_text(
        "import os, sys, pathlib\n"
        "pathlib.Path(sys.argv[2], 'called').write_text(' '.join(sys.argv[1:]))\n"
        "pathlib.Path(sys.argv[2], 'threads').write_text(os.environ['OMP_NUM_THREADS'])\n"
    )
    (tmp_path / "bad_evaluation.py").write_text("raise SystemExit('the labels are not readable')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_evaluations_are_given_the_photos_and_one_thread_each(stub: Path) -> None:
    out = io.StringIO()
    assert run(stub, (Evaluation("good_evaluation", ("--quick",)),), out) == 0
    assert (stub / "called").read_text() == f"--data {stub} --quick"
    assert (stub / "threads").read_text() == "1"
    assert "good_evaluation: 0.0 min" in out.getvalue()


def test_one_that_fails_says_why_and_the_others_are_run(stub: Path) -> None:
    out = io.StringIO()
    both = (Evaluation("bad_evaluation"), Evaluation("good_evaluation"))
    assert run(stub, both, out) == 1
    assert "the labels are not readable" in out.getvalue()
    assert (stub / "called").exists()


def test_progress_names_what_is_at_work(stub: Path) -> None:
    (stub / "slow_evaluation.py").write_text("import time; time.sleep(1.5)\n")
    out = io.StringIO()
    run(stub, (Evaluation("slow_evaluation"),), out, every_s=0.2)
    assert "0 of 1 done; at work: slow_evaluation for" in out.getvalue()


def test_every_evaluation_that_is_named_exists() -> None:
    assert [one.module for one in models.EVALUATIONS if not one.exists()] == []


def test_the_summary_tells_met_from_missed_from_not_measured(tmp_path: Path) -> None:
    figures = {"figures": {"high": {"mean": 0.9}, "slow": {"mean": 40.0}}}
    (tmp_path / "one.metrics.json").write_text(json.dumps(figures))
    bars = (
        Bar("a", "one", figure("high"), least=0.9),
        Bar("b", "one", figure("high"), least=0.91),
        Bar("c", "one", figure("slow"), most=40),
        Bar("d", "one", figure("slow"), most=39),
        Bar("e", "one", figure("none"), least=0.5),
        Bar("f", "two", figure("high"), least=0.5),
    )
    told = [line.rsplit("|", 2)[1].strip() for line in summary(tmp_path, bars).splitlines()[2:]]
    assert told == ["met", "**missed**", "met", "**missed**", "not measured", "not measured"]


def test_figures_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    """Else an evaluation that has failed would be told as one that has met its bars."""
    path = tmp_path / "one.metrics.json"
    path.write_text(json.dumps({"figures": {"high": {"mean": 0.9}}}))
    bars = (Bar("a", "one", figure("high"), least=0.5),)
    written = path.stat().st_mtime
    assert "| met |" in summary(tmp_path, bars, since=written - 1)
    assert "| not measured |" in summary(tmp_path, bars, since=written + 1)


def test_every_bar_reads_a_figure_of_the_shipped_metrics() -> None:
    assert [bar.what for bar in BARS if models._value(bar, models.WEIGHTS, 0.0) is None] == []


def test_every_bar_has_an_aim() -> None:
    assert all((bar.least is None) != (bar.most is None) for bar in BARS)


def test_without_the_photos_it_says_what_to_do(tmp_path: Path) -> None:
    environment = os.environ | {"LOUPE_DATA": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.models"],
        cwd=models.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "LOUPE_DATA=/path/to/data make bench-models" in done.stderr
