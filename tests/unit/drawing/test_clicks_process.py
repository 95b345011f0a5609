"""What the process that outlines clicks keeps, and that a kill leaves nothing in its way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inspection.clicks.embeddings import Embeddings
from models_runtime.contracts import ImageEmbedding


def test_the_cache_stays_within_its_space_and_survives_broken_files(tmp_path: Path) -> None:
    kept = Embeddings(tmp_path, 60_000, in_memory=1)
    made = ImageEmbedding(np.full((8, 40, 40), 0.1, np.float32), (10, 20), (10, 20), "e1")
    for number in range(4):
        kept.add(f"photo {number}", made)
        time.sleep(0.01)
    kept.prune()
    assert kept.get("photo 0") is None
    again = Embeddings(tmp_path, 60_000).get("photo 3")
    assert again is not None
    assert (again.size, again.engine) == ((10, 20), "e1")
    assert again.features == pytest.approx(made.features, rel=1e-3)
    for file in tmp_path.glob("*/*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    assert Embeddings(tmp_path, 60_000).get("photo 3") is None


def test_a_killed_process_leaves_nothing_that_stops_the_next_one(tmp_path: Path) -> None:
    state = tmp_path / "s"
    environment = {
        **os.environ,
        "LOUPE_STATE": str(state),
        "DJANGO_SETTINGS_MODULE": "inspection.settings",
    }

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "django", "serve_clicks"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("outlining clicks at"), line
        return process

    first = begin()
    second = subprocess.run(
        [sys.executable, "-m", "django", "serve_clicks"],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode != 0
    assert "runs already" in second.stderr
    first.kill()
    first.communicate()
    third = begin()
    third.send_signal(signal.SIGTERM)
    third.communicate(timeout=20)
    assert third.returncode == 0
