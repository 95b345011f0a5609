"""What the networks saw on the photos that came last, for all who ask about the same photo.

Choosing a plan, answering it, answering another plan and comparing with references all read from
one pass over the photo. A photo is known again by its very array of pixels, which is taken to stay
as it is; nothing is kept of a photo that nobody holds any more.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import fields

import torch

from models_runtime.contracts import PhotoPixels, Pixels
from models_runtime.vlm.model import Encoded

MOST = 8
"""Photos; at 2 to 3 MB each."""

Look = Callable[[Sequence[PhotoPixels]], Encoded]


class Encodings:
    """Encodings of the latest photos. Threads may share one."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[weakref.ref[Pixels], Encoded]] = OrderedDict()

    def of(self, photos: Sequence[PhotoPixels], look: Look) -> Encoded:
        """The encodings of these photos in order, from one pass over those that are not known."""
        known = [self.known(photo) for photo in photos]
        new = [photo for photo, found in zip(photos, known, strict=True) if found is None]
        if not new:
            return _joined([found for found in known if found is not None])
        seen = look(new)
        for number, photo in enumerate(new):
            self._keep(photo.pixels, single(seen, number))
        if len(new) == len(photos):
            return seen
        fresh = iter([single(seen, number) for number in range(len(new))])
        return _joined([next(fresh) if found is None else found for found in known])

    def known(self, photo: PhotoPixels) -> Encoded | None:
        """What was seen on a photo that was looked at lately."""
        pixels = photo.pixels
        with self._lock:
            self._forget_the_gone()
            found = self._kept.get(id(pixels))
            if found is None or found[0]() is not pixels:
                return None
            self._kept.move_to_end(id(pixels))
            return found[1]

    def _keep(self, pixels: Pixels, one: Encoded) -> None:
        # A copy of its own: a part of a batch would keep the whole batch in memory.
        copy = _each(one, torch.Tensor.clone)
        with self._lock:
            self._kept[id(pixels)] = (weakref.ref(pixels), copy)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def _forget_the_gone(self) -> None:
        for key in [key for key, (photo, _) in self._kept.items() if photo() is None]:
            del self._kept[key]


def single(encoded: Encoded, number: int) -> Encoded:
    """One photo's part of a pass over several."""
    return _each(encoded, lambda tensor: tensor[number : number + 1])


def _each(encoded: Encoded, change: Callable[[torch.Tensor], torch.Tensor]) -> Encoded:
    return Encoded(**{one.name: change(getattr(encoded, one.name)) for one in fields(Encoded)})


def _joined(parts: Sequence[Encoded]) -> Encoded:
    if len(parts) == 1:
        return parts[0]
    names = [one.name for one in fields(Encoded)]
    return Encoded(**{name: torch.cat([getattr(one, name) for one in parts]) for name in names})
