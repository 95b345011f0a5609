"""The web process and the task modules stay small: no model library is loaded by importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "cv2", "segment_anything", "tokenizers", "safetensors"}
LIGHT_COMMANDS = ("sweeper", "inspect", "serve_models", "serve_clicks")
PROGRAM = """
import sys
import django
django.setup()
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
print(" ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    "modules",
    [
        ["inspection.pipeline.tasks", "inspection.actions.tasks"],
        ["inspection.urls", "inspection.wsgi"],
        [f"inspection.management.commands.{name}" for name in LIGHT_COMMANDS],
    ],
)
def test_importing_loads_no_model_library(modules, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "inspection.settings")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())
