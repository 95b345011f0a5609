"""Quantiles from counts in buckets whose edges grow by a constant ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping

RATIO = 1.2
"""A bucket's upper edge by its lower: what a quantile may be off by, at most."""
SMALLEST = 0.01
"""Run times below this many ms are counted as this."""


def bucket_of(value: float) -> int:
    """The bucket of a run time in ms: b with RATIO**b ≤ value < RATIO**(b + 1)."""
    return math.floor(math.log(max(value, SMALLEST)) / math.log(RATIO))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The value below which ``share`` of the counted lie, at most a factor of RATIO off; None
    without any. Raises ValueError for a share outside 0..1."""
    if not 0 <= share <= 1:
        raise ValueError("a share must be within 0..1")
    total = sum(counts.values())
    if not total:
        return None
    wanted, below = share * total, 0
    for bucket in sorted(counts):
        if counts[bucket] and below + counts[bucket] >= wanted:
            return float(RATIO ** (bucket + (wanted - below) / counts[bucket]))
        below += counts[bucket]
    return float(RATIO ** (max(counts) + 1))
