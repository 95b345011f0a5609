"""The embedded segmenter: Loupe-SAM on the CPU, from the weights that ship with the project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from models_runtime.contracts import (
    Architecture,
    EngineRef,
    ImageEmbedding,
    MaskCandidate,
    PhotoPixels,
    Pixels,
    Prompt,
)
from models_runtime.errors import FatalError
from models_runtime.registry import EngineSpec
from models_runtime.sam import decoding, folded, model

WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "loupe_sam.safetensors"
NAME = "loupe-sam"


class EmbeddedSegmenter:
    """Loupe-SAM as a ``Segmenter``. It keeps no photo: any thread may call it at any time."""

    def __init__(self, sam: Any, config: model.SamConfig, version: str) -> None:
        self._sam = sam
        self._config = config
        self._decoder = folded.FoldedDecoder(sam)
        self._prompts = folded.FoldedPrompts(sam)
        self._ref = EngineRef(architecture=Architecture.SAM, engine=NAME, version=version)

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        """Encode a photo; features are float32 (dim, S/8, S/8)."""
        resized = fit(photo.pixels, self._config.input_size)
        tensor = torch.from_numpy(resized).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            features = model.encode(self._sam, tensor)[0]
        return ImageEmbedding(
            features=np.ascontiguousarray(features.numpy(), dtype=np.float32),
            size=(photo.height, photo.width),
            input_size=(int(resized.shape[0]), int(resized.shape[1])),
            engine=self._ref.version,
        )

    def decode(
        self, embedding: ImageEmbedding, prompts: Sequence[Prompt]
    ) -> list[tuple[MaskCandidate, ...]]:
        """Three masks per prompt, best predicted IoU first.

        InputError for prompts outside the photo and for embeddings of another engine.
        """
        decoding.check_embedding(embedding, self._ref.version)
        features = torch.tensor(embedding.features)[None]
        run = partial(self._forward, features)
        cells_per_pixel = self._config.grid / self._config.input_size
        return decoding.decode_all(embedding, prompts, run, cells_per_pixel)

    def _forward(
        self, features: Tensor, boxes: Tensor | None, points: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What ``model.decode`` computes, in fewer operations."""
        config = self._config
        drawn = model.prompt_map(config.grid, config.input_size, boxes, points, labels)
        tokens = self._prompts.tokens(boxes, points, labels)
        return self._decoder(features, self._prompts.cells(drawn), tokens)


def fit(pixels: Pixels, side: int) -> NDArray[np.uint8]:
    """Resize so that the longest side is ``side``; both sides even, as the mask grid needs."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    rows, columns = (max(2, 2 * round(n * scale / 2)) for n in (height, width))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=method), np.uint8)


def load(spec: EngineSpec) -> EmbeddedSegmenter:
    """Load ``embedded:`` or ``embedded:?weights=FILE``; the config lies beside it as ``.json``."""
    spec.allow("weights")
    path = Path(spec.target or spec.options.get("weights") or WEIGHTS)
    try:
        raw = path.read_bytes()
        config = read_config(path.with_suffix(".json"))
        sam = model.build(config)
        sam.load_state_dict({k: v.float() for k, v in load_tensors(raw).items()})
    except FileNotFoundError as error:
        raise FatalError(
            f"the weights {error.filename} are missing: reinstall, or train"
        ) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise FatalError(f"the weights {path} do not fit the model: {error}") from error
    sam.eval()
    sam.image_encoder.to(memory_format=torch.channels_last)
    version = f"{NAME}@{hashlib.sha256(raw).hexdigest()[:12]}"
    return EmbeddedSegmenter(sam, config, version)


def read_config(path: Path) -> model.SamConfig:
    """Read the shape of the model as the training wrote it."""
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return model.SamConfig(**shape)
