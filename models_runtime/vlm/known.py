"""Telling the known from the unknown: what is on the photo, and does the plan ask about that?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.calibration import logit, sigmoid
from models_runtime.vlm import words
from models_runtime.vlm.familiar import Memory
from models_runtime.vlm.model import Encoded, LoupeVLM
from models_runtime.vlm.plan_texts import TextCache
from models_runtime.vlm.weights import Fitted


@dataclass(frozen=True, slots=True)
class Kind:
    """What one photo shows. ``domain`` is its likeliest domain. ``probabilities``: per domain,
    summing to 1 minus the chance that it is none of them. ``distances``: per domain, from what its
    photos are like, about 1 for one of them."""

    domain: str
    probabilities: NDArray[np.float64]
    distances: NDArray[np.float32]


def kinds(
    shows: LoupeVLM, memory: Memory, fitted: Fitted, cache: TextCache, encoded: Encoded
) -> list[Kind]:
    """Judge every photo of a batch."""
    captions = [cache.mean(domain.captions) for domain in words.DOMAINS]
    rows = torch.from_numpy(np.stack([*captions, cache.mean(words.UNKNOWN)]))
    said = shows.read_choice(encoded, rows).softmax(1).double().numpy()
    judged = memory.chances(encoded.pooled).double().numpy()
    distances = memory.distances(encoded.pooled).numpy()
    return [_kind(*each) for each in zip(said, judged, distances, strict=True)]


def _kind(
    said: NDArray[np.float64], judged: NDArray[np.float64], distances: NDArray[np.float32]
) -> Kind:
    """The likeliest kind by both, the network's word and the memory's; how likely by the latter."""
    best = int((said + judged)[:-1].argmax())
    return Kind(words.DOMAIN_NAMES[best], judged[:-1], distances)


@dataclass(frozen=True, slots=True)
class Fit:
    """Does the engine know this photo under this plan? ``reasons`` are for people."""

    in_domain: float
    reasons: tuple[str, ...]


def fit(kind: Kind, plausible: NDArray[np.bool_], fitted: Fitted) -> Fit:
    """Weigh whether the photo is of a kind that the plan is about, and is like those of that kind.

    ``plausible``: bool per domain, from plan_texts.plausible_domains. How sure and how near it must
    be was set on held-out photos, so that most of a kind pass (``Fitted.least_asked``).
    """
    in_domain = like_those_asked_for(kind, plausible, fitted)
    if in_domain >= fitted.least_in_domain:
        return Fit(in_domain, ())
    others = np.where(plausible, 0.0, kind.probabilities)
    if others.sum() < 0.5:
        return Fit(in_domain, ("this photo is unlike anything the model was trained on",))
    seen = words.DOMAINS[int(others.argmax())].plain
    if not plausible.any():
        told = f"the plan's words are unlike anything the model knows; the photo looks like {seen}"
        return Fit(in_domain, (told,))
    meant = " or ".join(words.DOMAINS[i].plain for i in np.flatnonzero(plausible)[:3])
    return Fit(in_domain, (f"this photo looks like {seen}, but the plan asks about {meant}",))


def like_those_asked_for(kind: Kind, plausible: NDArray[np.bool_], fitted: Fitted) -> float:
    """0..1 by the less favourable of chance and distance; one half where that is just enough."""
    if not plausible.any():
        return 0.0
    chances = np.where(plausible, kind.probabilities, 0.0)
    nearest = int(chances.argmax())
    least = fitted.least_asked
    cut = least.get(words.DOMAIN_NAMES[nearest], least["default"])
    room = (fitted.distance_limit - float(kind.distances[nearest])) / fitted.distance_spread
    return float(sigmoid(np.array([logit(float(chances.sum())) - logit(cut), room])).min())
