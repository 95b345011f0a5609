"""Any Pillow mode and colour profile to 8-bit sRGB, composited on white where transparent."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_PROFILE_MODES = {"RGB": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab": ("LAB",)}
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def to_srgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the picture in mode RGB, and warnings for the operator."""
    if image.mode in _DEEP_MODES:
        return _eight_bit(np.asarray(image))
    profile = image.info.get("icc_profile")
    image, alpha = _split_alpha(image)
    converted = _by_profile(image, profile) if profile else None
    notes: tuple[str, ...] = ()
    if converted is None:
        if image.mode == "CMYK":
            notes = ("Print colours (CMYK) without a usable profile: colours are approximate.",)
        converted = _lab_to_srgb(image) if image.mode == "LAB" else image.convert("RGB")
    return (_on_white(converted, alpha) if alpha else converted), notes


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Separate the transparency, so that the colours can go through their profile."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    return (image.convert("RGB") if image.mode == "P" else image), None


def _on_white(image: Image.Image, alpha: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=alpha)
    return white


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert by the embedded ICC profile; None where that is broken or for other colours."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(source.profile.xcolor_space).strip()
        if image.mode not in _PROFILE_MODES.get(space, ()):
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _lab_to_srgb(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ValueError("Lab colours could not be converted")
    return converted


def _eight_bit(values: NDArray[np.generic]) -> tuple[Image.Image, tuple[str, ...]]:
    """Scale deep grey values to 8 bits by the range their container stands for."""
    numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    black, white, notes = _grey_range(low, high, float_values=values.dtype.kind == "f")
    scaled = np.clip((numbers - black) * (255.0 / (white - black)), 0, 255)
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB"), notes


def _grey_range(
    low: float, high: float, *, float_values: bool
) -> tuple[float, float, tuple[str, ...]]:
    """Black, white and warnings. Cameras of 8 and 12 bits write their values into 16-bit files."""
    if low >= 0 and float_values and high <= 1:
        return 0.0, 1.0, ()
    if low >= 0 and 4096 <= high <= 65535:
        return 0.0, 65535.0, ()
    if low >= 0 and high < 4096:
        bits = 8 if high < 256 else 12
        return 0.0, float(2**bits - 1), (f"Values look like {bits} bits and were scaled as such.",)
    note = "Values have no known range; the darkest is shown black, the lightest white."
    return low, low + max(high - low, 1e-6), (note,)
