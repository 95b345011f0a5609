"""How the engine looks at photos: at which size, and twice where the question is what they show."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models_runtime.contracts import Pixels
from models_runtime.vlm.model import LoupeVLM
from models_runtime.vlm.outline import OutlineHead, describe


def resize(pixels: Pixels, side: int) -> Pixels:
    """Shrink (or enlarge) to side x side, as in training; proportions are not kept."""
    small = max(pixels.shape[:2]) > side
    how = cv2.INTER_AREA if small else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=how), dtype=np.uint8)


def as_tensor(photos: Sequence[Pixels], side: int) -> Tensor:
    """Photos of any size, RGB uint8, as float (n, 3, side, side) in 0..1."""
    stacked = np.stack([resize(pixels, side) for pixels in photos])
    tensor = torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255.0
    return tensor.contiguous(memory_format=torch.channels_last)


def shown(model: LoupeVLM, photos: Sequence[Pixels], side: int) -> Tensor:
    """What the network sees on photos: unit rows (n, 384).

    A thing is the same in a mirror: two looks are worth more than one.
    """
    pixels = as_tensor(photos, side)
    plain = model(pixels, places=False)
    mirrored = model(pixels.flip(3), places=False)
    return F.normalize(plain.meaning + mirrored.meaning, dim=1)


def outlined(head: OutlineHead, photos: Sequence[Pixels]) -> Tensor:
    """What the outlines of photos and of their mirror images mean: unit rows (n, 384)."""
    plain = np.stack([describe(pixels) for pixels in photos])
    mirrored = np.stack([describe(np.ascontiguousarray(pixels[:, ::-1])) for pixels in photos])
    both_ways = head(torch.from_numpy(plain)) + head(torch.from_numpy(mirrored))
    return F.normalize(both_ways, dim=1)
