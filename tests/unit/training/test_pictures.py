"""Pictures of a model's figures: well-formed, and with every number in them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from models_runtime.calibration import reliability
from models_runtime.training.pictures import confusion, reliability_diagram

SVG = "{http://www.w3.org/2000/svg}"


def _texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_confusion_matrix_shows_each_count_that_is_not_zero() -> None:
    svg = confusion("Lids & caps", ["lid", "cap <red>"], [[7, 2], [0, 9]])
    told = _texts(svg)
    assert {"7", "2", "9"} <= set(told)
    assert "0" not in told
    assert "Lids & caps" in told
    assert told.count("cap <red>") == 2


def test_a_confusion_matrix_must_be_square() -> None:
    with pytest.raises(ValueError, match="one row and one column per name"):
        confusion("x", ["a", "b"], [[1, 2]])


def test_a_reliability_diagram_puts_honest_confidence_on_the_diagonal() -> None:
    sure = np.repeat([0.25, 0.75], 100)
    right = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])
    svg = reliability_diagram("Honest", reliability(sure, right, bins=10))
    circles = list(ElementTree.fromstring(svg).iter(f"{SVG}circle"))
    assert len(circles) == 2
    for circle in circles:
        x = (float(circle.attrib["cx"]) - 56) / 280
        y = 1 - (float(circle.attrib["cy"]) - 80) / 280
        assert x == pytest.approx(y, abs=0.001)
