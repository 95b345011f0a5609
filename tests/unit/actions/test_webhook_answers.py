"""How answers of receivers are judged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.actions.outbound import Answer, Refused, Unreachable
from inspection.actions.webhook.signing import new_secret
from inspection.actions.webhook.transport import MOST_SHOWN, Envelope, judge, readable, send

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def answered(status, headers=None, body=b""):
    return judge(Answer(status, headers or {}, body), NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_counts_as_delivered(status):
    assert answered(status).delivered


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 429, 500])
def test_nothing_else_does_and_it_may_be_tried_again(status):
    outcome = answered(status)
    assert not outcome.delivered
    assert not outcome.permanent
    assert str(status) in outcome.error


def test_gone_is_final():
    outcome = answered(410)
    assert outcome.gone
    assert outcome.permanent


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_honoured(status):
    assert answered(status, {"retry-after": "120"}).wish == 120


def test_the_ticket_of_the_receiver_is_read_from_its_answer():
    outcome = answered(201, body=b'{"id": 4711, "url": "https://tickets.example.com/4711"}')
    assert (outcome.reference, outcome.link) == ("4711", "https://tickets.example.com/4711")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"ok", b"[1]", b"null", b'"x"', b'{"id": null}', b'{"id": true, "url": 5}',
        b'{"id": ["x"], "url": {}}', b'{"id": "a\\u0000b", "url": "javascript:alert(1)"}',
        b'{"id": "' + b"x" * 300 + b'", "url": "https://' + b"x" * 600 + b'"}',
        b'{"url": "data:text/html,x"}', b'{"url": "//evil.example"}', b'{"url": "https://"}',
        b'{"url": "https://[::1"}', b"[" * 3000, b'{"id": ' + b"9" * 3000 + b"}",
    ],
)  # fmt: skip
def test_an_answer_without_a_usable_ticket_leaves_none(body):
    outcome = answered(200, body=body)
    assert outcome.delivered
    assert (outcome.reference, outcome.link) == ("", "")


@given(st.binary(max_size=3000))
def test_an_excerpt_is_short_and_can_be_stored(body):
    shown = readable(body)
    assert len(shown) <= MOST_SHOWN
    assert "\0" not in shown
    shown.encode()


def test_a_secret_that_cannot_sign_is_told_and_not_retried():
    envelope = Envelope("https://example.com/", ("whsec_",), "msg_1", "{}")
    outcome = send(envelope, NOW, post=lambda *a, **k: Answer(200, {}, b""))
    assert outcome.permanent
    assert "rotate" in outcome.error


@pytest.mark.parametrize(
    ("error", "permanent"), [(Refused("no"), True), (Unreachable("no"), False)]
)
def test_a_refused_address_is_final_and_an_unreachable_one_is_not(error, permanent):
    def fails(*args, **kwargs):
        raise error

    outcome = send(Envelope("https://x.example/", (new_secret(),), "msg_1", "{}"), NOW, post=fails)
    assert not outcome.delivered
    assert outcome.permanent is permanent
    assert outcome.status_code is None
