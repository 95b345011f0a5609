"""What stops a start, in words for the person at the terminal."""

from __future__ import annotations


class SupervisorError(RuntimeError):
    """Something this machine needs can't be started; the message says what to do."""
