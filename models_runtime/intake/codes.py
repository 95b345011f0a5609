"""Barcodes and QR codes in a photo. Their text is data from outside, never an instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from models_runtime.contracts import Pixels, Value

_MAX_TEXT = 200
_MAX_CODES = 16
_MAX_SIDE = 1600


class Code(Value):
    """A code read in the photo. ``text`` is bounded and holds printable characters only."""

    kind: str
    text: str = Field(max_length=_MAX_TEXT)
    corners: tuple[tuple[float, float], ...]


def read_codes(pixels: Pixels) -> tuple[Code, ...]:
    """Read QR codes and EAN, UPC barcodes from pixels (height, width, 3); corners are in pixels.

    Each text is returned once, QR codes first.
    """
    grey, scale = _small_grey(pixels)
    found = [*_qr_codes(grey, scale), *_barcodes(grey, scale)]
    unique = {code.text: code for code in reversed(found)}
    return tuple(code for code in found if unique.get(code.text) is code)[:_MAX_CODES]


def clean_text(raw: str) -> str:
    """Drop what is not printable and cut the rest to 200 characters."""
    return "".join(char for char in raw if char.isprintable()).strip()[:_MAX_TEXT]


def _small_grey(pixels: Pixels) -> tuple[np.ndarray[Any, Any], float]:
    image = Image.fromarray(pixels).convert("L")
    scale = max(1.0, max(image.size) / _MAX_SIDE)
    if scale > 1:
        size = (max(1, round(image.width / scale)), max(1, round(image.height / scale)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image), scale


def _qr_codes(grey: np.ndarray[Any, Any], scale: float) -> list[Code]:
    import cv2  # here, because task modules import this package and must stay light

    try:
        _, texts, corners, _ = cv2.QRCodeDetector().detectAndDecodeMulti(grey)
    except (cv2.error, UnicodeDecodeError):
        return []
    return _codes(["QR"] * len(texts), texts, corners, scale)


def _barcodes(grey: np.ndarray[Any, Any], scale: float) -> list[Code]:
    """Try plain, smoothed and small: the detector is choosy about bar width and noise."""
    import cv2

    shrink = max(1.0, max(grey.shape) / 640)
    size = (max(1, round(grey.shape[1] / shrink)), max(1, round(grey.shape[0] / shrink)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    versions = ((grey, scale), (cv2.GaussianBlur(grey, (3, 3), 0), scale), (small, scale * shrink))
    for image, zoom in versions:
        try:
            _, texts, kinds, corners = cv2.barcode.BarcodeDetector().detectAndDecodeWithType(image)
        except (cv2.error, UnicodeDecodeError):
            continue
        if found := _codes([kind.replace("_", "-") for kind in kinds], texts, corners, zoom):
            return found
    return []


def _codes(kinds: Any, texts: Any, corners: Any, scale: float) -> list[Code]:
    found: list[Code] = []
    for index, (kind, raw) in enumerate(zip(kinds, texts, strict=False)):
        text = clean_text(raw)
        if text:
            points = np.asarray(corners[index]).reshape(-1, 2) * scale
            outline = tuple((round(float(x), 1), round(float(y), 1)) for x, y in points)
            found.append(Code(kind=kind, text=text, corners=outline))
    return found
