"""A second look at what a photo shows: its outlines, described by rule and read by a small head.

Histograms of oriented gradients (Dalal & Triggs 2005) and a coarse layout of colours describe the
whole photo; two linear layers bring them into the MLM's text space. A few thousand photos teach
these far more than they teach a network from scratch, and reading them costs 3 ms.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models_runtime.contracts import Pixels
from models_runtime.vlm.model import TEXT_DIM

SIDE, CELL, BINS = 96, 8, 9
CELLS = SIDE // CELL
COLOURS = 8
WEAK_EDGE = 160.0
"""Gradient sum of a block below which its histogram fades: a plain wall has no outlines."""
CLIP = 0.2
SIZE = (CELLS - 1) ** 2 * 4 * BINS + COLOURS**2 * 3
"""Numbers in a descriptor."""

Descriptor = NDArray[np.float32]


def describe(pixels: Pixels) -> Descriptor:
    """Describe a photo of any size, RGB uint8 (h, w, 3), in ``SIZE`` numbers."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    blocks = _blocks(_histograms(lab))
    layout = cv2.resize(lab, (COLOURS, COLOURS), interpolation=cv2.INTER_AREA) / 255.0 - 0.5
    return np.concatenate([blocks.reshape(-1), np.asarray(layout, np.float32).reshape(-1)])


def _histograms(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient strength per cell and direction: (cells, cells, bins)."""
    across, down = np.zeros_like(lab), np.zeros_like(lab)
    across[:, 1:-1] = lab[:, 2:] - lab[:, :-2]
    down[1:-1] = lab[2:] - lab[:-2]
    strength = np.hypot(across, down)
    strongest = strength.argmax(2)[..., None]
    angle = np.arctan2(
        np.take_along_axis(down, strongest, 2), np.take_along_axis(across, strongest, 2)
    )
    place = (angle[..., 0] % np.pi) / np.pi * BINS - 0.5
    off = np.abs(place[..., None] - np.arange(BINS))
    share = np.clip(1 - np.minimum(off, BINS - off), 0, None)
    votes = share * np.take_along_axis(strength, strongest, 2)
    cells = votes.reshape(CELLS, CELL, CELLS, CELL, BINS).sum((1, 3))
    return np.asarray(cells, dtype=np.float32)


def _blocks(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Neighbouring cells by fours, normalised, clipped and normalised again."""
    fours = np.concatenate([cells[:-1, :-1], cells[1:, :-1], cells[:-1, 1:], cells[1:, 1:]], 2)
    fours /= np.sqrt((fours**2).sum(2, keepdims=True) + WEAK_EDGE**2)
    fours = np.minimum(fours, CLIP)
    return np.asarray(fours / np.sqrt((fours**2).sum(2, keepdims=True) + 1e-3))


class OutlineHead(nn.Module):
    """Descriptors (n, ``SIZE``) to unit vectors (n, 384) in the text space."""

    def __init__(self, width: int = 512, dropout: float = 0.5) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(SIZE))
        self.spread = nn.Buffer(torch.ones(SIZE))
        self.enter = nn.Linear(SIZE, width)
        self.leave = nn.Linear(width, TEXT_DIM)
        self.dropout = dropout

    def forward(self, descriptors: Tensor) -> Tensor:
        x = (descriptors - self.mean) / self.spread
        x = F.dropout(x, self.dropout / 2, self.training)
        x = F.dropout(F.gelu(self.enter(x)), self.dropout, self.training)
        return F.normalize(self.leave(x), dim=1)


def both(meaning: Tensor, outline: Tensor, share: float) -> Tensor:
    """What network and outlines say together; ``share`` is the outlines' weight, 0..1."""
    return F.normalize((1 - share) * meaning + share * outline, dim=1)
