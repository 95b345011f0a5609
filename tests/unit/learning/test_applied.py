"""A version at work: in front of the engines it was fitted on, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from models_runtime.contracts import Architecture, EngineRef, PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.inspector import extract_photo
from models_runtime.learning.applied import corrected, learned, version_of
from models_runtime.learning.delta import Delta, digest_of
from models_runtime.learning.heads import DefectHead, FindingHead, SeverityHead
from models_runtime.learning.measuring import Outcome, figures
from models_runtime.learning.reading import Reading, of_place, read_photos
from models_runtime.memory import MemoryExtractor, memory_runtime
from models_runtime.plans import PlanSpec

PLAN = PlanSpec.model_validate({"name": "Lids", "defects": [{"key": "hole", "name": "Hole"}]})


class Eyes(MemoryExtractor):
    """The memory extractor with something to see."""

    ref = EngineRef(architecture=Architecture.VLM, engine="eyes", version="1")

    def features(self, photo: PhotoPixels) -> np.ndarray:
        return photo.pixels[::8, ::8].mean(axis=2)[None].astype(np.float32) / 255

    def evidence(self, photo: PhotoPixels) -> np.ndarray:
        return np.array([photo.pixels.mean() / 255, 1.0], np.float32)


def photo(square: bool = True) -> PhotoPixels:
    pixels = np.full((80, 120, 3), 220, np.uint8)
    if square:
        pixels[20:50, 30:70] = 0
    return PhotoPixels(pixels, "0" * 64)


def delta(**more: object) -> Delta:
    made = Delta(
        {"vlm": "memory 1", "slm": "memory 1"},
        DefectHead(0.1, -1.0),
        FindingHead(0.0, -1.5, {"hole": -0.5}, cut=0.3),
        SeverityHead(np.ones((2, 4), np.float32), np.zeros(4, np.float32)),
    )
    return replace(made, **more)


def test_a_version_corrects_answers_and_is_named_with_them() -> None:
    plain = memory_runtime()
    before = extract_photo(plain, photo(), PLAN)
    after = extract_photo(learned(plain, delta(), "site-1.abc"), photo(), PLAN)
    assert after.record.version == "1+site-1.abc"
    assert after.value.defect_probability < before.value.defect_probability
    assert after.value.defects[0].confidence < before.value.defects[0].confidence
    assert after.value.attributes == before.value.attributes
    assert after.value.embedding == before.value.embedding
    assert extract_photo(plain, photo(), PLAN).record.version == "1"


def test_a_version_for_other_engines_does_nothing() -> None:
    plain = memory_runtime()
    other = learned(plain, delta(bases={"vlm": "memory 2"}), "site-1.abc")
    done = extract_photo(other, photo(), PLAN)
    assert done.value == extract_photo(plain, photo(), PLAN).value
    assert done.record.version == "1"


def test_findings_below_the_cut_are_not_reported_and_the_rest_is_in_order() -> None:
    reading = read_photos(MemoryExtractor(), [photo()], PLAN)[0]
    strict = delta(finding=FindingHead(offset=-5.0, cut=0.5))
    assert corrected(strict, reading, PLAN).defects == ()
    assert len(corrected(delta(), reading, PLAN).defects) == 1


def test_where_the_extractor_abstains_the_version_is_silent() -> None:
    reading = read_photos(MemoryExtractor(), [photo()], PLAN)[0]
    unsure = reading.extraction.model_copy(update={"abstained": True, "defect_probability": 0.5})
    said = corrected(delta(), replace(reading, extraction=unsure), PLAN)
    assert said == unsure


def test_an_empty_version_changes_nothing_at_all() -> None:
    reading = read_photos(Eyes(), [photo()], PLAN)[0]
    said = corrected(Delta(), reading, PLAN)
    assert said.defects == reading.extraction.defects
    assert said.defect_probability == reading.extraction.defect_probability


def test_a_reading_survives_being_kept() -> None:
    reading = read_photos(Eyes(), [photo()], PLAN)[0]
    again = Reading.unpacked(reading.extraction, reading.packed())
    assert again.traits == pytest.approx(reading.traits, rel=1e-3)
    assert again.places.shape == (1, 2)
    assert again.places == pytest.approx(reading.places, abs=1e-3)


def test_a_place_is_what_is_in_the_box() -> None:
    reading = read_photos(Eyes(), [photo()], PLAN)[0]
    inside, contrast = reading.places[0]
    assert inside < 0.3  # cells at the edge of the box are half of the rest
    assert contrast < -0.4
    grid = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    box = reading.extraction.defects[0].box.model_copy(
        update={"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0}
    )
    assert of_place(grid, box, (20, 30))[0] == 0


def test_files_hold_a_version_and_nothing_that_runs() -> None:
    made = delta()
    weights, plain = made.files()
    assert Delta.of_files(weights, plain).files() == (weights, plain)
    assert b"pickle" not in weights
    assert digest_of(weights, plain) != digest_of(weights, plain + b" ")
    for broken in (b"", b"{}", b"\x80\x04K\x01."):
        with pytest.raises(FatalError, match="can't be read"):
            Delta.of_files(weights, broken)
        with pytest.raises(FatalError, match="can't be read"):
            Delta.of_files(broken, plain)
    with pytest.raises(FatalError):
        Delta.of_files(save({"defect": np.zeros(1, np.float32)}), plain)


def test_figures_by_hand() -> None:
    told = figures(
        [
            Outcome(0.9, False, False, True),
            Outcome(0.2, True, False, False),
            Outcome(0.4, True, False, True),
            Outcome(0.6, False, True, False),
        ]
    )
    assert told["accuracy"]["mean"] == 0.5
    assert told["escapes"] == pytest.approx(
        {"mean": 0.5, "n": 2, "low": 0.0126, "high": 0.9874}, abs=1e-4
    )
    assert told["overkill"]["mean"] == 0.5
    assert told["asks"]["mean"] == 0.25
    assert told["auroc"]["mean"] == 0.75
    assert told["error"]["n"] == 4
    assert "auroc" not in figures([Outcome(0.9, False, False, True)])
    assert figures([]) == {}


def test_versions_are_named_by_engine_and_version() -> None:
    assert version_of(MemoryExtractor().ref) == "memory 1"
