"""A progress line on stderr, where a person is looking."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts photos and says how long the rest will take; silent where stderr is no terminal."""

    def __init__(self, total: int, word: str = "photos") -> None:
        self._total, self._word = total, word
        self._done = 0
        self._started = time.monotonic()
        self._shown = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Show what is going on now."""
        if self._shown:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def advance(self, by: int = 1) -> None:
        """Count photos that are done."""
        self._done += by
        spent = time.monotonic() - self._started
        left = spent / self._done * (self._total - self._done)
        self.say(f"{self._done} of {self._total} {self._word}, about {left:.0f} s left")

    def clear(self) -> None:
        """Take the line away, so that output can follow."""
        self.say("")
