"""Telling the known from the unknown: what is on the photo, and does the plan ask about that?"""

from __future__ import annotations

from collections.abc import Mapping
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
    summing to 1 minus the chance that it is none of them. ``familiar``: 0..1 by distance."""

    domain: str
    probabilities: NDArray[np.float64]
    distance: float
    familiar: float


def kinds(
    shows: LoupeVLM, memory: Memory, fitted: Fitted, cache: TextCache, encoded: Encoded
) -> list[Kind]:
    """Judge every photo of a batch."""
    captions = [cache.mean(domain.captions) for domain in words.DOMAINS]
    rows = torch.from_numpy(np.stack([*captions, cache.mean(words.UNKNOWN)]))
    said = shows.read_choice(encoded, rows).softmax(1).double().numpy()
    judged = memory.chances(encoded.pooled).double().numpy()
    distances = memory.distances(encoded.pooled).numpy()
    return [_kind(*each, fitted) for each in zip(said, judged, distances, strict=True)]


def _kind(
    said: NDArray[np.float64],
    judged: NDArray[np.float64],
    distances: NDArray[np.float32],
    fitted: Fitted,
) -> Kind:
    """The likeliest kind by both, the network's word and the memory's; how likely by the latter."""
    best = int((said + judged)[:-1].argmax())
    distance = float(distances[best])
    odds = (fitted.distance_limit - distance) / fitted.distance_spread
    familiar = float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
    return Kind(words.DOMAIN_NAMES[best], judged[:-1], distance, familiar)


@dataclass(frozen=True, slots=True)
class Fit:
    """Does the engine know this photo under this plan? ``reasons`` are for people."""

    in_domain: float
    reasons: tuple[str, ...]


def fit(kind: Kind, plausible: NDArray[np.bool_], fitted: Fitted) -> Fit:
    """Weigh how familiar the photo is, and whether it is of a kind that the plan is about.

    ``plausible``: bool per domain, from plan_texts.plausible_domains. How sure that must be was
    set for each kind so that most of its own photos pass (``Fitted.least_asked``).
    """
    in_domain = min(kind.familiar, asked_for(kind, plausible, fitted.least_asked))
    if in_domain >= fitted.least_in_domain:
        return Fit(in_domain, ())
    others = kind.probabilities[~plausible]
    if kind.familiar < fitted.least_in_domain or others.sum() < 0.5:
        return Fit(in_domain, ("this photo is unlike anything the model was trained on",))
    seen = words.DOMAINS[int(np.where(plausible, 0.0, kind.probabilities).argmax())].plain
    if not plausible.any():
        told = f"the plan's words are unlike anything the model knows; the photo looks like {seen}"
        return Fit(in_domain, (told,))
    meant = " or ".join(words.DOMAINS[i].plain for i in np.flatnonzero(plausible)[:3])
    return Fit(in_domain, (f"this photo looks like {seen}, but the plan asks about {meant}",))


def asked_for(kind: Kind, plausible: NDArray[np.bool_], least: Mapping[str, float]) -> float:
    """0..1: one half where the chance of the plan's kinds is just the least that is answered."""
    if not plausible.any():
        return 0.0
    chances = np.where(plausible, kind.probabilities, 0.0)
    nearest = words.DOMAIN_NAMES[int(chances.argmax())]
    cut = least.get(nearest, least["default"])
    return float(sigmoid(np.asarray(logit(float(chances.sum())) - logit(cut))))
