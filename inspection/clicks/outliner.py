"""Prompts to masks. A photo is read and looked at once, in the background; after that an answer
costs the decoder only, and for small things on large photos a closer look at one place."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from inspection.clicks.embeddings import Embeddings
from models_runtime.contracts import MaskCandidate, Prompt
from models_runtime.errors import EngineError, InputError
from models_runtime.scaling import WorkingCopy
from models_runtime.zooming import (
    Window,
    cut_out,
    extent_of,
    in_photo,
    prompt_in,
    window_for,
)

if TYPE_CHECKING:
    from models_runtime.contracts import ImageEmbedding, PhotoPixels, Segmenter

logger = logging.getLogger(__name__)

MOST_MASKS = 3
EXPECTED_S = 3.0
"""How long a first look is thought to take before one was measured."""
MOST_WAITING = 32
CHEAP_S = 1.0
"""A closer look at one place is taken where a look costs no more than this."""
CHEAP_INPUT = 512
"""Or where the engine's input is no larger than this, in pixels, while none was measured yet."""

Read = Callable[[str], "PhotoPixels"]
"""From the key of a stored original to its pixels."""


class BusyError(Exception):
    """Too many photos wait to be looked at."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The photo is being looked at. ``progress`` is a share by the time such a look takes."""

    progress: float
    words: str


@dataclass(slots=True)
class Job:
    """One look at a photo or at a part of it."""

    words: str = "Waits for other photos"
    begun: float | None = None
    future: Future[ImageEmbedding] = field(default_factory=Future)


class Outliner:
    """Masks for prompts on stored photos; any thread may ask. Models load with the first photo."""

    def __init__(self, load: Callable[[], Segmenter], read: Read, kept: Embeddings) -> None:
        self._load, self._read, self._kept = load, read, kept
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="look")
        self._segmenter: Segmenter | None = None
        self._expected = EXPECTED_S
        self._took: float | None = None

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def outline(
        self, photo: str, prompt: Prompt | None, patience: float
    ) -> list[MaskCandidate] | Waiting:
        """Masks for a prompt, best first, or how far the look at the photo is after ``patience``
        seconds; without a prompt only the look is taken. ``photo`` is the key of its original.

        InputError where photo or prompt can't be used, EngineError where the engine can't.
        """
        deadline = time.monotonic() + patience
        whole = self._look(photo, None, deadline)
        if isinstance(whole, Waiting):
            return whole
        if prompt is None:
            return []
        segmenter = self._ready_segmenter()
        seen = segmenter.decode(whole, [prompt])[0]
        closer = self._closer(photo, prompt, whole, seen, deadline)
        if isinstance(closer, Waiting):
            return closer
        found = closer or seen
        return [one for one in found if one.area > 0][:MOST_MASKS]

    def _closer(
        self,
        photo: str,
        prompt: Prompt,
        whole: ImageEmbedding,
        seen: Sequence[MaskCandidate],
        deadline: float,
    ) -> list[MaskCandidate] | Waiting | None:
        """What is seen in the window around it; None where a window shows no more."""
        guess = [] if prompt.box else [one.box for one in seen[:1]]
        extent, side = extent_of(prompt, guess), max(whole.input_size)
        window = window_for(extent, whole.size, side) if extent and self._is_cheap(side) else None
        moved = prompt_in(prompt, window) if window else None
        if window is None or moved is None:
            return None
        part = self._look(photo, window, deadline)
        if isinstance(part, Waiting):
            return part
        found = self._ready_segmenter().decode(part, [moved])[0]
        return [in_photo(one, window, whole.size) for one in found[:MOST_MASKS]]

    def _is_cheap(self, side: int) -> bool:
        return side <= CHEAP_INPUT if self._took is None else self._took <= CHEAP_S

    def _look(self, photo: str, window: Window | None, deadline: float) -> ImageEmbedding | Waiting:
        if self._segmenter is not None:
            found = self._kept.get(self._name(photo, window))
            if found is not None:
                return found
        name = f"{photo} {window}"
        job = self._job(name, photo, window)
        wait([job.future], timeout=max(0.0, deadline - time.monotonic()))
        if not job.future.done():
            return self._waiting(job)
        with self._lock:
            self._jobs.pop(name, None)
        return job.future.result()

    def _job(self, name: str, photo: str, window: Window | None) -> Job:
        with self._lock:
            known = self._jobs.get(name)
            if known is not None:
                return known
            if len(self._jobs) >= MOST_WAITING:
                self._forget_done()
            if len(self._jobs) >= MOST_WAITING:
                raise BusyError
            job = self._jobs[name] = Job()
            job.future = self._pool.submit(self._run, job, photo, window)
            return job

    def _forget_done(self) -> None:
        """Nobody came back for these; what they saw is in the cache."""
        for name in [name for name, job in self._jobs.items() if job.future.done()]:
            del self._jobs[name]

    def _run(self, job: Job, photo: str, window: Window | None) -> ImageEmbedding:
        job.begun = time.monotonic()
        found = self._embedding(job, photo, window)
        self._expected = 0.5 * self._expected + 0.5 * (time.monotonic() - job.begun)
        return found

    def _embedding(self, job: Job, photo: str, window: Window | None) -> ImageEmbedding:
        job.words = "Loading the model"
        segmenter = self._ready_segmenter()
        name = self._name(photo, window)
        found = self._kept.get(name)
        if found is not None:
            return found
        job.words = "Reading the photo"
        pixels = self._read(photo)
        job.words = "Looking at the photo" if window is None else "Looking more closely"
        if window is not None:
            return self._kept.add(name, self._timed(segmenter, cut_out(pixels, window)))
        seen = self._timed(segmenter, WorkingCopy.of(pixels).photo)
        # Masks come out in pixels of the photo at once, whatever the size it was looked at.
        return self._kept.add(name, replace(seen, size=(pixels.height, pixels.width)))

    def _timed(self, segmenter: Segmenter, photo: PhotoPixels) -> ImageEmbedding:
        begun = time.monotonic()
        seen = segmenter.embed(photo)
        self._took = time.monotonic() - begun
        return seen

    def _ready_segmenter(self) -> Segmenter:
        if self._segmenter is None:
            self._segmenter = self._load()
        return self._segmenter

    def _name(self, photo: str, window: Window | None) -> str:
        return f"{self._ready_segmenter().ref.version} {photo} {window}"

    def _waiting(self, job: Job) -> Waiting:
        if job.begun is None:
            return Waiting(0.0, job.words)
        share = (time.monotonic() - job.begun) / max(self._expected, 0.1)
        return Waiting(round(min(0.95, share), 2), job.words)


def words_for(error: EngineError) -> str:
    """What a reviewer is told of an engine that failed."""
    if isinstance(error, InputError):
        return str(error)
    logger.error("the segmenter failed: %s", error)
    return (
        "Outlining by click does not work just now: the segmentation engine failed. Draw with "
        "brush or polygon, and tell whoever runs Loupe (LOUPE_SAM; the log of clicks says why)."
    )
