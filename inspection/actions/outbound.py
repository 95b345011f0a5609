"""HTTP calls to addresses that users typed, without a way to the inside.

The name is resolved once, every address it has must be allowed, and the connection is made to one
of exactly those addresses (so a second answer of the name server has no effect), while TLS and the
Host header keep the name. Redirects are not followed, proxies of the environment are not used, and
one deadline covers the whole call, so that no answer can be drawn out byte by byte.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from inspection.actions.addresses import IPAddress, is_inside, is_open, plain

Resolver = Callable[[str, int], Sequence[str]]

DEFAULT_PORTS = {"http": 80, "https": 443}
# Ports below 1024 belong to other protocols; those above that databases and brokers listen on.
CLOSED_PORTS = frozenset(
    {1433, 1521, 2049, 2375, 2376, 2379, 3306, 5432, 5672}
    | {6000, 6379, 6667, 9042, 9200, 11211, 27017}
)
NOT_IN_URLS = re.compile(r"[^\x21-\x7e]|\\")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
MOST_RESPONSE = 4096
"""Bytes of an answer that are read; the rest is left on the line."""


class Refused(Exception):
    """The address must not be called. Waiting won't help: somebody has to change it."""

    permanent = True


class Unreachable(Exception):
    """No complete answer: name not found, connection refused, TLS failure, time-out."""

    permanent = False


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL: ``host`` is lower case without brackets or final dot."""

    url: str
    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``headers`` with lower-case names, at most MOST_RESPONSE bytes of body."""

    status: int
    headers: dict[str, str]
    body: bytes


def check_url(url: str) -> Target:
    """Take a URL apart and refuse what a webhook never needs; Refused says what to write."""
    if NOT_IN_URLS.search(url):
        raise Refused(
            "The address has blanks, backslashes or letters beyond ASCII: write a name with "
            "such letters in its xn-- form."
        )
    parts = _split(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise Refused("Only http:// and https:// addresses can be called.")
    if "@" in parts.netloc:
        raise Refused("Take the user name and password out of the address.")
    host = _checked_host(parts)
    return Target(url, parts.scheme, host, _checked_port(parts))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Refused("The address can't be read: write https://host/path.") from None


def _checked_host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower().removesuffix(".")
    if not host:
        raise Refused("The address has no host: write https://host/path.")
    if _is_address(host):
        return host
    labels = host.split(".")
    if "[" in parts.netloc or not all(LABEL.fullmatch(label) for label in labels):
        raise Refused(f"{host!r} is not a host name.")
    # 2130706433, 0x7f.1 and 017700000001 all mean 127.0.0.1 to a resolver (WHATWG: a name whose
    # last label is a number is an address).
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):
        raise Refused(f"{host!r} is an odd way to write an address: write it as 192.0.2.1.")
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _checked_port(parts: SplitResult) -> int:
    try:
        port = parts.port if parts.port is not None else DEFAULT_PORTS[parts.scheme]
    except ValueError:
        raise Refused("The port must be a number from 1 to 65535.") from None
    if (port < 1024 and port not in (80, 443)) or port in CLOSED_PORTS:
        raise Refused(f"Port {port} belongs to another protocol: use 80, 443 or one above 1023.")
    return port


def system_resolver(host: str, port: int) -> list[str]:
    """Addresses of a host as the operating system finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def allowed_addresses(target: Target, *, inside: bool, resolve: Resolver) -> list[IPAddress]:
    """Resolve once; every address must be open, or with ``inside`` one an admin may open."""
    try:
        addresses = [plain(text) for text in resolve(target.host, target.port)]
    except (OSError, UnicodeError, ValueError) as error:
        raise Unreachable(f"The name {target.host} was not found ({error}).") from None
    if not addresses:
        raise Unreachable(f"The name {target.host} has no address.")
    for address in addresses:
        if not is_open(address) and not (inside and is_inside(address)):
            raise Refused(
                f"{target.host} leads to {address}, which is not on the public internet. An admin "
                "can allow inside hosts: LOUPE_ALLOW_INSIDE_HOSTS, and the switch on the connector."
            )
    return list(dict.fromkeys(addresses))


class _Deadline:
    """Seconds left of the one time limit of a call."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("time limit")
        return left


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every read and write ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: object,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(
            ssl_context,  # type: ignore[arg-type]
            server_hostname,
            self._deadline.left(),
        )
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever name it is asked for."""

    def __init__(self, addresses: Sequence[IPAddress], deadline: _Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        *others, last = self._addresses[:4]
        for address in others:
            share = self._deadline.left() / 2
            try:
                return self._connect(address, port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(last, port, self._deadline.left())

    def _connect(self, address: IPAddress, port: int, timeout: float) -> httpcore.NetworkStream:
        stream = self._sockets.connect_tcp(str(address), port, timeout)
        return _TimedStream(stream, self._deadline)


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    inside: bool = False,
    timeout: float = 20.0,
    resolve: Resolver = system_resolver,
) -> Answer:
    """POST to an address that a user typed.

    ``inside`` allows private and loopback addresses; ``timeout`` is in seconds for everything from
    connecting to the last byte. Raises Refused (permanent) or Unreachable (may work later); any
    status of HTTP is an Answer.
    """
    target = check_url(url)
    addresses = allowed_addresses(target, inside=inside, resolve=resolve)
    deadline = _Deadline(timeout)
    try:
        return _exchange(target, addresses, deadline, body, headers)
    except httpcore.TimeoutException:
        raise Unreachable(f"No complete answer within {timeout:g} s.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        what = str(error)[:300] or type(error).__name__
        raise Unreachable(f"The call broke off: {what}") from None


def _exchange(
    target: Target,
    addresses: Sequence[IPAddress],
    deadline: _Deadline,
    body: bytes,
    headers: dict[str, str],
) -> Answer:
    """Send the request over a connection of its own and read the beginning of the answer."""
    tls = httpx.create_ssl_context() if target.scheme == "https" else None
    pool = httpcore.ConnectionPool(
        ssl_context=tls, network_backend=_PinnedBackend(addresses, deadline)
    )
    sent: list[tuple[bytes | str, bytes | str]] = [
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        *headers.items(),
    ]
    limits = {"connect": deadline.left(), "read": deadline.left()}
    with (
        pool,
        pool.stream(
            "POST", target.url, headers=sent, content=body, extensions={"timeout": limits}
        ) as response,
    ):
        return Answer(response.status, _headers(response), _beginning(response))


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }


def _beginning(response: httpcore.Response) -> bytes:
    taken = bytearray()
    for chunk in response.iter_stream():
        taken += chunk
        if len(taken) >= MOST_RESPONSE:
            break
    return bytes(taken[:MOST_RESPONSE])
