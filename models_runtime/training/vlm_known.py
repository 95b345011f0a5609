"""What Loupe-VLM knows, learned from features of photos; and a test of it on kinds left out.

The memory is learned from train photos and pictures of nothing known, its limits are set on
held-out ones (``familiar.py``). ``leave_one_out`` learns it anew without one data set, whose photos
must then be refused under the plan of every other one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models_runtime.vlm import statistics, words
from models_runtime.vlm.familiar import CLIP, Memory

DIRECTIONS = 48
"""Principal directions kept of each of both descriptions."""
RIDGE = 0.01
KEPT = {"garment": 0.96, "default": 0.93}
"""Share of held-out photos of a kind that a plan about it must answer. Garments lie on every kind
of ground: a limit that keeps out all else would refuse every tenth of them."""
NONE = ""
"""The kind of pictures of nothing known."""
FAR_OFF = 1e3
DISTANCE_ROOM = 1.2
"""The limit lies so much beyond the distance that is usual."""


@dataclass(frozen=True, slots=True)
class Known:
    """Features (n, features) of photos, the kind of each ("" for none) and its split."""

    features: Tensor
    kinds: NDArray[np.str_]
    splits: NDArray[np.str_]

    def of(self, kind: str, *splits: str) -> Tensor:
        """Rows of one kind in some splits."""
        chosen = (self.kinds == kind) & np.isin(self.splits, splits)
        return self.features[torch.from_numpy(np.flatnonzero(chosen))]

    def without(self, kind: str) -> Known:
        """All but the train photos of a kind: as if nobody had ever shown it."""
        left = torch.from_numpy(np.flatnonzero((self.kinds != kind) | (self.splits != "train")))
        return Known(self.features[left], self.kinds[left], self.splits[left])


def learn(known: Known) -> Memory:
    """Learn from the train split; a kind of words.DOMAINS without photos stays out of reach."""
    train = torch.from_numpy(np.flatnonzero(known.splits == "train"))
    rows, kinds = known.features[train], known.kinds[train]
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    basis = _basis(((rows - mean) / spread).clamp(-CLIP, CLIP))
    nothing = torch.zeros(0)
    places = Memory(mean, spread, basis, nothing, nothing, nothing).places(rows)
    means, within = _spread_within(places, kinds)
    return Memory(mean, spread, basis, means, within, _judge(places, kinds))


def _basis(rows: Tensor) -> Tensor:
    """Principal directions of each description by itself, scaled to spread one; block diagonal."""
    blocks = [_directions(part) for part in torch.split(rows, _sizes(rows.shape[1]), dim=1)]
    joined: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return joined


def _sizes(total: int) -> list[int]:
    return [statistics.SIZE, total - statistics.SIZE] if total > statistics.SIZE else [total]


def _directions(rows: Tensor) -> Tensor:
    _, sizes, directions = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    kept = min(DIRECTIONS, len(sizes) - 1)
    scaled: Tensor = directions[:kept].T / (sizes[:kept] / len(rows) ** 0.5 + 1e-3)
    return scaled


def _spread_within(places: Tensor, kinds: NDArray[np.str_]) -> tuple[Tensor, Tensor]:
    """Means of the kinds, and what brings the spread within them to one."""
    means = torch.full((len(words.DOMAINS), places.shape[1]), FAR_OFF)
    rest = []
    for number, kind in enumerate(words.DOMAIN_NAMES):
        chosen = places[torch.from_numpy(np.flatnonzero(kinds == kind))]
        if len(chosen):
            means[number] = chosen.mean(0)
            rest.append(chosen - means[number])
    apart = torch.cat(rest)
    values, vectors = torch.linalg.eigh(apart.T @ apart / len(apart))
    return means, vectors / (values + 0.05).sqrt()


def _judge(places: Tensor, kinds: NDArray[np.str_]) -> Tensor:
    """Multinomial logistic regression to kind or none; every kind counts the same.

    Kinds without photos get no chance at all.
    """
    names = [*words.DOMAIN_NAMES, NONE]
    target = torch.tensor([names.index(kind) for kind in kinds])
    counts = torch.bincount(target, minlength=len(names))
    rows = torch.cat([places, torch.ones(len(places), 1)], 1)
    judge = torch.zeros(rows.shape[1], len(names), requires_grad=True)
    absent = torch.where(counts > 0, 0.0, -1e4)
    optimizer = torch.optim.LBFGS([judge], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight = 1.0 / counts.clamp(min=1).float()
        miss = F.cross_entropy(rows @ judge + absent, target, weight=weight)
        total = miss + RIDGE * judge.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    learned = judge.detach().clone()
    learned[-1] += absent
    return learned


def least_asked(memory: Memory, *known: Known) -> dict[str, float]:
    """For each kind the chance that its share ``KEPT`` of held-out photos reaches.

    Of several collections (real photos, drawn ones) each must reach its share.
    """
    cuts: dict[str, float] = {}
    for number, kind in enumerate(words.DOMAIN_NAMES):
        for held in (each.of(kind, "holdout") for each in known):
            if len(held) >= 8:
                chances = memory.chances(held)[:, number].double().numpy()
                kept = KEPT.get(kind, KEPT["default"])
                cut = round(float(np.quantile(chances, 1 - kept)), 5)
                cuts[kind] = min(cut, cuts.get(kind, 1.0))
    return cuts | {"default": round(float(np.median(list(cuts.values()) or [0.5])), 5)}


def usual_distance(memory: Memory, known: Known, share: float = 0.98) -> float:
    """Distance to its own kind's mean within which this share of held-out photos lies."""
    found = [
        memory.distances(held)[:, number]
        for number, kind in enumerate(words.DOMAIN_NAMES)
        if len(held := known.of(kind, "holdout"))
    ]
    return float(np.quantile(torch.cat(found).numpy(), share))


@dataclass(frozen=True, slots=True)
class Limits:
    """A memory with what a photo must reach to be answered, as ``known.fit`` applies it."""

    memory: Memory
    cuts: dict[str, float]
    farthest: float

    @classmethod
    def of(cls, memory: Memory, known: Known, *drawn: Known) -> Limits:
        """Set them on the held-out photos; drawn ones may only loosen them."""
        farthest = DISTANCE_ROOM * usual_distance(memory, known)
        return cls(memory, least_asked(memory, known, *drawn), farthest)

    def answered(self, rows: Tensor, asked: str) -> NDArray[np.bool_]:
        """Which photos (n, features) would be answered under a plan about ``asked``."""
        number = words.DOMAIN_NAMES.index(asked)
        chances = self.memory.chances(rows)[:, number].numpy()
        near = self.memory.distances(rows)[:, number].numpy() <= self.farthest
        return np.asarray((chances >= self.cuts.get(asked, self.cuts["default"])) & near)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Under the plan of ``asked``: were photos of ``kind``, never shown, refused (bool each)? And
    were val photos of ``asked`` itself answered?"""

    kind: str
    asked: str
    refused: NDArray[np.bool_]
    answered: NDArray[np.bool_]


def leave_one_out(known: Known) -> list[LeftOut]:
    """Each kind in turn is forgotten, and its val photos are asked about under every other plan."""
    kinds = [k for k in words.DOMAIN_NAMES if len(known.of(k, "val")) and len(known.of(k, "train"))]
    made = []
    for kind in kinds:
        limits = Limits.of(learn(known.without(kind)), known)
        strange = known.of(kind, "val")
        made += [
            LeftOut(kind, asked, ~limits.answered(strange, asked), limits.answered(own, asked))
            for asked in kinds
            if asked != kind and len(own := known.of(asked, "val"))
        ]
    return made
