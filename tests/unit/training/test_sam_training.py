"""The training of Loupe-SAM: prompts, views, losses, and that it learns."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime import masks
from models_runtime.contracts import (
    Architecture,
    EngineRef,
    ImageEmbedding,
    MaskCandidate,
)
from models_runtime.training import (
    sam,
    sam_data,
    sam_drawn,
    sam_eval,
    sam_prompts,
    sam_views,
)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def square(side, y1, y2, x1, x2):
    mask = np.zeros((side, side), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_a_few_steps_lower_the_loss_and_a_checkpoint_goes_on_where_it_stopped(tmp_path):
    trainer = sam.toy_trainer()
    lines = []
    losses = sam.run(
        trainer, tmp_path / "last.pt", tmp_path / "toy.safetensors", lines.append, max_steps=30
    )
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:4])
    assert lines[0].startswith("step 25 ")
    again = sam.toy_trainer(seed=9)
    again.load(tmp_path / "last.pt")
    assert again.step == 30
    assert again.elapsed == pytest.approx(trainer.elapsed)
    for name, value in trainer.sam.state_dict().items():
        assert torch.equal(again.sam.state_dict()[name], value)
    assert json.loads((tmp_path / "toy.json").read_text())["input_size"] == 64


def test_the_learning_rate_warms_up_and_then_falls():
    trainer = sam.toy_trainer()
    first = trainer.learning_rate()
    trainer.step = 50
    peak = trainer.learning_rate()
    trainer.elapsed = trainer.recipe.seconds
    assert first < peak
    assert trainer.learning_rate() == pytest.approx(0.03 * trainer.recipe.learning_rate)


def test_stages_follow_each_other_by_time():
    recipe = sam.Recipe(sam.parse_stages("192:2,320:1"))
    assert [recipe.size_at(s) for s in (0, 119, 121, 500)] == [192, 192, 320, 320]
    assert recipe.seconds == 180


def test_the_right_mask_costs_less_than_a_wrong_one():
    target = torch.zeros(1, 16, 16)
    target[:, 4:9, 4:9] = 1
    right = (target * 12 - 6)[:, None].expand(1, 3, 16, 16)
    boxes = torch.tensor([[8.0, 8, 18, 18]])
    good = sam.mask_losses(right, torch.ones(1, 3), target, boxes)
    bad = sam.mask_losses(-right, torch.ones(1, 3), target, boxes)
    assert float(good) < 0.05 < float(bad)
    assert sam.true_iou(right, target).tolist() == [[1.0, 1.0, 1.0]]


@given(st.integers(0, 10_000), st.floats(0, 50), st.floats(0, 50))
@settings(max_examples=60, deadline=None)
def test_jittered_boxes_stay_in_the_view_and_near_the_object(seed, x, y):
    box = (x, y, x + 10.0, y + 12.0)
    moved = sam_prompts.jitter_box(np.random.default_rng(seed), box, 64)
    assert (moved >= 0).all()
    assert (moved <= 64).all()
    assert moved[2] - moved[0] >= 1
    assert moved[3] - moved[1] >= 1
    assert np.abs(moved - np.array(box)).max() <= 0.46 * 12


def test_the_first_click_lies_on_the_object(rng):
    ring = square(30, 5, 25, 5, 25) & ~square(30, 8, 22, 8, 22)
    for _ in range(20):
        x, y = sam_prompts.first_click(rng, ring)
        assert ring[int(y), int(x)]


def test_the_next_click_goes_to_the_largest_error_with_the_right_sign():
    target = square(40, 10, 30, 10, 30)
    assert sam_prompts.correcting_click(target, target) is None
    x, y, positive = sam_prompts.correcting_click(square(40, 10, 30, 10, 14), target)
    assert positive
    assert target[int(y), int(x)]
    x, y, positive = sam_prompts.correcting_click(target | square(40, 32, 39, 0, 39), target)
    assert not positive
    assert y > 31


def test_drawn_scenes_have_visible_objects_with_masks(rng):
    for _ in range(5):
        scene = sam_drawn.draw_scene(rng, (), 96)
        assert scene.pixels.shape == (96, 96, 3)
        assert set(np.unique(scene.ids)) - {0} == set(scene.names)


def test_a_view_has_boxes_around_its_targets(rng):
    scene = sam_views.index(sam_drawn.draw_scene(rng, (), 160))
    views = [sam_views.make_view(rng, scene, 128, 4) for _ in range(20)]
    seen = [view for view in views if view is not None]
    assert len(seen) > 10
    for view in seen:
        assert view.pixels.shape == (128, 128, 3)
        assert view.targets.shape == (4, 64, 64)
        assert view.dense.shape == (len(sam_views.KINDS), 64, 64)
        for target, box in zip(view.targets, view.boxes, strict=True):
            rows, columns = np.nonzero(target > 0.5)
            if len(rows):
                assert 2 * columns.min() >= box[0] - 3
                assert 2 * columns.max() + 2 <= box[2] + 3
                assert 2 * rows.min() >= box[1] - 3
                assert 2 * rows.max() + 2 <= box[3] + 3


def test_components_of_a_class_are_objects_and_so_is_the_class():
    ids = np.zeros((40, 40), np.int32)
    ids[2:12, 2:12] = 1
    ids[20:30, 20:30] = 1
    ids[35, 35] = 1
    scene = sam_data.Scene("solar", np.zeros((40, 40, 3), np.uint8), ids, {1: "dark"}, False)
    found = sam_data.objects(scene)
    assert [(o.whole_class, int(o.mask.sum())) for o in found] == [
        (True, 201),
        (False, 100),
        (False, 100),
    ]
    indexed = sam_views.index(scene)
    assert indexed.groups[-1] == (1, 2, 3)
    assert sorted(np.unique(indexed.ids)) == [0, 1, 2, 3]


@pytest.fixture
def photos(tmp_path):
    """A data folder in the layout of the real one, with one photo per data set."""
    layout = {
        "solar": ("mask", {"values": "0 1"}),
        "roads": ("mask", {"pothole_px": "9", "crack_px": "0"}),
        "cookies": ("mask", {}),
        "nuclei": ("labels", {}),
    }
    for name, (column, extra) in layout.items():
        folder = tmp_path / name
        folder.mkdir()
        ids = np.zeros((40, 60), np.uint8)
        ids[5:20, 10:30] = 255 if name == "cookies" else 1
        cv2.imwrite(str(folder / "a.png"), np.full((40, 60, 3), 90, np.uint8))
        cv2.imwrite(str(folder / "m.png"), ids)
        with (folder / "labels.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["image", column, "split", *extra])
            writer.writeheader()
            for split in ("train", "train", "val"):
                writer.writerow({"image": "a.png", column: "m.png", "split": split, **extra})
    return tmp_path


def test_no_photo_of_the_val_split_is_trained_on(photos):
    train, val = (sam_data.load_scenes(photos, split) for split in ("train", "val"))
    assert [s.source for s in train] == ["solar"] * 2 + ["nuclei"] * 2 + ["cookies"] + ["roads"] * 2
    assert [s.source for s in val] == ["solar", "nuclei", "cookies", "roads"]
    assert sam_data.load_scenes(photos, "val", limit=0) == []


class Oracle:
    """Answers each prompt with the true mask, or with nothing."""

    ref = EngineRef(architecture=Architecture.SAM, engine="oracle", version="oracle@1")

    def __init__(self, mask):
        self._mask = masks.encode(mask)

    def embed(self, photo):
        features = np.zeros((1, 1, 1), np.float32)
        return ImageEmbedding(features, (photo.height, photo.width), (1, 1), "oracle@1")

    def decode(self, embedding, prompts):
        found = MaskCandidate(
            mask=self._mask, predicted_iou=1.0, area=masks.area(self._mask), box=None
        )
        return [(found,) for _ in prompts]


def test_a_perfect_segmenter_scores_one_and_a_blind_one_zero(photos):
    scenes = sam_data.load_scenes(photos, "val")
    truth = sam_data.objects(scenes[0])[0].mask
    perfect = sam_eval.evaluate(Oracle(truth), scenes, per_photo=5)
    blind = sam_eval.evaluate(Oracle(np.zeros_like(truth)), scenes, per_photo=5)
    for measure in ("box", "click_1", "click_5"):
        assert sam_eval.together(perfect, measure, 0)["mean"] == 1.0
        assert sam_eval.together(blind, measure, 0)["mean"] == 0.0
    assert sam_eval.together(perfect, "box", 0)["n"] == 3
    assert set(perfect) == {"solar/dark", "nuclei/nucleus", "cookies/broken"}


def test_a_crack_a_pixel_beside_its_label_still_counts():
    crack = np.zeros((30, 30), bool)
    crack[15, 3:27] = True
    beside, far = np.roll(crack, 1, axis=0), np.roll(crack, 8, axis=0)
    assert sam_eval.tolerant_f(beside, crack, 2) == 1.0
    assert sam_eval.iou(beside, crack) == 0.0
    assert sam_eval.tolerant_f(far, crack, 2) == 0.0
    assert sam_eval.tolerant_f(np.zeros_like(crack), crack, 2) == 0.0


def test_a_run_begins_with_exported_weights_and_its_average_too(tmp_path):
    first = sam.toy_trainer(seed=1)
    first.export(tmp_path / "first.safetensors")
    second = sam.toy_trainer(seed=2)
    second.start_from(tmp_path / "first.safetensors")
    for name, value in first.average.items():
        close = torch.allclose(second.sam.state_dict()[name].float(), value.float(), atol=1e-2)
        assert close, name
        assert torch.equal(second.average[name], second.sam.state_dict()[name])
