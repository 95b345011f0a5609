"""Is an instructed state met ("two containers are on the workbench"), and where is that seen?

The photo is looked at twice: whole, to find the place that the sentence is about, and then that
place alone from near, because a missing cap is a few pixels of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models_runtime.calibration import sigmoid
from models_runtime.contracts import Box, DefectCandidate, PhotoPixels
from models_runtime.plans import CharacteristicKind, DefectType, PlanSpec
from models_runtime.vlm.looks import as_tensor
from models_runtime.vlm.model import Encoded, LoupeVLM
from models_runtime.vlm.plan_texts import TextCache, defect_vectors, statement_texts

MARGIN = 0.25
"""The near look shows this share of the place's width and height more on each side."""
LEAST = 0.2
"""And at least this share of the photo's width and height."""

DOMAIN = "station"
"""The kind of photo whose yes-or-no characteristics ask for an instructed state."""
UNMET = (
    "not as instructed", "deviation from the instruction", "the instructed state is not met",
    "missing", "anomaly", "wrong state",
)  # fmt: skip
"""What an unmet check is called: the entry of a catalogue most like this gets the finding."""

Window = tuple[int, int, int, int]
"""Rows and columns y1, y2, x1, x2, half-open."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Logits of the whole photo and of the near look that the state is met, and where it was
    decided, in pixels of the photo."""

    whole: float
    near: float
    place: Box


class CheckSettings(Protocol):
    """What of the fitted figures is used here."""

    @property
    def check(self) -> tuple[float, float, float]: ...

    @property
    def check_whole(self) -> int: ...

    @property
    def check_side(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """Calibrated chance that a state is met, and where that was seen."""

    chance: float
    place: Box


def check_states(
    checks: LoupeVLM,
    settings: CheckSettings,
    cache: TextCache,
    plan: PlanSpec,
    photo: PhotoPixels,
) -> dict[str, Checked]:
    """Check each yes-or-no characteristic of a plan on a photo of a station, by its key."""
    asked = [c for c in plan.characteristics if c.kind is CharacteristicKind.BOOLEAN]
    made: dict[str, Checked] = {}
    if not asked:
        return made
    encoded = overview(checks, photo, settings.check_whole)
    for characteristic in asked:
        row = torch.from_numpy(cache.mean(statement_texts(characteristic)))
        seen = look(checks, photo, encoded, row, settings.check_side)
        made[characteristic.key] = Checked(chance_met(settings.check, seen), seen.place)
    return made


def chance_met(check: tuple[float, float, float], seen: Looked) -> float:
    """Calibrated chance from both looks; ``check``: their weights and an offset."""
    whole, near, offset = check
    return float(sigmoid(np.asarray(whole * seen.whole + near * seen.near + offset)))


def unmet(
    checked: dict[str, Checked], plan: PlanSpec, cache: TextCache
) -> tuple[DefectCandidate, ...]:
    """A candidate for each state that is rather not met; none where the catalogue is empty."""
    if not plan.defects:
        return ()
    kind = _name_for_unmet(plan.defects, cache)
    return tuple(
        DefectCandidate(
            type=kind.key, box=one.place, confidence=1 - one.chance, severity=kind.severity
        )
        for one in checked.values()
        if one.chance < 0.5
    )


def _name_for_unmet(defects: tuple[DefectType, ...], cache: TextCache) -> DefectType:
    likeness = defect_vectors(cache, defects) @ cache.mean(UNMET)
    return defects[int(np.argmax(likeness))]


@torch.inference_mode()
def overview(checks: LoupeVLM, photo: PhotoPixels, side: int) -> Encoded:
    """The first look, which serves all statements about a photo; ``side`` in px."""
    encoded: Encoded = checks(as_tensor([photo.pixels], side), meaning=False)
    return encoded


@torch.inference_mode()
def look(checks: LoupeVLM, photo: PhotoPixels, encoded: Encoded, text: Tensor, side: int) -> Looked:
    """Check one statement, a vector (384,), on an encoded photo; ``side``: px of the near look."""
    first, where = checks.checks(encoded.coarse, text[None])
    box = place(where[0].float().numpy(), (photo.height, photo.width))
    y1, y2, x1, x2 = around(box, (photo.height, photo.width))
    near = checks(as_tensor([photo.pixels[y1:y2, x1:x2]], side), meaning=False)
    state, _ = checks.checks(near.coarse, text[None])
    return Looked(float(first[0]), float(state[0]), box)


def place(where: NDArray[np.float32], size: tuple[int, int]) -> Box:
    """Box, in a photo of ``size`` (height, width), of the part of a map of logits with its peak."""
    cut = min(0.0, float(where.max()) - 1.0)
    _, labels = cv2.connectedComponents((where >= cut).astype(np.uint8))
    row, column = np.unravel_index(int(where.argmax()), where.shape)
    inside = labels == labels[row, column]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    down, across = size[0] / where.shape[0], size[1] / where.shape[1]
    return Box(
        x1=float(columns[0] * across), y1=float(rows[0] * down),
        x2=float((columns[-1] + 1) * across), y2=float((rows[-1] + 1) * down),
    )  # fmt: skip


def around(box: Box, size: tuple[int, int]) -> Window:
    """A window of the photo, ``size`` (height, width), with some surroundings of the box."""
    y1, y2 = _widened(box.y1, box.y2, size[0])
    x1, x2 = _widened(box.x1, box.x2, size[1])
    return y1, y2, x1, x2


def _widened(low: float, high: float, end: int) -> tuple[int, int]:
    half = max((high - low) * (0.5 + MARGIN), LEAST * end / 2)
    middle = (low + high) / 2
    return max(0, int(middle - half)), min(end, int(np.ceil(middle + half)))
