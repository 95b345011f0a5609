"""What every two-phase segmenter does around its decoder: check prompts, batch them, make masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models_runtime.contracts import ImageEmbedding, MaskCandidate, Prompt
from models_runtime.errors import InputError
from models_runtime.sam import raster

CHUNK = 16
"""Prompts decoded at once: bounds the memory, whatever the number of prompts."""

TOLERANCE = 0.5
"""Boxes may stick out of the photo by this many pixels (rounding), not by more."""

Decoder = Callable[[Tensor | None, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]
"""Boxes (N,4), points (N,K,2), labels (N,K) in input pixels → logits (N,3,G,G), IoU (N,3)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts of the same form, in input pixels with pixel centres at +0.5."""

    positions: tuple[int, ...]
    boxes: Tensor | None
    points: Tensor | None
    labels: Tensor | None


def check_embedding(embedding: ImageEmbedding, version: str) -> None:
    """Refuse an embedding of another engine, or of another version of this one."""
    if embedding.engine != version:
        raise InputError(
            f"this embedding was made by {embedding.engine!r}, not by {version!r}: "
            "embed the photo again"
        )


def check_prompt(prompt: Prompt, size: tuple[int, int]) -> None:
    """Raise InputError unless the prompt lies in a photo of ``size`` (height, width)."""
    height, width = size
    box = prompt.box
    if box and (box.x2 > width + TOLERANCE or box.y2 > height + TOLERANCE):
        raise InputError(
            f"the box ({box.x1:g}, {box.y1:g}, {box.x2:g}, {box.y2:g}) is not inside the photo "
            f"of {width} x {height} pixels"
        )
    for click in prompt.clicks:
        if click.x >= width or click.y >= height:
            raise InputError(
                f"the click at ({click.x:g}, {click.y:g}) is not inside the photo "
                f"of {width} x {height} pixels"
            )


def batches(prompts: Sequence[Prompt], scale: tuple[float, float]) -> Iterator[Batch]:
    """Group prompts by form and cut the groups into chunks; ``scale`` is (y, x) to input pixels."""
    forms: dict[tuple[bool, int], list[int]] = {}
    for position, prompt in enumerate(prompts):
        forms.setdefault((prompt.box is not None, len(prompt.clicks)), []).append(position)
    for positions in forms.values():
        for start in range(0, len(positions), CHUNK):
            yield _batch(prompts, tuple(positions[start : start + CHUNK]), scale)


def _batch(
    prompts: Sequence[Prompt], positions: tuple[int, ...], scale: tuple[float, float]
) -> Batch:
    chosen = [prompts[i] for i in positions]
    y, x = scale
    boxes = [(p.box.x1 * x, p.box.y1 * y, p.box.x2 * x, p.box.y2 * y) for p in chosen if p.box]
    points = [[((c.x + 0.5) * x, (c.y + 0.5) * y) for c in p.clicks] for p in chosen]
    labels = [[float(c.positive) for c in p.clicks] for p in chosen]
    clicked = bool(points[0])
    return Batch(
        positions,
        torch.tensor(boxes, dtype=torch.float32) if boxes else None,
        torch.tensor(points, dtype=torch.float32) if clicked else None,
        torch.tensor(labels, dtype=torch.float32) if clicked else None,
    )


def decode_all(
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    decoder: Decoder,
    cells_per_pixel: float,
    by_input: bool = False,
) -> list[tuple[MaskCandidate, ...]]:
    """Masks for each prompt, best predicted IoU first.

    ``cells_per_pixel``: size of the low-resolution grid over size of the input. ``by_input``: to
    the pixels of the input first and from there to the photo, as segment_anything does it; else
    at once, which costs less.
    """
    for prompt in prompts:
        check_prompt(prompt, embedding.size)
    inner, outer = embedding.input_size, embedding.size
    scale = (inner[0] / outer[0], inner[1] / outer[1])
    cells = 1.0 if by_input else cells_per_pixel
    extent = (inner[0] * cells, inner[1] * cells)
    answers: list[tuple[MaskCandidate, ...]] = [()] * len(prompts)
    for batch in batches(prompts, scale):
        with torch.inference_mode():
            logits, quality = decoder(batch.boxes, batch.points, batch.labels)
        for position, masks, scores in zip(
            batch.positions, logits.float().cpu(), quality.float().cpu(), strict=True
        ):
            fine = in_input_pixels(masks, inner, cells_per_pixel) if by_input else masks
            found = never_empty(fine) if _points_at_something(prompts[position]) else fine
            answers[position] = _ranked(found, scores, extent, outer)
    return answers


def in_input_pixels(masks: Tensor, size: tuple[int, int], cells_per_pixel: float) -> Tensor:
    """Logits (3,G,G) in the pixels of the input that the photo fills, (3, *size): the first half of
    ``Sam.postprocess_masks``, in which the cells beside the photo reach a little into it."""
    side = round(masks.shape[-1] / cells_per_pixel)
    whole = F.interpolate(masks[None], (side, side), mode="bilinear", align_corners=False)
    return whole[0, :, : size[0], : size[1]]


def _points_at_something(prompt: Prompt) -> bool:
    return prompt.box is not None or any(click.positive for click in prompt.clicks)


def never_empty(masks: Tensor) -> Tensor:
    """Lower the threshold of logits (3,G,G) that are nowhere above zero to half of their peak.

    A box or a positive click says that something is there, so an empty mask is never right; the
    decoder gives one for objects of a few pixels, of which it is less than half sure everywhere.
    """
    peak = masks.amax(dim=(1, 2), keepdim=True)
    if bool((peak > 0).all()):
        return masks
    threshold = torch.logit(torch.sigmoid(peak.double()) / 2).float()
    return torch.where(peak > 0, masks, masks - threshold)


def _ranked(
    masks: Tensor, scores: Tensor, extent: tuple[float, float], size: tuple[int, int]
) -> tuple[MaskCandidate, ...]:
    order = scores.argsort(descending=True, stable=True).tolist()
    return tuple(raster.candidate(masks[i].numpy(), extent, size, float(scores[i])) for i in order)
