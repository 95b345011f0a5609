"""The models of this worker process: made on first use, after the fork, once."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from models_runtime.contracts import Architecture
from models_runtime.errors import EngineError

if TYPE_CHECKING:
    from models_runtime.cascade import Tier
    from models_runtime.contracts import Engine
    from models_runtime.runtime import Runtime

logger = logging.getLogger(__name__)


@cache
def runtime() -> Runtime:
    """The engines that the settings name. Each loads when its turn comes."""
    from models_runtime.runtime import Runtime

    # torch reads it when the first engine that needs torch imports it.
    os.environ["OMP_NUM_THREADS"] = str(settings.THREADS)
    return Runtime.from_settings(settings.ENGINES, settings.COST_PER_HOUR_USD)


NEEDED = {
    "vision": (Architecture.VLM, Architecture.SAM, Architecture.MLM),
    "language": (Architecture.SLM, Architecture.MLM, Architecture.LLM),
    "actions": (Architecture.LAM,),
}
"""Queue to the architectures that its steps ask, in the order in which they are loaded."""


def warm_up(queues: frozenset[str]) -> None:
    """Load what the steps of these queues need, so that the first photo is quick.

    First what every photo needs, then the engines that a cascade asks when those are not sure: work
    goes on meanwhile, and nobody waits for a large model when its turn comes.
    """
    for tier in _tiers(queues):
        try:
            tier.load()
        except EngineError as error:
            # The step that needs it will say so on its inspection.
            logger.error("an engine can't be loaded: %s", error)


def _tiers(queues: frozenset[str]) -> list[Tier[Engine]]:
    needed = [kind for queue in NEEDED if queue in queues for kind in NEEDED[queue]]
    cascades = [runtime().tiers(kind) for kind in dict.fromkeys(needed)]
    return [tiers[0] for tiers in cascades] + [tier for tiers in cascades for tier in tiers[1:]]


def still_loading(queue: str) -> str:
    """What the steps of a queue have to wait for, in words; "" where they can begin."""
    under_way = runtime().registry.loading()
    waited_for = set(NEEDED.get(queue, ())) - {one.architecture for one in under_way if one.ready}
    waits = [
        f"{one.name} for {one.seconds:.0f} s"
        for one in under_way
        if one.under_way and one.architecture in waited_for
    ]
    return f"Models are being loaded: {', '.join(waits)}." if waits else ""
