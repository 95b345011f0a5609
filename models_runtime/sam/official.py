"""The published segment-anything models: ``segment-anything:vit_b?checkpoint=FILE&device=cpu``.

``dtype`` is of the image encoder: ``auto`` (the default) takes bfloat16 where the processor has
instructions for it (AVX-512 BF16 or AMX), float32 otherwise; ``float32`` and ``bfloat16`` insist.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
from models_runtime.sam import compat, decoding, folded, vit

CELLS_PER_PIXEL = 0.25
"""The published decoder's masks have a quarter of the input's 1024 px."""

_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    TypeError,
    AttributeError,
    LookupError,
    ValueError,
)
"""What ``torch.load`` and ``load_state_dict`` raise on files that are no such checkpoint."""


class OfficialSegmenter:
    """A published ``Sam`` as a ``Segmenter``. It keeps no photo: any thread may call it."""

    def __init__(self, sam: Any, ref: EngineRef) -> None:
        self._sam = sam
        self._ref = ref
        self._dtype: torch.dtype = next(sam.image_encoder.parameters()).dtype
        on_cpu = sam.device.type == "cpu"
        self._encode = vit.FusedEncoder(sam.image_encoder) if on_cpu else sam.image_encoder
        self._prompts = folded.FoldedPrompts(sam)
        self._decoder = folded.FoldedDecoder(sam)

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        """Encode a photo; features are float32 (256, 64, 64)."""
        resized = fit(photo.pixels, self._sam.image_encoder.img_size)
        tensor = torch.tensor(resized, device=self._sam.device).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            features = self._encode(self._sam.preprocess(tensor).to(self._dtype))[0]
        return ImageEmbedding(
            features=np.ascontiguousarray(features.float().cpu().numpy()),
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
        features = torch.tensor(embedding.features, device=self._sam.device)[None]
        run = partial(self._forward, features)
        return decoding.decode_all(embedding, prompts, run, CELLS_PER_PIXEL, by_input=True)

    def _forward(
        self, features: Tensor, boxes: Tensor | None, points: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        device = self._sam.device
        tokens = self._prompts.tokens(
            *(None if part is None else part.to(device) for part in (boxes, points, labels))
        )
        return self._decoder(features, self._prompts.no_map, tokens)


def fit(pixels: Pixels, side: int) -> Pixels:
    """Resize as the package's ``ResizeLongestSide`` does, but never to nothing."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
    return np.asarray(compat.resize(compat.to_pil_image(pixels), size), np.uint8)


def load(spec: EngineSpec) -> OfficialSegmenter:
    """Load one architecture of segment-anything with a checkpoint from the local disk."""
    spec.allow("checkpoint", "device", "dtype")
    package = compat.load()
    builder = package.sam_model_registry.get(spec.target)
    if builder is None:
        known = ", ".join(sorted(set(package.sam_model_registry) - {"default"}))
        raise FatalError(f"segment-anything has no model {spec.target!r}; there are: {known}")
    path = _checkpoint_path(spec)
    sam = builder(checkpoint=None)
    _load_state(sam, path, spec.target)
    device = chosen_device(spec.options.get("device", "cpu"))
    dtype = encoder_dtype(spec.options.get("dtype", "auto"), device)
    sam.to(device).eval()
    sam.image_encoder.to(dtype)
    exact = dtype is torch.float32
    version = f"{spec.target}@{_digest(path)}" + ("" if exact else "+bfloat16")
    ref = EngineRef(architecture=Architecture.SAM, engine="segment-anything", version=version)
    return OfficialSegmenter(sam, ref)


def _checkpoint_path(spec: EngineSpec) -> Path:
    text = spec.options.get("checkpoint", "")
    if not text:
        raise FatalError(
            f"segment-anything:{spec.target} needs a checkpoint: add ?checkpoint=/path/to/sam.pth"
        )
    path = Path(text)
    if not path.is_file():
        raise FatalError(f"the checkpoint {path} does not exist: download it there, or correct it")
    return path


def _load_state(sam: Any, path: Path, architecture: str) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        sam.load_state_dict(state)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FatalError(
            f"the checkpoint {path} does not fit the architecture {architecture}: {reason}"
        ) from error


def encoder_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of the image encoder: what is asked for, or what this processor is good at.

    A processor without instructions for bfloat16 computes in it slower than in float32.
    """
    if name == "auto":
        fast = device.type == "cpu" and _computes_in_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise FatalError(f"unknown dtype {name!r}: use auto, float32 or bfloat16")
    return known[name]


def _computes_in_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def chosen_device(name: str) -> torch.device:
    """The device of a setting; FatalError where it is unknown or not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise FatalError(f"unknown device {name!r}: use cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise FatalError("device=cuda is set but this machine has no usable GPU: use device=cpu")
    return device


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
