from __future__ import annotations

import os
import socket
import sys

import pytest

from inspection.supervisor import ports
from inspection.supervisor.errors import SupervisorError
from inspection.supervisor.options import Address


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address("127.0.0.1", server.getsockname()[1])


def test_a_free_port_is_fine(taken):
    ports.check_free(Address("127.0.0.1", ports.free_neighbour(taken)))


def test_a_taken_port_is_named_with_a_free_one_to_use_instead(taken):
    with pytest.raises(SupervisorError) as caught:
        ports.check_free(taken)
    said = str(caught.value)
    assert f"Port {taken.port} is taken" in said
    proposed = int(said.partition("LOUPE_PORT=")[2].split()[0])
    ports.check_free(Address("127.0.0.1", proposed))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_holder_of_a_port_is_named(taken):
    assert ports.holder(taken.port).startswith(f"process {os.getpid()} (")


def test_an_address_of_another_machine_is_called_that():
    with pytest.raises(SupervisorError, match=r"not an address of this machine.*LOUPE_BIND"):
        ports.check_free(Address("192.0.2.1", 8000))


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("loupe.example", "http://loupe.example:8000"),
    ],
)
def test_the_printed_address_can_be_opened_on_this_machine(bind, url):
    assert Address(bind, 8000).url == url
