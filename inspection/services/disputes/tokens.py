"""Tokens of links: made, checked for being ours, and looked up by what is stored of them.

A token is 144 random bits and the first 144 bits of their HMAC-SHA256, both as base64url without
padding: 24 characters each. The random part can't be guessed; the signed part lets a forged token
be turned away without asking the database. Stored is only the SHA-256 of the whole: a token with
so many random bits needs no slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

from django.conf import settings
from django.utils.crypto import salted_hmac

RANDOM_BYTES = 18
SIGNED_BYTES = 18
LENGTH = 48
SALT = "inspection.services.disputes.tokens"
NOBODY = "0" * 64


def new_token() -> str:
    """A token that nobody has had before."""
    random = _text(secrets.token_bytes(RANDOM_BYTES))
    return random + _signature(random, settings.SECRET_KEY)


def is_genuine(token: str) -> bool:
    """Whether we made it: compared in constant time, with the current key and those before it."""
    if len(token) != LENGTH or not token.isascii():
        return False
    random, signature = token[: LENGTH // 2], token[LENGTH // 2 :]
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    found = [hmac.compare_digest(signature, _signature(random, key)) for key in keys]
    return any(found)


def digest_of(token: str) -> str:
    """What is stored of it, as hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_same(stored: str, token: str) -> bool:
    """Whether a stored digest is this token's, compared in constant time."""
    return hmac.compare_digest(stored, digest_of(token))


def device_of(address: str, agent: str) -> str:
    """Sixteen hex digits that tell devices apart, and from which no address can be read."""
    return salted_hmac(f"{SALT}.device", f"{address}\n{agent}", algorithm="sha256").hexdigest()[:16]


def _signature(random: str, key: str | bytes) -> str:
    made = salted_hmac(SALT, random, secret=key, algorithm="sha256")
    return _text(made.digest()[:SIGNED_BYTES])


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii")
