"""What the known kinds of photo look like, as numbers: to tell them apart, and from all others.

A photo is described twice: by rule (``statistics.py``) and by what the finding network's layers
hold of it. Both are brought to principal directions of spread one. There, a logistic regression
says which kind it is or that it is none (outlier exposure, Hendrycks et al. 2019), and distances to
the kinds' means by the spread within them say how unusual it is (Mahalanobis, Lee et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from models_runtime.contracts import Pixels
from models_runtime.vlm import statistics

CLIP = 6.0
"""Features count at most so many deviations: one odd number must not decide."""


@dataclass(frozen=True, slots=True)
class Memory:
    """``mean``, ``spread``: (features,). ``basis``: (features, directions), brings to spread one.
    ``means``: (kinds, directions). ``within``: (directions, directions), whitens the spread within
    kinds. ``judge``: (directions + 1, kinds + 1), the last column stands for none of them."""

    mean: Tensor
    spread: Tensor
    basis: Tensor
    means: Tensor
    within: Tensor
    judge: Tensor

    def places(self, features: Tensor) -> Tensor:
        """Features (n, features) → directions (n, directions)."""
        moved = ((features - self.mean) / self.spread).clamp(-CLIP, CLIP)
        return moved @ self.basis

    def chances(self, features: Tensor) -> Tensor:
        """Probability (n, kinds + 1) of each kind, and last of none of them."""
        places = self.places(features)
        return (torch.cat([places, torch.ones(len(places), 1)], 1) @ self.judge).softmax(1)

    def distances(self, features: Tensor) -> Tensor:
        """Distance (n, kinds) to the mean of each kind; about 1 for photos of that kind."""
        places = self.places(features)
        apart = (places[:, None] - self.means[None]) @ self.within
        return apart.square().mean(-1).sqrt()

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def features(pixels: Sequence[Pixels], pooled: Tensor) -> Tensor:
    """Rows that a Memory judges: photos by rule, and as the finding network pooled them."""
    by_rule = torch.from_numpy(np.stack([statistics.describe(photo) for photo in pixels]))
    return torch.cat([by_rule, pooled.float()], 1)
