"""Hand-made descriptors of the places of a photo: colour, edges by direction, darkest and lightest.

They need no weights and cost a few milliseconds. Lightness, a and b are those of CIE Lab; edges are
counted by direction at two scales as in Dalal and Triggs 2005; every channel is averaged over a
small and a large window, so that a cell knows its surroundings.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models_runtime.contracts import Pixels

Grid = NDArray[np.float32]
"""float32 (rows, columns, channels)."""

STRIDE = 8
LONGEST = 192
"""Photos are looked at with this longest side, px, in cells of 8 px: 24 by 24 where square."""

_WINDOWS = (8, 24)
_BLURS = (1.0, 2.5)
_DIRECTIONS = 6


def working_size(pixels: Pixels, longest: int = LONGEST) -> tuple[int, int]:
    """(width, height) at which a photo is described: whole cells, at least three each way."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    cells = [max(3, round(side * scale / STRIDE)) for side in (width, height)]
    return cells[0] * STRIDE, cells[1] * STRIDE


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale to (width, height) by averaging."""
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(image)


def describe(pixels: Pixels) -> Grid:
    """Describe each cell of a photo of working size; all channels are in units of lightness."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = (lab[..., 1:] - 128) * 2  # a and b span less than lightness does
    light = np.ascontiguousarray(lab[..., 0])
    channels = [light, lab[..., 1], lab[..., 2], *_edges(light), _detail(light)]
    averaged = [_average(channel, window) for channel in channels for window in _WINDOWS]
    extremes = [_at_cells(extreme) for window in _WINDOWS for extreme in _extremes(light, window)]
    return np.stack([*averaged, *extremes], axis=-1).astype(np.float32)


def _edges(light: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Edge strength by direction, softly binned over half a turn, at two scales."""
    channels = []
    for blur in _BLURS:
        soft = cv2.GaussianBlur(light, (0, 0), blur) * blur
        across, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0) / 4, cv2.Sobel(soft, cv2.CV_32F, 0, 1) / 4
        strength = np.hypot(across, down)
        turn = np.mod(np.arctan2(down, across), np.pi) / np.pi * _DIRECTIONS
        for direction in range(_DIRECTIONS):
            away = np.abs(np.mod(turn - direction + _DIRECTIONS / 2, _DIRECTIONS) - _DIRECTIONS / 2)
            channels.append(strength * np.maximum(0, 1 - away))
    return channels


def _detail(light: NDArray[np.float32]) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(light, (0, 0), 1)
    return np.asarray(np.abs(cv2.Laplacian(soft, cv2.CV_32F)), dtype=np.float32)


def _extremes(
    light: NDArray[np.float32], window: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    around = np.ones((window, window), np.uint8)
    darkest, lightest = cv2.erode(light, around), cv2.dilate(light, around)
    return np.asarray(darkest, dtype=np.float32), np.asarray(lightest, dtype=np.float32)


def _average(channel: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    blurred = cv2.boxFilter(channel, -1, (window, window), borderType=cv2.BORDER_REFLECT)
    return _at_cells(np.asarray(blurred, dtype=np.float32))


def _at_cells(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(channel[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE])
