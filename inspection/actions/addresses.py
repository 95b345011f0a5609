"""Which network addresses a connector may call.

Global unicast only, by the IANA special-purpose registries (RFC 6890), with the tunnels out of
that space (NAT64, 6to4, Teredo, IPv4-mapped) closed as well: they lead to IPv4 addresses that
would have been refused by themselves.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPAddress = IPv4Address | IPv6Address

# Python 3.11's own tables leave these out or call them global.
CLOSED_V4 = (
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT, and a cloud's metadata at 100.100.100.200
    IPv4Network("168.63.129.16/32"),  # a cloud's host agent, on a public address
    IPv4Network("192.0.0.0/24"),  # protocol assignments, and a cloud's metadata
    IPv4Network("192.88.99.0/24"),  # relays to 6to4
    IPv4Network("198.18.0.0/15"),  # benchmarks
)
OPEN_V6 = IPv6Network("2000::/3")
CLOSED_V6 = (
    IPv6Network("2001::/23"),  # Teredo, ORCHID and other protocol assignments
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)


def is_open(address: IPAddress) -> bool:
    """Tell whether an address is global unicast, so that anybody on the internet could call it."""
    if isinstance(address, IPv6Address):
        return address in OPEN_V6 and not any(address in net for net in CLOSED_V6)
    special = address.is_multicast or address.is_reserved or not address.is_global
    return not special and not any(address in net for net in CLOSED_V4)


def is_inside(address: IPAddress) -> bool:
    """Tell whether an admin may open an address: private or loopback, never link-local or worse.

    Link-local stays closed because clouds keep credentials there (169.254.169.254).
    """
    if isinstance(address, IPv6Address):
        return address.is_loopback or address in IPv6Network("fc00::/7")
    return address.is_loopback or any(address in net for net in PRIVATE_V4)


PRIVATE_V4 = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
)


def plain(text: str) -> IPAddress:
    """Parse an address and unwrap an IPv4-mapped one; ValueError where it is none."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
