"""serve_models with an extractor that takes as long as the photo's brightness says.

It prints how many photos it saw in each pass.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from models_runtime.contracts import Architecture, Extraction, PhotoPixels
from models_runtime.intake.decode import DecodeLimits
from models_runtime.memory import MemoryExtractor
from models_runtime.plans import PlanSpec
from models_runtime.registry import ENGINES, EngineSpec
from models_runtime.serving.app import Rules
from models_runtime.serving.models import Limits
from models_runtime.serving.server import Serving, serve


class Slow(MemoryExtractor):
    """A tenth of a second for each step of brightness of the brightest photo."""

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        sys.stdout.write(f"pass of {len(photos)}\n")
        sys.stdout.flush()
        if plan.name == "broken":
            raise RuntimeError("a defect of the engine")
        time.sleep(max(int(p.pixels.max()) for p in photos) / 10)
        return super().extract(photos, plan)


def load(_: EngineSpec) -> Slow:
    return Slow()


if __name__ == "__main__":
    ENGINES[(Architecture.VLM, "slow")] = "tests.unit.serving.slow_server:load"
    port, queue = sys.argv[2], int(sys.argv[3])
    limits = Limits(DecodeLimits(), seconds=60.0, together=4)
    serve(Serving({"vlm": "slow:"}, f"127.0.0.1:{port}", Rules(queue=queue), limits))
