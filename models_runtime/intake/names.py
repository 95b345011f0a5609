"""Clean file names that came from outside."""

from __future__ import annotations

import re
import unicodedata

_RESERVED = re.compile(r'[<>:"|?*]+')
_MAX_CHARACTERS = 120
_MAX_BYTES = 200
_MAX_SUFFIX = 10


def clean_name(raw: str, fallback: str = "photo") -> str:
    """Return the last path part in NFC, without control, format or reserved characters.

    At most 120 characters and 200 bytes of UTF-8, the suffix kept; ``fallback`` where nothing is
    left. Invisible direction marks go too: they make ``gpj.exe`` look like ``exe.jpg``.
    """
    last = re.split(r"[/\\]", raw.rstrip("/\\ "))[-1]
    visible = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    text = unicodedata.normalize("NFC", _RESERVED.sub("_", visible))
    text = " ".join(text.split()).strip(". ")
    return _shorten(text) or fallback


def _shorten(text: str) -> str:
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix) > _MAX_SUFFIX or not suffix.isascii():
        stem, dot, suffix = text, "", ""
    stem = stem[: _MAX_CHARACTERS - len(dot + suffix)]
    room = _MAX_BYTES - len((dot + suffix).encode())
    stem = stem.encode()[:room].decode("utf-8", errors="ignore")
    return (stem.strip(". ") + dot + suffix).strip(". ")
