"""Decode an uploaded file within limits to upright 8-bit sRGB pixels.

Everything a decoder can be made to do by a hostile or broken file ends in an InputError whose
message says what to do. Sizes are checked from the header, before any pixel is decoded.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models_runtime.contracts import PhotoPixels, Pixels
from models_runtime.errors import InputError
from models_runtime.intake.colour import to_srgb
from models_runtime.intake.exif import JsonValue, exif_values
from models_runtime.intake.kinds import photo_kind, what_it_is

_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF")
_ORIENTATION = 274
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders are known to raise on damaged files."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bytes of the file; pixels and longest side (px) of the picture.

    Pillow's own limit of 179 megapixels holds on top.
    """

    max_bytes: int = 200 * 1024 * 1024
    max_pixels: int = 100_000_000
    max_side: int = 30_000


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """An upright sRGB photo: ``pixels`` uint8 (height, width, 3).

    ``sha256`` is of the file's bytes (hex), ``original_size`` is (width, height) as stored, before
    turning it upright, ``exif`` holds plain JSON values, ``warnings`` are for the operator.
    """

    pixels: Pixels
    sha256: str
    format: str
    original_size: tuple[int, int]
    exif: dict[str, JsonValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def photo(self) -> PhotoPixels:
        """The value that engines take."""
        return PhotoPixels(self.pixels, self.sha256)


def decode_photo(source: bytes | Path, limits: DecodeLimits | None = None) -> DecodedPhoto:
    """Decode a file's bytes, or the file at a path.

    Raises InputError, with words for the operator, for whatever is no photo within the limits.
    """
    limits = limits or DecodeLimits()
    data = _read(source, limits) if isinstance(source, Path) else source
    _check_bytes(len(data), limits)
    head = data[:64]
    if photo_kind(head) is None:
        raise InputError(what_it_is(head))
    try:
        return _decode(data, limits)
    except UnidentifiedImageError:
        raise InputError(_damaged(head)) from None
    except (Image.DecompressionBombError, MemoryError):
        raise InputError(_too_many_pixels(limits)) from None
    except _BROKEN:
        raise InputError(_damaged(head)) from None


def upright_size(data: bytes, limits: DecodeLimits | None = None) -> tuple[int, int]:
    """Width and height that the photo will have when it is decoded, from its header alone.

    Raises InputError as ``decode_photo`` does, as far as the header tells.
    """
    limits = limits or DecodeLimits()
    _check_bytes(len(data), limits)
    head = data[:64]
    if photo_kind(head) is None:
        raise InputError(what_it_is(head))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _open(data) as image:
                _check_size(image.size, limits)
                turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
                width, height = image.size
    except UnidentifiedImageError:
        raise InputError(_damaged(head)) from None
    except (Image.DecompressionBombError, MemoryError):
        raise InputError(_too_many_pixels(limits)) from None
    except _BROKEN:
        raise InputError(_damaged(head)) from None
    return (height, width) if turned else (width, height)


def to_jpeg(pixels: Pixels, max_side: int = 2048, quality: int = 88) -> bytes:
    """Encode pixels for serving: no EXIF, no location, longest side at most ``max_side`` px."""
    image = Image.fromarray(pixels)
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
    return out.getvalue()


def _read(path: Path, limits: DecodeLimits) -> bytes:
    try:
        _check_bytes(path.stat().st_size, limits)
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}. Check the path.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder. Name the photos in it.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read. Change its permissions.") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.") from None


def _check_bytes(size: int, limits: DecodeLimits) -> None:
    if size == 0:
        raise InputError("This file is empty (0 bytes). Copy it again from the camera.")
    if size > limits.max_bytes:
        raise InputError(
            f"This file has {size / 1e6:,.0f} MB; the limit is {limits.max_bytes / 1e6:,.0f} MB. "
            "Save it as JPEG and upload that."
        )


def _decode(data: bytes, limits: DecodeLimits) -> DecodedPhoto:
    with warnings.catch_warnings():
        # Pillow warns of large, broken or odd files; each such case is decided here instead.
        warnings.simplefilter("ignore")
        with _open(data) as image:
            _check_size(image.size, limits)
            stored, kind = image.size, _format_name(image)
            notes = _several_pictures(image)
            # Before the EXIF is read: Pillow looks for it behind the pixels of a PNG, and after an
            # error there it would hand out a black picture.
            image.load()
            exif = exif_values(image)
            rgb, colour_notes = to_srgb(ImageOps.exif_transpose(image))
    pixels = np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8))
    digest = hashlib.sha256(data).hexdigest()
    return DecodedPhoto(pixels, digest, kind, stored, exif, (*notes, *colour_notes))


def _open(data: bytes) -> Image.Image:
    if photo_kind(data[:64]) == "HEIC":
        _register_heif()
    available = [name for name in _FORMATS if name in Image.OPEN or _load_plugins(name)]
    return Image.open(io.BytesIO(data), formats=available)


def _load_plugins(name: str) -> bool:
    Image.init()
    return name in Image.OPEN


@cache
def _register_heif() -> None:
    """Load libheif on the first HEIC photo only: it costs memory that most workers never need."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if max(size) > limits.max_side:
        raise InputError(
            f"This photo is {width:,} × {height:,} px; no side may be longer than "
            f"{limits.max_side:,} px. Cut it into parts or scale it down."
        )
    if width * height > limits.max_pixels:
        raise InputError(_too_many_pixels(limits, size))


def _too_many_pixels(limits: DecodeLimits, size: tuple[int, int] | None = None) -> str:
    has = f"has {size[0] * size[1] / 1e6:,.0f} megapixels" if size else "has too many pixels"
    most = f"{limits.max_pixels / 1e6:,.0f} megapixels"
    return f"This photo {has}; the limit is {most}. Scale it down and upload it again."


def _format_name(image: Image.Image) -> str:
    names = {"MPO": "JPEG", "WEBP": "WebP", "HEIF": "HEIC"}
    return names.get(image.format or "", image.format or "")


def _several_pictures(image: Image.Image) -> tuple[str, ...]:
    count = int(getattr(image, "n_frames", 1))
    if count < 2:
        return ()
    image.seek(0)
    if getattr(image, "is_animated", False) and image.format in ("GIF", "WEBP", "PNG", "AVIF"):
        return (f"This is an animation of {count} frames; only the first one is inspected.",)
    return (f"This file holds {count} pictures; only the first one is inspected.",)


def _damaged(head: bytes) -> str:
    kind = photo_kind(head) or "photo"
    return (
        f"This {kind} file is damaged or cut off and can't be decoded. "
        "Copy it again from the camera, or open it and save it as JPEG."
    )
