"""The weights that ship with the project: that they are what the card says, and that they work."""

import json

import cv2
import numpy as np
import pytest

from models_runtime import masks
from models_runtime.contracts import Box, Click, PhotoPixels, Prompt
from models_runtime.registry import EngineSpec
from models_runtime.sam import embedded
from models_runtime.training import sam_data, sam_eval


@pytest.fixture(scope="module")
def shipped():
    if not embedded.WEIGHTS.exists():
        pytest.skip("no trained weights in this checkout: run the training first")
    return embedded.load(EngineSpec.parse("embedded:"))


def disc(height, width, x, y, radius):
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask.astype(bool)


def test_a_dark_disc_on_a_light_plate_is_found_from_its_box(shipped):
    truth = disc(300, 400, 150, 120, 45)
    noise = np.random.default_rng(0).normal(0, 6, (300, 400, 3))
    pixels = np.clip(np.where(truth[..., None], 60, 190) + noise, 0, 255).astype(np.uint8)
    embedding = shipped.embed(PhotoPixels(pixels, ""))
    x1, y1, x2, y2 = sam_data.bounds(truth)
    boxed, clicked = shipped.decode(
        embedding,
        [
            Prompt(box=Box(x1=x1, y1=y1, x2=x2, y2=y2)),
            Prompt(box=Box(x1=x1, y1=y1, x2=x2, y2=y2), clicks=(Click(x=150, y=120),)),
        ],
    )
    assert sam_eval.iou(masks.decode(boxed[0].mask), truth) > 0.7
    assert sam_eval.iou(masks.decode(clicked[0].mask), truth) > 0.7


def test_the_weights_are_small_enough_for_the_repository():
    assert embedded.WEIGHTS.stat().st_size <= 14 * 1024 * 1024


def test_the_metrics_on_record_are_of_these_weights(shipped):
    recorded = json.loads(sam_eval.METRICS.read_text())
    assert recorded["model"] == shipped.ref.version
    assert recorded["split"] == "val"
    assert recorded["together"]["box"]["mean"] >= 0.60


@pytest.mark.data
def test_boxes_on_photos_it_was_not_trained_on_give_masks_that_fit(shipped, photo_data):
    scenes = sam_data.load_scenes(photo_data, "val", limit=12)
    table = sam_eval.evaluate(shipped, scenes, per_photo=3)
    assert sam_eval.together(table, "box", seed=0)["mean_over_data_sets"] >= 0.60
