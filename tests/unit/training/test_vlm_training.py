"""Training of the extractor at toy size: it learns, it can be resumed, and its fit is sane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models_runtime.contracts import Architecture, Box, EngineRef
from models_runtime.training import vlm_data
from models_runtime.training.vlm import TEACH, TINY, Recipe, Trainer
from models_runtime.training.vlm_checks import auroc
from models_runtime.training.vlm_fit import logistic, matches, painted, true_boxes
from models_runtime.training.vlm_views import cell_targets, look, nothing_known
from models_runtime.vlm import words
from models_runtime.vlm.model import load_half


class Scattered:
    """Any text to its own random direction: enough to learn labels by."""

    ref = EngineRef(architecture=Architecture.MLM, engine="scattered", version="1")

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(t.encode())).standard_normal(384) for t in texts]
        made = np.array(rows, np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def photos() -> list[vlm_data.Photo]:
    return vlm_data.draw(12, 96)


def trainer(photos: list[vlm_data.Photo], seed: int = 7) -> Trainer:
    recipe = Recipe(minutes=10, seed=seed, sizes=(64,), place_sizes=(64,), batch_share=0.4)
    return Trainer(photos, Scattered(), recipe, TINY)


def test_toy_training_lowers_the_loss(photos: list[vlm_data.Photo]) -> None:
    run = trainer(photos)
    losses = [run.step() for _ in range(60)]
    early = np.mean([x["garment"] for x in losses[:12] if "garment" in x])
    late = np.mean([x["garment"] for x in losses[-12:] if "garment" in x])
    assert late < 0.8 * early


def test_each_half_goes_on_from_what_learned_both_and_leaves_the_other_alone(
    photos: list[vlm_data.Photo], tmp_path: Path
) -> None:
    both = trainer(photos)
    both.step()
    both.save(tmp_path)
    for teach, own, other in (("shows", "meaning.", "pyramid."), ("finds", "pyramid.", "meaning.")):
        groups, mix = TEACH[teach]
        recipe = Recipe(
            minutes=10, sizes=(64,), place_sizes=(64,), batch_share=0.4, groups=groups, mix=mix
        )
        run = Trainer(photos, Scattered(), recipe, TINY)
        run.start_from(tmp_path / "average.safetensors")
        before = {name: value.clone() for name, value in run.model.state_dict().items()}
        for _ in range(4):
            run.step()
        moved = {n for n, v in run.model.state_dict().items() if not torch.equal(v, before[n])}
        assert any(name.startswith(own) for name in moved)
        assert not any(name.startswith(other) for name in moved)


def test_a_network_of_one_half_holds_and_answers_that_half_alone(
    photos: list[vlm_data.Photo],
) -> None:
    whole = trainer(photos).average
    shows = load_half(whole.state_dict(), replace(TINY, finds=False, checks=False))
    finds = load_half(whole.state_dict(), replace(TINY, shows=False, checks=False))
    checks = load_half(whole.state_dict(), replace(TINY, shows=False, finds=False))
    pixels = torch.rand(2, 3, 64, 64)
    texts = torch.nn.functional.normalize(torch.rand(3, 384), dim=1)
    said = shows(pixels, places=False)
    assert torch.allclose(said.meaning, whole(pixels, places=False).meaning, atol=1e-5)
    seen, all_seen = finds(pixels, meaning=False), whole(pixels, meaning=False)
    places = finds.read_places(seen, texts)
    assert torch.allclose(places, whole.read_places(all_seen, texts), atol=1e-4)
    asked = checks.checks(checks(pixels, meaning=False).coarse, texts[:2])
    told = whole.checks(all_seen.coarse, texts[:2])
    assert torch.allclose(asked[0], told[0], atol=1e-4)
    assert not set(checks.state_dict()) & {"place_bias", "whole", "choice_scale"}
    assert not set(shows.state_dict()) & {"place_bias", "whole"}
    assert not set(finds.state_dict()) & {"choice_scale", "truth_bias"}


def test_a_stopped_run_goes_on_where_it_was(photos: list[vlm_data.Photo], tmp_path: Path) -> None:
    run = trainer(photos)
    for _ in range(3):
        run.step()
    run.save(tmp_path)
    again = trainer(photos)
    assert again.resume(tmp_path)
    assert again.steps == 3
    assert again.spent == run.spent
    for mine, other in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert run.numbers.random() == again.numbers.random()
    assert not trainer(photos).resume(tmp_path / "nothing")


def test_held_out_photos_are_not_trained_on(photos: list[vlm_data.Photo]) -> None:
    many = vlm_data.draw(60, 48)
    held = [p for p in many if p.split == "holdout"]
    assert 0.02 < len(held) / len(many) < 0.2
    run = trainer(many)
    assert all(p.split == "train" for pool in run.pools.values() for p in pool)


def test_views_move_the_places_with_the_pixels() -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[20:40, 30:60] = 255
    places = (pixels[..., 0] > 0).astype(np.uint8)
    photo = vlm_data.Photo(pixels, "wall", "x", "train", {}, places, {"crack": True}, True)
    for seed in range(10):
        view = look(photo, 64, np.random.default_rng(seed), gentle=True)
        assert view.places is not None
        bright = view.pixels.mean(2) > 110
        if view.places.any() and bright.any():
            both = (bright & (view.places > 0)).sum() / (bright | (view.places > 0)).sum()
            assert both > 0.75


def test_cells_know_their_defect_and_what_nobody_knows() -> None:
    places = np.zeros((16, 16), np.uint8)
    places[0:4, 0:4] = 2
    places[8:16, 8:16] = vlm_data.IGNORE
    share, known = cell_targets(places, 2)
    assert share.shape == (2, 4, 4)
    assert share[1, 0, 0] == 1
    assert share.sum() == 1
    assert not known[3, 3]
    assert known[0, 0]


def test_painted_defects_are_marked_where_they_were_painted() -> None:
    sound = vlm_data.Photo(np.full((128, 128, 3), 180, np.uint8), "garment", "x", "holdout")
    seen = 0
    for seed in range(12):
        made = painted(sound, seed)
        assert made.places is not None
        assert made.defective == bool(made.places.any())
        assert made.present == {
            name: bool((made.places == i + 1).any())
            for i, name in enumerate(words.domain("garment").defects)
        }
        seen += bool(made.defective)
    assert 0 < seen < 12


def test_pictures_of_nothing_known_have_the_asked_size() -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    for seed in range(14):
        made = nothing_known(64, np.random.default_rng(seed), [photo])
        assert made.shape == (64, 64, 3)
        assert made.dtype == np.uint8


def test_auroc_of_known_orders() -> None:
    assert auroc([1, 2, 3, 4], [False, False, True, True]) == 1.0
    assert auroc([4, 3, 2, 1], [False, False, True, True]) == 0.0
    assert auroc([1, 1, 1, 1], [False, True, False, True]) == 0.5
    assert np.isnan(auroc([1, 2], [True, True]))


def test_a_true_box_is_found_once() -> None:
    places = np.zeros((64, 64), np.uint8)
    places[10:20, 10:20] = 1
    places[40:60, 40:60] = 1
    real = true_boxes(places, 1)
    assert len(real) == 2
    near = Box(x1=11, y1=11, x2=21, y2=21)
    assert matches([near, near, Box(x1=0, y1=0, x2=5, y2=5)], real) == [True, False, False]


def test_logistic_regression_finds_the_separating_feature() -> None:
    numbers = np.random.default_rng(0)
    rows = numbers.standard_normal((300, 3))
    truth = rows[:, 0] + 0.2 * numbers.standard_normal(300) > 0
    a, b, c, _ = logistic(rows, truth)
    assert a > 3 * max(abs(b), abs(c))


def test_a_run_begins_with_one_half_of_what_ships_and_refuses_another_network(
    photos: list[vlm_data.Photo], tmp_path: Path
) -> None:
    whole = trainer(photos).model.state_dict()
    stem = {name: value for name, value in whole.items() if name.startswith("stem.")}
    half = {name: (value + 1).contiguous() for name, value in stem.items()}
    save_file(half, tmp_path / "half.safetensors")
    run = trainer(photos)
    run.start_from(tmp_path / "half.safetensors")
    for name, value in half.items():
        assert torch.equal(run.model.state_dict()[name], value)
        assert torch.equal(run.average.state_dict()[name], value)
    save_file({"other.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"not of this network: other\.weight"):
        run.start_from(tmp_path / "other.safetensors")
