"""A verdict or word that can't be taken."""

from __future__ import annotations


class ReviewRefusedError(Exception):
    """The verdict can't be taken; the message says what to do instead."""
