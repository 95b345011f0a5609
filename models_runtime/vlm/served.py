"""What another Loupe answers beside the plain chat completion: the whole extraction.

``serve_models`` adds ``"loupe": {"extraction": …, "size": [height, width]}`` to its answers: the
calibrated figures, alternatives and the photo's embedding, which the schema of a chat has no room
for. Boxes are in pixels of the picture that was sent.
"""

from __future__ import annotations

import json
from typing import Any

from models_runtime.contracts import AttributeResult, Box, DefectCandidate, Extraction
from models_runtime.plans import Characteristic, PlanSpec
from models_runtime.vlm.answers import MOST_DEFECTS, Picture, read_value
from models_runtime.vlm.conventions import PIXELS, Size

MOST_NUMBERS = 8192
"""Longest embedding that is taken."""


def as_loupe(extraction: Extraction, size: Size) -> dict[str, Any]:
    """The extra field of an answer about a picture of this size."""
    return {"extraction": extraction.model_dump(mode="json"), "size": list(size)}


def from_loupe(body: dict[str, Any], plan: PlanSpec, picture: Picture) -> Extraction | None:
    """The extraction in an answer's body; None where there is none that is valid for this plan."""
    extra = body.get("loupe")
    if not isinstance(extra, dict) or extra.get("size") != list(picture.sent):
        return None
    try:
        json.dumps(extra, allow_nan=False)  # no column takes NaN
        given = Extraction.model_validate(extra.get("extraction"))
    except (ValueError, RecursionError):
        return None
    asked = plan.characteristics
    if [a.key for a in given.attributes] != [c.key for c in asked]:
        return None
    attributes = [_attribute(a, c) for a, c in zip(given.attributes, asked, strict=True)]
    defects = [_defect(d, plan, picture) for d in given.defects[:MOST_DEFECTS]]
    if None in attributes or None in defects or len(given.embedding) > MOST_NUMBERS:
        return None
    return given.model_copy(update={"attributes": tuple(attributes), "defects": tuple(defects)})


def _attribute(given: AttributeResult, asked: Characteristic) -> AttributeResult | None:
    """The answer, if the plan allows it; options that the plan does not have are left out."""
    if not given.abstained and read_value(asked, given.value) != given.value:
        return None
    if given.abstained and given.value is not None:
        return None
    options = {option.value for option in asked.options}
    alternatives = {k: v for k, v in given.alternatives.items() if k in options}
    return given.model_copy(update={"alternatives": alternatives})


def _defect(given: DefectCandidate, plan: PlanSpec, picture: Picture) -> DefectCandidate | None:
    """The defect in pixels of the photo and with the plan's own severity."""
    entry = plan.defect(given.type)
    corners = (given.box.x1, given.box.y1, given.box.x2, given.box.y2)
    box: Box | None = PIXELS.in_photo(corners, picture.sent, picture.photo)
    if entry is None or box is None:
        return None
    return given.model_copy(update={"box": box, "severity": entry.severity})
