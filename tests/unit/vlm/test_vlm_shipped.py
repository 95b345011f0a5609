"""The extractor that ships: its figures on record are its own, and hold on photos it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models_runtime.registry import EngineSpec
from models_runtime.training import vlm_data
from models_runtime.training.vlm_eval import PLANS, Evaluation, choices, states
from models_runtime.vlm import weights
from models_runtime.vlm.embedded import EmbeddedVLM, load

BARS = {"garment category top-1": 0.60, "solar defective AUROC": 0.85}


@pytest.fixture(scope="module")
def shipped() -> EmbeddedVLM:
    return load(EngineSpec.parse("embedded:"))


def test_the_figures_on_record_are_of_these_weights_and_reach_the_bars(
    shipped: EmbeddedVLM,
) -> None:
    recorded = json.loads((weights.FOLDER / f"{weights.NAME}.metrics.json").read_text())
    assert recorded["model"] == shipped.ref.version
    assert recorded["split"] == "val"
    for figure, bar in BARS.items():
        assert recorded["figures"][figure]["mean"] >= bar


def test_the_card_shows_the_figures_on_record() -> None:
    recorded = json.loads((weights.FOLDER / f"{weights.NAME}.metrics.json").read_text())
    card = (weights.FOLDER / f"{weights.NAME}.md").read_text()
    for name, row in recorded["figures"].items():
        line = (
            f"| {name} | {row['mean']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['n']} |"
        )
        assert line in card


@pytest.mark.data
def test_photos_it_never_saw_are_judged_as_on_record(
    shipped: EmbeddedVLM, photo_data: Path
) -> None:
    photos = vlm_data.load(photo_data, only=("clothing", "solar"))
    run = Evaluation(shipped, [photo for photo in photos if photo.split == "val"])
    choices(run, "garment", "category", at_most=140)
    states(run, "solar", PLANS["solar"])
    assert run.figures["garment category top-1"]["mean"] >= 0.52  # of 140 photos: two sigma below
    assert run.figures["solar defective AUROC"]["mean"] >= 0.85
