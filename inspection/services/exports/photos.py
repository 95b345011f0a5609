"""Photos for an export: upright, in the pixels that masks and boxes are in, without EXIF.

A JPEG that is upright already is copied without loss, only its EXIF, XMP and comments are cut out:
they may tell where and by whom a photo was taken. What is not upright, or a format that readers of
data sets don't know, is decoded and written anew: losslessly as PNG where it was without loss, else
as JPEG.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings

from inspection.models import Photo
from inspection.pipeline.photos import decode
from inspection.services.intake import fetch
from models_runtime.errors import InputError

LOSSLESS = ("PNG", "BMP", "TIFF", "GIF")
QUALITY = 95
ORIENTATION = 274
_CUT = {0xE1, 0xED, 0xFE}
"""APP1 (EXIF, XMP), APP13 (IPTC) and comments."""


def export_name(photo: Photo) -> str:
    """A name that says what people called the photo and that no other photo has: with it the
    annotations find their photo when they come back."""
    stem = photo.name.rpartition(".")[0] or photo.name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii")
    clean = re.sub(r"[^A-Za-z0-9.-]+", "-", plain).strip("-.")[:60] or "photo"
    suffix = "png" if photo.format in LOSSLESS else "jpg"
    return f"{clean}_{photo.pk.hex}.{suffix}"


def export_bytes(photo: Photo) -> bytes | None:
    """The photo's file for an export; None where its original is gone or can't be decoded."""
    try:
        data = fetch(photo.original_key)
    except FileNotFoundError:
        return None
    if photo.format == "JPEG" and _is_upright(data, photo) and (plain := without_exif(data)):
        return plain
    try:
        return _written_anew(photo)
    except InputError:
        return None


def _is_upright(data: bytes, photo: Photo) -> bool:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
                plain = image.mode in ("RGB", "L")
                return plain and not turned and image.size == (photo.width, photo.height)
        except (OSError, SyntaxError, ValueError):
            return False


def without_exif(data: bytes) -> bytes | None:
    """A JPEG without what tells of place and people; None where it can't be cut apart safely (it is
    damaged, or holds several pictures)."""
    if data[:2] != b"\xff\xd8":
        return None
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == 0xFF:  # a fill byte
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place : place + 2 + length]
        if kind == 0xDA:  # from here on pixels
            end = data.rfind(b"\xff\xd9")
            return b"".join([*kept, data[place : end + 2]]) if end > place else None
        if kind == 0xE2 and segment[4:8] == b"MPF\0":
            return None
        if kind not in _CUT:
            kept.append(segment)
        place += 2 + length
    return None


def _written_anew(photo: Photo) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    upright: Image.Image = Image.fromarray(decode(photo.original_key).pixels)
    if photo.format in LOSSLESS:
        upright.save(out, "PNG")
    else:
        upright.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()
