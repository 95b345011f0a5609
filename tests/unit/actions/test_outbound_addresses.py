"""Which addresses a connector may call. No network is used: the resolver is a double."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.actions.addresses import is_inside, is_open, plain
from inspection.actions.outbound import (
    Refused,
    Unreachable,
    allowed_addresses,
    check_url,
    post,
)

PUBLIC = "93.184.216.34"

REFUSED_URLS = [
    # Other protocols and things that are no address
    "",
    "example.com/hook",
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://example.com:70/_x",
    "javascript:alert(1)",
    "data:text/plain,x",
    "http://",
    "http:///path",
    "https://:443/",
    "http://[::1",
    "http://[v1.x]/",
    "http://exa mple.com/",
    "http://example.com/\r\nX-Evil: 1",
    "http://example.com/\tx",
    "http://exam\x00ple.com/",
    "\x01http://example.com/",
    # User names, which hide the real host from people
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com%40127.0.0.1@evil.example/",
    "http://@example.com/",
    # Backslashes and letters that other parsers read differently
    "http://example.com\\@127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http://①②⑦.⓪.⓪.①/",
    "http://exämple.com/",
    "http://example。com/",
    # Odd ways to write 127.0.0.1
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://1.2.3.4.5/",
    "http://example.0x/",
    "http://256.256.256.256/",
    # Ports of other protocols
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:6379/",
    "http://example.com:5432/",
    "http://example.com:11211/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:http/",
    # Not host names
    "http://exa$mple.com/",
    "http://.example.com/",
    "http://example..com/",
    "http://-example.com/",
    "http://" + "a" * 64 + ".com/",
    "http://%31%32%37.0.0.1/",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_an_address_that_no_webhook_needs_is_refused_before_any_look_up(url):
    with pytest.raises(Refused) as refusal:
        check_url(url)
    assert str(refusal.value)[-1] in ".:" or "write" in str(refusal.value).lower()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com", "example.com", 443),
        ("http://example.com/hook?x=1", "example.com", 80),
        ("https://EXAMPLE.com./", "example.com", 443),
        ("https://hooks.example.com:8443/a", "hooks.example.com", 8443),
        ("http://tickets/hook", "tickets", 80),
        ("https://xn--exmple-cua.com/", "xn--exmple-cua.com", 443),
        ("http://[2606:4700::1111]:8080/", "2606:4700::1111", 8080),
        ("http://203.0.113.9.example.com/", "203.0.113.9.example.com", 80),
    ],
)
def test_an_ordinary_address_is_understood(url, host, port):
    target = check_url(url)
    assert (target.host, target.port) == (host, port)


CLOSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.9.10",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:fbff:fe00:1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", CLOSED)
def test_a_name_that_leads_to_a_special_address_is_refused(address):
    target = check_url("https://tickets.example.com/hook")
    with pytest.raises(Refused, match="not on the public internet"):
        allowed_addresses(target, inside=False, resolve=lambda host, port: [address])


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_allowed(address):
    target = check_url("https://tickets.example.com/hook")
    allowed = allowed_addresses(target, inside=False, resolve=lambda host, port: [address])
    assert allowed == [plain(address)]


def test_one_inside_address_among_public_ones_is_enough_to_refuse():
    target = check_url("https://tickets.example.com/hook")
    with pytest.raises(Refused):
        allowed_addresses(target, inside=False, resolve=lambda h, p: [PUBLIC, "10.0.0.1"])


@pytest.mark.parametrize("address", ["10.1.2.3", "172.20.0.5", "192.168.3.4", "127.0.0.1", "::1",
                                     "fd12::1", "::ffff:192.168.3.4"])  # fmt: skip
def test_an_admin_may_open_private_addresses(address):
    target = check_url("http://tickets.lan:8080/hook")
    assert allowed_addresses(target, inside=True, resolve=lambda h, p: [address])


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "::", "224.0.0.1", "fe80::1",
                                     "100.100.100.200", "fec0::1", "64:ff9b::a00:1"])  # fmt: skip
def test_not_even_an_admin_may_open_metadata_and_the_like(address):
    target = check_url("http://tickets.lan:8080/hook")
    with pytest.raises(Refused):
        allowed_addresses(target, inside=True, resolve=lambda h, p: [address])


@pytest.mark.parametrize("answer", [[], ["not an address"]])
def test_a_name_without_an_address_may_have_one_later(answer):
    with pytest.raises(Unreachable):
        post("https://tickets.example.com/", b"", {}, resolve=lambda h, p: answer)


def test_a_failing_name_server_is_a_reason_to_try_again():
    def fails(host, port):
        raise OSError("temporary failure in name resolution")

    with pytest.raises(Unreachable, match="was not found"):
        post("https://tickets.example.com/", b"", {}, resolve=fails)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_gets_in_through_a_tunnel_if_it_is_closed_itself(address):
    mapped = plain(f"::ffff:{address}")
    assert is_open(mapped) == is_open(address)
    for prefix in ("64:ff9b::", "2002::"):
        shift = 0 if prefix.startswith("64") else 80
        tunnel = ipaddress.ip_address(int(ipaddress.ip_address(prefix)) | (int(address) << shift))
        assert not is_open(tunnel)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_open_addresses_are_global_and_what_an_admin_may_open_is_not(address):
    if is_open(address):
        assert address.is_global
        assert not any((address.is_multicast, address.is_private, address.is_link_local))
        assert not is_inside(address)
    if is_inside(address):
        assert address.is_private
        assert not any((address.is_link_local, address.is_multicast, address.is_unspecified))
