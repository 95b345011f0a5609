"""Calls over real sockets: pinning, no redirects, one deadline for all."""

from __future__ import annotations

import socket
import time

import pytest
from webhook_server import receiver

from inspection.actions.outbound import (
    MOST_RESPONSE,
    Refused,
    Unreachable,
    allowed_addresses,
    check_url,
    post,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def listening():
    with receiver() as running:
        yield running


def call(url, addresses=("127.0.0.1",), **options):
    answers = {"inside": True, "timeout": 5.0, "resolve": lambda host, port: list(addresses)}
    return post(url, b'{"a":1}', {"X-Own": "yes"}, **(answers | options))


def test_the_connection_goes_to_the_checked_address_and_keeps_the_name(listening):
    listening.answers(200, b"ok")
    answer = call(listening.url("/hook?x=1", host="tickets.example.com"))
    (request,) = listening.requests
    assert (answer.status, answer.body) == (200, b"ok")
    assert request.path == "/hook?x=1"
    assert request.headers["host"] == f"tickets.example.com:{listening.port}"
    assert request.headers["x-own"] == "yes"
    assert request.body == b'{"a":1}'


def test_a_name_server_that_changes_its_mind_has_no_effect(listening, monkeypatch):
    looked_up = []

    def rebinding(host, port):
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["10.0.0.1"]

    def by_name(host, *args, **kwargs):
        raise AssertionError(f"{host} was looked up a second time")

    real = socket.create_connection
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda address, *a, **k: (
            real(address, *a, **k) if address[0] == "127.0.0.1" else by_name(address[0])
        ),
    )
    call(listening.url(host="rebind.example.com"), resolve=rebinding)
    assert looked_up == ["rebind.example.com"]
    assert len(listening.requests) == 1


def test_a_name_that_first_leads_outside_and_then_inside_is_checked_each_time(listening):
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    def resolve(host, port):
        return next(answers)

    target = check_url(listening.url(host="rebind.example.com"))
    allowed_addresses(target, inside=False, resolve=resolve)
    with pytest.raises(Refused):
        call(listening.url(host="rebind.example.com"), inside=False, resolve=resolve)
    assert listening.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_the_own_machine_is_not_called_without_leave(listening, host):
    with pytest.raises(Refused):
        post(listening.url(host=host), b"{}", {})
    assert listening.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(listening, status):
    listening.answers(status, Location=listening.url("/inside"))
    assert call(listening.url()).status == status
    assert [request.path for request in listening.requests] == ["/hook"]


def test_proxies_of_the_environment_are_not_used(listening, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert call(listening.url()).status == 204


def test_a_long_answer_is_cut_and_not_read_to_the_end(listening):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        while not listening.done.is_set():
            handler.wfile.write(b"x" * 65536)

    listening.answer = endless
    began = time.monotonic()
    assert call(listening.url()).body == b"x" * MOST_RESPONSE
    assert time.monotonic() - began < 4


def _drip(listening, head, every):
    def slowly(handler):
        handler.wfile.write(head)
        while not listening.done.wait(every):
            handler.wfile.write(b"x")

    listening.answer = slowly


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",  # a body drawn out
        b"HTTP/1.1 200 OK\r\nX-Long: ",  # a header drawn out
        b"",  # nothing that is HTTP
    ],
    ids=["body", "header", "status"],
)
def test_an_answer_drawn_out_byte_by_byte_ends_at_the_deadline(listening, head):
    _drip(listening, head, every=0.05)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        call(listening.url(), timeout=0.6)
    assert time.monotonic() - began < 3


def test_silence_ends_at_the_deadline(listening):
    listening.answer = lambda handler: listening.done.wait(10) and None
    with pytest.raises(Unreachable, match=r"within 0\.3 s"):
        call(listening.url(), timeout=0.3)


def test_a_closed_port_is_unreachable_and_the_next_address_is_tried(listening):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            call(f"http://tickets.example.com:{closed.getsockname()[1]}/")
    both = ["127.0.0.2", "127.0.0.1"]
    assert call(listening.url(host="tickets.example.com"), addresses=both).status == 204


@pytest.mark.parametrize("junk", [b"\x00\xff\x00 junk\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b""])
def test_what_is_not_http_is_unreachable(listening, junk):
    def answer(handler):
        handler.wfile.write(junk)
        handler.close_connection = True

    listening.answer = answer
    with pytest.raises(Unreachable):
        call(listening.url())


def test_plain_http_behind_https_is_unreachable(listening):
    with pytest.raises(Unreachable):
        call(listening.url().replace("http:", "https:"))
