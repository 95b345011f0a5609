"""Somebody at work: a browser that is signed in, on the pages of a unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from browser_world import opened
from django.conf import settings
from playwright.sync_api import Browser, Page
from screen_world import Screens

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
READY = "window.loupeViewer?.osd.world.getItemCount() === 1"
"""True when the photo is shown."""


@contextmanager
def desk(browser: Browser, base: str, screens: Screens, who: str, **options: Any) -> Iterator[Page]:
    """A browser of somebody signed in."""
    with opened(browser, base, **({"viewport": WIDE} | options)) as page:
        value = screens.client(who).cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]
        )
        yield page
