"""EXIF as plain JSON values: evidence for the site's own eyes, never for what is served."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PIL import ExifTags, Image

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | list[JsonScalar] | dict[str, "JsonValue"]

_MAX_TEXT = 500
_MAX_ITEMS = 32
_MAX_TAGS = 200
_SKIPPED = {"MakerNote", "PrintImageMatching", "UserComment", "XMLPacket", "ImageResources"}
_TIFF_STORAGE = {
    "StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "JPEGTables",
    "InterColorProfile", "ColorMap", "ExifOffset", "GPSInfo", "InteroperabilityIFD",
}  # fmt: skip


def exif_values(image: Image.Image) -> dict[str, JsonValue]:
    """Return the tags by name; ``gps`` holds degrees (WGS 84, south and west negative), metres.

    Texts lose control characters and are cut at 500 characters, undefined fractions become null,
    so that the result can be stored as JSON in any database. A broken block gives an empty dict.
    """
    try:
        exif = image.getexif()
        values = _named(exif, ExifTags.TAGS)
        values |= _named(exif.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS)
        gps = _position(_named(exif.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPSTAGS))
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return {}
    return {**values, "gps": gps} if gps else values


def _named(tags: Mapping[int, object], names: Mapping[int, str]) -> dict[str, JsonValue]:
    named: dict[str, JsonValue] = {}
    for tag, raw in list(tags.items())[:_MAX_TAGS]:
        name = names.get(tag)
        if name is None or name in _SKIPPED or name in _TIFF_STORAGE:
            continue
        value = _plain(raw)
        if value is not None:
            named[name] = value
    return named


def _plain(raw: object) -> JsonValue:
    if isinstance(raw, tuple | list):
        return [_scalar(item) for item in raw[:_MAX_ITEMS]]
    return _scalar(raw)


def _scalar(raw: object) -> JsonScalar:
    if isinstance(raw, bytes) and len(raw) == 1:
        return raw[0]
    if isinstance(raw, bytes):
        raw = raw[:_MAX_TEXT].decode("utf-8", errors="replace")
    if isinstance(raw, str):
        return "".join(c for c in raw if c.isprintable())[:_MAX_TEXT].strip()
    if isinstance(raw, bool | int):
        return raw if abs(raw) < 2**63 else None
    try:
        number = float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _position(gps: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Add signed decimal degrees to the raw GPS tags where both coordinates are whole."""
    latitude = _degrees(gps.get("GPSLatitude"), gps.get("GPSLatitudeRef"), "S", 90)
    longitude = _degrees(gps.get("GPSLongitude"), gps.get("GPSLongitudeRef"), "W", 180)
    found: dict[str, JsonValue] = {}
    if latitude is not None and longitude is not None:
        found |= {"latitude": latitude, "longitude": longitude}
    altitude = gps.get("GPSAltitude")
    if isinstance(altitude, float | int):
        below = gps.get("GPSAltitudeRef") == 1
        found["altitude_m"] = -altitude if below else altitude
    if gps.get("GPSDateStamp"):
        found["date"] = gps["GPSDateStamp"]
    return found


def _degrees(parts: JsonValue, side: JsonValue, negative: str, most: int) -> float | None:
    if not isinstance(parts, list) or len(parts) != 3:
        return None
    numbers = [float(p) for p in parts if isinstance(p, int | float)]
    if len(numbers) != 3:
        return None
    value = numbers[0] + numbers[1] / 60 + numbers[2] / 3600
    return round(-value if side == negative else value, 7) if value <= most else None
