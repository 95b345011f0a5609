"""Where a connector's events go, and whether that may be an address of the own network."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from inspection.models import Connector

DEMO_KEY = "demo"
"""Key of the connector that leads to the built-in receiver."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address, and whether private and loopback addresses may be called for it."""

    url: str
    inside: bool


def destination(connector: Connector) -> Destination:
    """The address in force. The demo's follows the port on which the application listens."""
    if leads_to_demo(connector):
        return Destination(demo_hook_url(connector.site.slug), inside=True)
    return Destination(connector.url, inside=may_go_inside(connector))


def may_go_inside(connector: Connector) -> bool:
    """Two keys to the door: the operator of the machine lists the host, an admin flips a switch."""
    return connector.allow_inside and is_listed_inside(connector.url)


def is_listed_inside(url: str) -> bool:
    """Tell whether LOUPE_ALLOW_INSIDE_HOSTS names the host of this address."""
    listed = {host.lower().strip("[]").removesuffix(".") for host in settings.ALLOW_INSIDE_HOSTS}
    try:
        host = (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return False
    return bool(host) and host in listed


def leads_to_demo(connector: Connector) -> bool:
    """Tell whether this is the demo's own connector, while the demo is on."""
    if not settings.SHOW_DEMO or connector.key != DEMO_KEY:
        return False
    try:
        path = urlsplit(connector.url).path
    except ValueError:
        return False
    return path == reverse("demo-receiver-hook", args=[connector.site.slug])


def demo_hook_url(slug: str) -> str:
    """Address of a site's built-in receiver, as this machine calls it."""
    return settings.PUBLIC_URL + reverse("demo-receiver-hook", args=[slug])
