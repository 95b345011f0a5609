"""Signatures, checked against the reference implementation of the specification."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from inspection.actions.webhook.signing import is_genuine, new_secret, signed_headers

BODY = '{"type":"ping","data":{"words":"grün ✓"}}'


def signed(secret, body=BODY, at=None, event_id="msg_1"):
    return signed_headers([secret], event_id, at or datetime.now(UTC), body)


def test_a_secret_is_prefixed_base64_of_at_least_24_bytes_and_never_the_same():
    first, second = new_secret(), new_secret()
    assert first.startswith("whsec_")
    assert 24 <= len(base64.b64decode(first.removeprefix("whsec_"))) <= 64
    assert first != second


def test_the_signature_is_the_one_that_the_specification_describes():
    secret = new_secret()
    at = datetime(2026, 11, 23, tzinfo=UTC)
    headers = signed(secret, at=at)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"msg_1.{int(at.timestamp())}.{BODY}".encode()
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == str(int(at.timestamp()))


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_the_reference_implementation_accepts_what_is_sent(body):
    secret = new_secret()
    Webhook(secret).verify(body.encode(), signed(secret, body), json_parse=False)
    assert is_genuine(secret, signed(secret, body), body.encode())


def test_after_a_rotation_both_receivers_accept():
    new, old = new_secret(), new_secret()
    headers = signed_headers([new, old], "msg_1", datetime.now(UTC), BODY)
    assert is_genuine(new, headers, BODY.encode())
    assert is_genuine(old, headers, BODY.encode())
    assert not is_genuine(new_secret(), headers, BODY.encode())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_timestamp_is_not_genuine(minutes):
    secret = new_secret()
    headers = signed(secret, at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert not is_genuine(secret, headers, BODY.encode())


@pytest.mark.parametrize("change", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_changed_or_missing_header_is_not_genuine(change):
    secret = new_secret()
    headers = signed(secret)
    without = {name: value for name, value in headers.items() if name != change}
    assert not is_genuine(secret, without, BODY.encode())
    other = signed(secret, at=datetime.now(UTC) - timedelta(seconds=7), event_id="msg_2")
    assert not is_genuine(secret, {**headers, change: other[change]}, BODY.encode())


@pytest.mark.parametrize(
    "signature", ["", "v1", "v1,", "v1,%%%", "v1,äöü", "v2,abc=", "a,b,c", "v1,abc= v1", " "]
)
def test_a_malformed_signature_is_answered_and_never_crashes(signature):
    secret = new_secret()
    headers = {**signed(secret), "webhook-signature": signature}
    assert not is_genuine(secret, headers, BODY.encode())


@given(st.binary(max_size=100))
def test_no_body_crashes_the_receiver(body):
    secret = new_secret()
    assert not is_genuine(secret, signed(secret, "something else"), body)
