"""The models of this worker process: made on first use, after the fork, once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from models_runtime.errors import EngineError

if TYPE_CHECKING:
    from models_runtime.runtime import Runtime

logger = logging.getLogger(__name__)


@cache
def runtime() -> Runtime:
    """The engines that the settings name. Each loads when its turn comes."""
    from models_runtime.runtime import Runtime

    # torch reads it when the first engine that needs torch imports it.
    os.environ["OMP_NUM_THREADS"] = str(settings.THREADS)
    return Runtime.from_settings(settings.ENGINES, settings.COST_PER_HOUR_USD)


def warm_up(queues: frozenset[str]) -> None:
    """Load what the steps of these queues need, so that the first photo is quick."""
    for load in _first_engines(queues):
        try:
            load()
        except EngineError as error:
            # The step that needs it will say so on its inspection.
            logger.error("an engine can't be loaded: %s", error)


def _first_engines(queues: frozenset[str]) -> list[Callable[[], object]]:
    loads: list[Callable[[], object]] = []
    if "vision" in queues:
        loads += [
            lambda: runtime().extractors()[0].load(),
            lambda: runtime().segmenter(),
            lambda: runtime().embedder(),
        ]
    if "language" in queues:
        loads += [
            lambda: runtime().triagers()[0].load(),
            lambda: runtime().embedder(),
            lambda: runtime().writers()[0].load(),
        ]
    if "actions" in queues:
        loads.append(lambda: runtime().planners()[0].load())
    return loads
