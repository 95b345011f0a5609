"""The engines that can use a GPU, against what their own networks can do on it.

The ceiling is the bare network on tensors that lie on the device already; the engine decodes
nothing either, but scales, copies to the device and back, and says what it found in numbers.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models_runtime.contracts import PhotoPixels
from models_runtime.registry import EngineSpec

SKIPPED = "no GPU at hand: the measurements on one are left out"
PHOTOS = 20
TEXTS = 256


def measure() -> dict[str, Any] | None:
    """Photos and texts a second; None where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    return {"gpu": torch.cuda.get_device_name(), "sam_vit_b": _sam(), "mlm": _texts()}


def _per_second(call: Callable[[], object], units: int, rounds: int = 5) -> float:
    """Units a second, median, with the device's queue empty before and after."""
    import torch

    call()
    rates = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        rates.append(units / (time.perf_counter() - began))
    return statistics.median(rates)


def _compared(engine: float, ceiling: float) -> dict[str, float]:
    return {
        "engine_per_s": round(engine, 1),
        "ceiling_per_s": round(ceiling, 1),
        "engine_to_ceiling": round(engine / ceiling, 3),
    }


def _sam() -> dict[str, float]:
    """The official ViT-B with random weights: the speed is that of the published ones."""
    import torch

    from models_runtime.sam import compat
    from models_runtime.sam.official import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        sam = compat.load().sam_model_registry["vit_b"](checkpoint=None)
        torch.save(sam.state_dict(), path)
        engine = load(EngineSpec("segment-anything", "vit_b", _on_gpu(checkpoint=str(path))))
    sam = sam.to("cuda").eval()
    numbers = np.random.default_rng(0)
    photo = PhotoPixels(numbers.integers(0, 256, (1024, 1024, 3)).astype(np.uint8), "")
    tensor = torch.rand((1, 3, 1024, 1024), device="cuda")

    def ceiling() -> None:
        with torch.inference_mode():
            for _ in range(PHOTOS):
                sam.image_encoder(tensor)

    return _compared(
        _per_second(lambda: [engine.embed(photo) for _ in range(PHOTOS)], PHOTOS),
        _per_second(ceiling, PHOTOS),
    )


def _texts() -> dict[str, float]:
    """The sentence encoder, on texts of the length of a case."""
    import torch

    from models_runtime.mlm import minilm

    engine = minilm.load(EngineSpec("embedded", options=_on_gpu()))
    texts = [
        f"Solar cell {n}: a dark area of 12 mm2, major; rework, 0.81 sure." for n in range(TEXTS)
    ]
    tokens = engine._tokenize(texts[: minilm.BATCH])
    passes = TEXTS // minilm.BATCH

    def ceiling() -> None:
        with torch.inference_mode():
            for _ in range(passes):
                engine._model(**tokens)

    return _compared(_per_second(lambda: engine.embed(texts), TEXTS), _per_second(ceiling, TEXTS))


def _on_gpu(**options: str) -> dict[str, str]:
    return {"device": "cuda", **options}
