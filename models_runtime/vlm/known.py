"""Telling the known from the unknown: what is on the photo, and does the plan ask about that?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models_runtime.vlm import words
from models_runtime.vlm.model import Encoded, LoupeVLM
from models_runtime.vlm.plan_texts import TextCache
from models_runtime.vlm.weights import Fitted, Memory


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
    judged = shows.read_choice(encoded, rows).softmax(1)
    remembered = memory.chances(encoded.pooled)
    if remembered is not None:
        judged = (judged + remembered) / 2
    chances = judged.double().numpy()
    distances = memory.distances(encoded.pooled).numpy()
    return [
        _kind(chance, distance, fitted) for chance, distance in zip(chances, distances, strict=True)
    ]


def _kind(chance: NDArray[np.float64], distances: NDArray[np.float32], fitted: Fitted) -> Kind:
    best = int(chance[:-1].argmax())
    distance = float(distances[best])
    odds = (fitted.distance_limit - distance) / fitted.distance_spread
    familiar = float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
    return Kind(words.DOMAIN_NAMES[best], chance[:-1], distance, familiar)


LEAST_ASKED = 0.05
"""Chance that the photo is of a kind the plan asks about, below which the engine abstains: a unit
on a cluttered table is soon taken for something else, so it need not be the likeliest kind."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Does the engine know this photo under this plan? ``reasons`` are for people."""

    in_domain: float
    reasons: tuple[str, ...]


def fit(kind: Kind, plausible: NDArray[np.bool_], least: float) -> Fit:
    """Weigh how familiar the photo is, and whether the plan is about such photos.

    ``plausible``: bool per domain, from plan_texts.plausible_domains.
    """
    known = kind.familiar * float(kind.probabilities.sum())
    asked = float(kind.probabilities[plausible].sum() / max(1e-9, kind.probabilities.sum()))
    in_domain = min(known, asked / (2 * LEAST_ASKED))
    if in_domain >= least:
        return Fit(in_domain, ())
    if known < least:
        return Fit(in_domain, ("this photo is unlike anything the model was trained on",))
    seen = words.domain(kind.domain).plain
    if not plausible.any():
        told = f"the plan's words are unlike anything the model knows; the photo looks like {seen}"
        return Fit(in_domain, (told,))
    meant = " or ".join(words.DOMAINS[i].plain for i in np.flatnonzero(plausible)[:3])
    return Fit(in_domain, (f"this photo looks like {seen}, but the plan asks about {meant}",))
