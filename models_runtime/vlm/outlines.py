"""Histograms of oriented gradients (Dalal & Triggs 2005) as a fixed layer.

Trained from scratch on a few thousand photos, a network learns outlines late; this layer has them
from the start. It holds no weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIRECTIONS = 9
SIDE = 128
"""Pictures are brought to this many rows and columns."""
CELL = 16
"""Rows and columns per histogram; done once more at half the size, for the whole shape."""
CLIP = 0.2
"""Normalised histograms are cut here, so that one strong edge does not drown the rest."""


def _blocks(side: int) -> int:
    return (side // CELL - 1) ** 2 * 4 * DIRECTIONS


FEATURES = _blocks(SIDE) + _blocks(SIDE // 2)


class Outlines(nn.Module):
    """Pixels (n, 3, h, w) in 0..1 to (n, FEATURES)."""

    def forward(self, pixels: Tensor) -> Tensor:
        whole = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        half = F.avg_pool2d(whole, 2)
        return torch.cat([histograms(whole), 0.5 * histograms(half)], 1)


def histograms(pixels: Tensor) -> Tensor:
    """Block-normalised histograms of gradient directions, flattened: (n, blocks · 4 · 9)."""
    framed = F.pad(255 * pixels, (1, 1, 1, 1), mode="reflect")
    across = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
    down = framed[:, :, 2:, 1:-1] - framed[:, :, :-2, 1:-1]
    strength, channel = (across.square() + down.square()).max(1, keepdim=True)
    across, down = across.gather(1, channel), down.gather(1, channel)
    turn = torch.atan2(down, across).remainder(torch.pi) * (DIRECTIONS / torch.pi)
    bins = torch.arange(DIRECTIONS, device=pixels.device)[None, :, None, None]
    apart = (turn - bins).abs()
    share = (1 - torch.minimum(apart, DIRECTIONS - apart)).clamp(min=0)
    cells = F.avg_pool2d(share * strength.sqrt(), CELL)
    corners = (
        cells[:, :, :-1, :-1],
        cells[:, :, :-1, 1:],
        cells[:, :, 1:, :-1],
        cells[:, :, 1:, 1:],
    )
    blocks = torch.cat(corners, 1)
    blocks = blocks / (blocks.square().sum(1, keepdim=True) + 1).sqrt()
    blocks = blocks.clamp(max=CLIP)
    blocks = blocks / (blocks.square().sum(1, keepdim=True) + 1e-3).sqrt()
    return blocks.flatten(1)
