"""How a photo looks at large, by rule: colours, edges at four scales, and a coarse layout.

No weights are in this and nothing was learned for it, so it knows no kind of photo better than
another: what tells the known from the unknown must not rest only on features that were trained to
tell the known apart.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime.contracts import Pixels

Floats = NDArray[np.float32]

COLOUR_SIDE, EDGE_SIDE, LAYOUT = 96, 192, 4
COLOUR_BINS, DIRECTIONS, SCALES = 12, 8, 4
SIZE = 3 * COLOUR_BINS + SCALES * (5 + DIRECTIONS + 2) + 3 * LAYOUT**2
"""Numbers in a description."""


def describe(pixels: Pixels) -> Floats:
    """Describe a photo of any size, RGB uint8 (h, w, 3), in ``SIZE`` numbers."""
    small = cv2.resize(pixels, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32) / 255.0
    layout = cv2.resize(lab, (LAYOUT, LAYOUT), interpolation=cv2.INTER_AREA)
    large = cv2.resize(pixels, (EDGE_SIDE, EDGE_SIDE), interpolation=cv2.INTER_AREA)
    light = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    parts = [_colours(lab), *_edges(np.asarray(light, np.float32)), layout.reshape(-1)]
    return np.concatenate(parts).astype(np.float32)


def _colours(lab: Floats) -> Floats:
    """Square roots of each channel's histogram: their distance is Hellinger's."""
    shares = [
        np.histogram(lab[..., channel], bins=COLOUR_BINS, range=(0, 1))[0] / lab[..., 0].size
        for channel in range(3)
    ]
    return np.asarray(np.sqrt(np.concatenate(shares)), np.float32)


def _edges(light: Floats) -> list[Floats]:
    """Strength, directions and roughness of edges, at four scales."""
    made = []
    for _ in range(SCALES):
        across = np.asarray(cv2.Sobel(light, -1, 1, 0), np.float32)
        down = np.asarray(cv2.Sobel(light, -1, 0, 1), np.float32)
        strength = np.asarray(np.hypot(across, down), np.float32)
        made += [_strengths(strength), _directions(across, down, strength), _roughness(light)]
        light = np.asarray(cv2.pyrDown(light), np.float32)
    return made


def _strengths(strength: Floats) -> Floats:
    marks = np.quantile(strength, (0.3, 0.9, 0.99))
    return np.asarray(
        np.log1p(20 * np.array([strength.mean(), strength.std(), *marks])), np.float32
    )


def _directions(across: Floats, down: Floats, strength: Floats) -> Floats:
    angle = np.arctan2(down, across) % np.pi
    votes, _ = np.histogram(angle, bins=DIRECTIONS, range=(0, np.pi), weights=strength)
    return np.asarray(np.sqrt(votes / (strength.sum() + 1e-6)), np.float32)


def _roughness(light: Floats) -> Floats:
    fine = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2)).mean()
    return np.array([light.std(), 10 * fine], np.float32)
