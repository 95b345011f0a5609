"""Secrets and signatures of the Standard Webhooks specification."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64 random bytes."""


def new_secret() -> str:
    """Make a signing secret: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(keys: Sequence[str], event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Headers of one attempt; the id is the event's, the time (aware) is the attempt's.

    One signature for each secret, separated by blanks: a receiver takes any that fits.
    ValueError where a secret is not ``whsec_`` and base64.
    """
    signatures = [_signer(secret).sign(event_id, at.astimezone(UTC), body) for secret in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a request was signed with the secret within the last five minutes."""
    try:
        _signer(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: a signature without a comma or not in base64, a body that isn't UTF-8.
        return False
    return True


def _signer(secret: str) -> Webhook:
    if not secret.removeprefix(PREFIX):
        raise ValueError("an empty secret signs nothing")
    return Webhook(secret)
