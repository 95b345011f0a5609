"""SAM 2 and SAM 3 by transformers: ``transformers:/models/sam2.1-hiera-large?device=cuda``.

Of SAM 3 it is the promptable part (boxes and clicks, the "tracker" in transformers); its search by
words is not used. Their own processors need torchvision; what they do to a photo is little and done
here: it is stretched to the model's square, whatever its shape, and normalised. ``dtype`` is of the
image encoder, as in sam/official.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForMaskGeneration

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
from models_runtime.sam import decoding
from models_runtime.sam.official import chosen_device, encoder_dtype

Colour = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of red, green and blue in 0..1 that the model was trained with."""

COLOURS: dict[str, Colour] = {
    "sam2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "sam3": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""By family, where a checkpoint has no preprocessor configuration of its own."""

_UNLOADABLE = (OSError, ValueError, ImportError, AttributeError, RuntimeError, KeyError, TypeError)


class TransformersSegmenter:
    """A SAM 2 or SAM 3 as a ``Segmenter``. It keeps no photo: any thread may call it."""

    def __init__(self, model: Any, colour: Colour, dtype: torch.dtype, ref: EngineRef) -> None:
        self._model, self._dtype, self._ref = model, dtype, ref
        self._side = int(model.prompt_encoder.input_image_size)
        self._cells_per_pixel = 4 * model.prompt_encoder.image_embedding_size[0] / self._side
        self._mean, self._std = (torch.tensor(part).view(3, 1, 1) for part in colour)
        decoder = model.mask_decoder
        sizes = [int(size[0]) for size in model.backbone_feature_sizes]
        widths = (decoder.conv_s0.out_channels, decoder.conv_s1.out_channels, model.hidden_dim)
        self._levels = [
            (width, size // sizes[-1]) for width, size in zip(widths, sizes, strict=True)
        ]

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        """Encode a photo. All levels of the pyramid are in one array, the finer ones folded into
        channels of the coarsest: float32 (16·C/8 + 4·C/4 + C, E, E)."""
        tensor = self.prepared(photo.pixels)[None].to(self._model.device)
        short = self._dtype is not torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(tensor.device.type, torch.bfloat16, enabled=short),
        ):
            levels = self._model.get_image_embeddings(tensor)
        return ImageEmbedding(
            features=np.ascontiguousarray(folded_levels(levels)[0].float().cpu().numpy()),
            size=(photo.height, photo.width),
            input_size=(self._side, self._side),
            engine=self._ref.version,
        )

    def prepared(self, pixels: Pixels) -> Tensor:
        """The photo as the model takes it: float32 (3, S, S), stretched and normalised."""
        square = Image.fromarray(np.ascontiguousarray(pixels)).resize(
            (self._side, self._side), Image.Resampling.BILINEAR
        )
        colours = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
        return (colours - self._mean) / self._std

    def decode(
        self, embedding: ImageEmbedding, prompts: Sequence[Prompt]
    ) -> list[tuple[MaskCandidate, ...]]:
        """Three masks per prompt, best predicted IoU first.

        InputError for prompts outside the photo and for embeddings of another engine.
        """
        decoding.check_embedding(embedding, self._ref.version)
        packed = torch.tensor(embedding.features, device=self._model.device)[None]
        levels = unfolded_levels(packed, self._levels)
        run = partial(self._forward, levels)
        return decoding.decode_all(embedding, prompts, run, self._cells_per_pixel)

    def _forward(
        self,
        levels: list[Tensor],
        boxes: Tensor | None,
        points: Tensor | None,
        labels: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The model counts from pixel centres and adds the half pixel itself."""
        device = self._model.device
        told = self._model(
            image_embeddings=levels,
            input_boxes=None if boxes is None else boxes[None].to(device) - 0.5,
            input_points=None if points is None else points[None].to(device) - 0.5,
            input_labels=None if labels is None else labels[None].to(device, torch.int64),
            multimask_output=True,
        )
        return told.pred_masks[0], told.iou_scores[0]


def folded_levels(levels: Sequence[Tensor]) -> Tensor:
    """Levels (1,C,r·E,r·E), the coarsest last → (1, sum of r²·C, E, E)."""
    cells = levels[-1].shape[-1]
    return torch.cat([F.pixel_unshuffle(x, x.shape[-1] // cells) for x in levels], dim=1)


def unfolded_levels(packed: Tensor, levels: Sequence[tuple[int, int]]) -> list[Tensor]:
    """The inverse; ``levels`` are (channels C, factor r) of each."""
    parts = torch.split(packed, [width * factor**2 for width, factor in levels], dim=1)
    return [F.pixel_shuffle(x, factor) for x, (_, factor) in zip(parts, levels, strict=True)]


def load(spec: EngineSpec) -> TransformersSegmenter:
    """Load ``transformers:PATH?device=cpu&dtype=auto``; FatalError says what is wrong."""
    spec.allow("device", "dtype")
    if not spec.target:
        raise FatalError("no model named: write transformers:/path/to/sam2")
    device = chosen_device(spec.options.get("device", "cpu"))
    dtype = encoder_dtype(spec.options.get("dtype", "auto"), device)
    model = _loaded(spec.target)
    model.requires_grad_(False)
    model.to(device).eval()
    folder = Path(spec.target)
    version = f"{folder.name}@{_version(folder, model)}"
    if dtype is not torch.float32:
        version += "+bfloat16"
    ref = EngineRef(architecture=Architecture.SAM, engine="transformers", version=version)
    return TransformersSegmenter(model, _colour(folder, _family(model)), dtype, ref)


def _loaded(source: str) -> Any:
    """The promptable model of a checkpoint, every weight of which was in it."""
    try:
        model, told = AutoModelForMaskGeneration.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True
        )
    except _UNLOADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FatalError(
            f"transformers can't load a segmentation model from {source!r}: {reason}"
        ) from error
    if _family(model) not in COLOURS:
        raise FatalError(
            f"{source!r} is a {model.config.model_type!r}; this engine runs SAM 2 and SAM 3, and "
            "segment-anything: the first SAM"
        )
    missing = sorted(told["missing_keys"])
    if missing:
        raise FatalError(f"the checkpoint {source!r} lacks {len(missing)} weights: {missing[0]}, …")
    return model


def _family(model: Any) -> str:
    return str(model.config.model_type).partition("_")[0]


def _colour(folder: Path, family: str) -> Colour:
    """As the checkpoint's own processor configuration says, else as its family was trained."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        told = told.get("image_processor", told)
        if "image_mean" in told and "image_std" in told:
            return tuple(told["image_mean"]), tuple(told["image_std"])
    return COLOURS[family]


def _version(folder: Path, model: Any) -> str:
    """12 hex digits over configuration and weights; of a download, the commit it came from."""
    if not folder.is_dir():
        return str(getattr(model.config, "_commit_hash", None) or "unknown")[:12]
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
