"""What of a setting may be shown: in records, on pages, in logs and in messages.

A setting string may hold a password or a key, rightly or by mistake. What is shown is made from an
allow-list, so that an option nobody thought of stays hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

HIDDEN = "***"

_PLAIN_OPTIONS = frozenset({
    "attempts", "boxes", "checkpoint", "cost_per_hour", "device", "dtype", "image", "key_env",
    "model", "precision", "side", "timeout", "tokens", "trust",
})  # fmt: skip
_WORD = re.compile(r"[a-z][a-z_-]{0,19}")
_IN_URLS = re.compile(r"(?<=://)[^/\s@]+@")


def shown_setting(text: str) -> str:
    """An engine's setting string without user names, passwords, keys and unknown options."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon or not shown_word(scheme):
        return shown_word(text.strip()) or HIDDEN
    target, _, query = rest.rpartition("?") if "?" in rest else (rest, "", "")
    options = [
        f"{shown_word(key) or HIDDEN}={value if key in _PLAIN_OPTIONS else HIDDEN}"
        for key, value in parse_qsl(query, keep_blank_values=True)
    ]
    return f"{scheme}:{shown_url(target)}" + (f"?{'&'.join(options)}" if options else "")


def shown_url(address: str) -> str:
    """An address without user name, password, query and fragment; other texts as they are."""
    if "://" not in address:
        before, at, after = address.rpartition("@")
        return f"{HIDDEN}@{after}" if at and before else address
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{address.partition('://')[0]}://{HIDDEN}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def shown_word(text: str) -> str:
    """A short lower-case word such as a scheme or an option's name; "" where it is none."""
    return text if _WORD.fullmatch(text) else ""


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """Another program's words without these secrets and without log-ins in addresses."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return _IN_URLS.sub(f"{HIDDEN}@", text)
