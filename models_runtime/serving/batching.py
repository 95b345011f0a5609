"""Requests that come at the same time are answered in one pass of the model.

One thread per model works off a queue: it takes the request that waits longest, waits a few
milliseconds for others with the same question, and hands them to the engine together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from models_runtime.errors import TransientError

I = TypeVar("I")  # noqa: E741 the item type
O = TypeVar("O")  # noqa: E741 the answer type


@dataclass(eq=False, slots=True)
class _Waiting(Generic[I]):
    key: Hashable
    item: I
    future: Future[Any] = field(default_factory=Future)


class Batcher(Generic[I, O]):
    """``work(key, items)`` answers items of one key, one each. ``most``: items in one pass.
    ``wait``: seconds the first of a batch waits for others."""

    def __init__(
        self, work: Callable[[Any, list[I]], list[O]], most: int, wait: float, name: str
    ) -> None:
        self._work, self._most, self._wait = work, max(1, most), wait
        self._queue: list[_Waiting[I]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"batches of {name}", daemon=True)
        self._thread.start()

    def ask(self, key: Hashable, item: I, timeout: float) -> O:
        """Wait for the answer; TransientError where it takes longer or the server stops."""
        waiting = _Waiting(key, item)
        with self._changed:
            if self._closed:
                raise TransientError("the server is stopping", retry_after=5.0)
            self._queue.append(waiting)
            self._changed.notify_all()
        try:
            answer: O = waiting.future.result(timeout)
        except TimeoutError:
            waiting.future.cancel()
            raise TransientError(
                f"no answer within {timeout:g} s: the server is overloaded", retry_after=10.0
            ) from None
        return answer

    def close(self) -> None:
        """Take nothing more, and end when all that waits is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[_Waiting[I]]:
        """The next items of one key, the longest-waiting first; none once it is closed."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if not self._queue:
                return []
            key, until = self._queue[0].key, time.monotonic() + self._wait
            while self._alike(key) < self._most and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            batch = [w for w in self._queue if w.key == key][: self._most]
            self._queue = [w for w in self._queue if w not in batch]
            return batch

    def _alike(self, key: Hashable) -> int:
        return sum(w.key == key for w in self._queue)

    def _answer(self, batch: list[_Waiting[I]]) -> None:
        """Answer together; where that fails, one by one, so that only the culprit's caller sees it.
        Whatever an engine raises belongs to the caller, never to this thread."""
        asked = [w for w in batch if w.future.set_running_or_notify_cancel()]
        if not asked:
            return
        try:
            answers = self._work(asked[0].key, [w.item for w in asked])
            pairs = list(zip(asked, answers, strict=True))
        except Exception as error:  # noqa: BLE001
            if len(asked) == 1:
                asked[0].future.set_exception(error)
            else:
                self._one_by_one(asked)
            return
        for waiting, answer in pairs:
            waiting.future.set_result(answer)

    def _one_by_one(self, asked: list[_Waiting[I]]) -> None:
        for waiting in asked:
            try:
                waiting.future.set_result(self._work(waiting.key, [waiting.item])[0])
            except Exception as error:  # noqa: BLE001
                waiting.future.set_exception(error)
