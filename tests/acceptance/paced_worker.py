"""A Celery worker whose steps can be made to stand still, so that a test can kill it there.

Run as `celery -A paced_worker worker`. A file LOUPE_TEST_HOLD/<step>-<before|after> makes the
next such step write its process id into <name>.held and wait to be killed, once. "Before": the
step is claimed and nothing is done. "After": everything is computed and nothing is saved.
<step>-many-<before|after>: the same for a pass over several units.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inspection.settings")
django.setup()

from inspection.celery import app  # noqa: E402
from inspection.pipeline import PIPELINE  # noqa: E402

HOLD = Path(os.environ["LOUPE_TEST_HOLD"])


def hold(point):
    try:
        (HOLD / point).rename(HOLD / f"{point}.taken")
    except FileNotFoundError:
        return
    marker = HOLD / f"{point}.part"
    marker.write_text(str(os.getpid()))
    marker.rename(HOLD / f"{point}.held")
    time.sleep(120)


def paced(step):
    def held(compute, name):
        def standing_still(given):
            hold(f"{name}-before")
            result = compute(given)
            hold(f"{name}-after")
            return result

        return standing_still

    many = step.compute_many and held(step.compute_many, f"{step.name}-many")
    return dataclasses.replace(step, compute=held(step.compute, step.name), compute_many=many)


PIPELINE[:] = [paced(step) for step in PIPELINE]

__all__ = ["app"]
