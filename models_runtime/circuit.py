"""A circuit breaker: a server that is down is not asked again and again by everybody.

Closed, open and half-open as in Nygard, "Release It!" (2007): after some failures in a row calls
fail at once; after a pause one call probes, and its outcome closes or opens the circuit again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from models_runtime.errors import TransientError

FAILURES = 4
"""In a row, after which the circuit opens."""
PAUSE = 10.0
"""Seconds until the first probe; doubled after each probe that fails."""
LONGEST_PAUSE = 300.0


class Circuit:
    """Counts the failures of one server. Safe to share between threads.

    Every ``enter`` that returns is followed by one of ``succeeded``, ``failed`` or ``left``.
    """

    def __init__(
        self,
        name: str,
        failures: int = FAILURES,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._failures, self._first_pause = name, failures, pause
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._pause = pause
        self._open_until: float | None = None
        self._probing = False

    def enter(self) -> None:
        """Return where a call may go out; TransientError while the circuit is open."""
        with self._lock:
            if self._open_until is None:
                return
            left = self._open_until - self._clock()
            if left > 0 or self._probing:
                raise TransientError(
                    f"{self._name} failed {self._in_a_row} times in a row and is left alone for a "
                    "while",
                    retry_after=max(1.0, left),
                )
            self._probing = True

    def succeeded(self) -> None:
        """The server answered: close the circuit."""
        with self._lock:
            self._in_a_row, self._pause = 0, self._first_pause
            self._open_until, self._probing = None, False

    def failed(self) -> None:
        """The server did not answer, or with an error of its own."""
        with self._lock:
            self._in_a_row += 1
            if self._probing:
                self._pause = min(LONGEST_PAUSE, self._pause * 2)
            if self._probing or self._in_a_row >= self._failures:
                self._open_until = self._clock() + self._pause
            self._probing = False

    def left(self) -> None:
        """The call ended without saying anything about the server: the next one may probe."""
        with self._lock:
            self._probing = False
