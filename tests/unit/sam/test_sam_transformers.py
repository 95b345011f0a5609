"""SAM 2 and SAM 3 through transformers, from real checkpoints of a few channels."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import SamConfig, SamModel

from models_runtime import masks
from models_runtime.contracts import Architecture, Box, Click, PhotoPixels, Prompt
from models_runtime.errors import FatalError, InputError
from models_runtime.registry import EngineSpec, Registry
from models_runtime.sam import transformers_sam
from tests.unit.sam.tiny_sams import SIDES, save_tiny_sam

FAMILIES = ("sam2", "sam3")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("sams")
    return {family: save_tiny_sam(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def engines(checkpoints):
    registry = Registry()
    return {
        family: registry.get(Architecture.SAM, f"transformers:{folder}")
        for family, folder in checkpoints.items()
    }


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def engine(engines, family):
    return engines[family]


def photo(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PhotoPixels(pixels, "00")


BOX = Prompt(box=Box(x1=20, y1=9, x2=150, y2=60))
CLICKS = Prompt(clicks=(Click(x=12, y=40), Click(x=150, y=3, positive=False)))
BOTH = Prompt(box=BOX.box, clicks=CLICKS.clicks[:1])


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (90, 160), (300, 200)])
def test_three_masks_of_the_photos_size_best_first(engine, size):
    prompts = [
        Prompt(box=Box(x1=0, y1=0, x2=size[1], y2=size[0])),
        Prompt(clicks=(Click(x=0, y=0),)),
    ]
    for candidates in engine.decode(engine.embed(photo(*size)), prompts):
        assert len(candidates) == 3
        scores = [c.predicted_iou for c in candidates]
        assert scores == sorted(scores, reverse=True)
        for found in candidates:
            assert masks.decode(found.mask).shape == size
            assert found.area == masks.area(found.mask)


def test_boxes_clicks_and_both_are_different_questions(engine):
    embedding = engine.embed(photo(90, 160))
    told = engine.decode(embedding, [BOX, CLICKS, BOTH])
    assert len({candidates[0].mask.counts for candidates in told}) == 3
    alone = [engine.decode(embedding, [prompt])[0] for prompt in (BOX, CLICKS, BOTH)]
    for left, right in zip(told, alone, strict=True):
        assert masks.iou(left[0].mask, right[0].mask) > 0.999


@pytest.mark.parametrize("size", [(90, 160), (160, 70)])
def test_masks_are_those_of_the_model_with_its_processors_formulas(engine, family, size):
    """The photo is stretched to a square and coordinates with it, x by the width and y by the
    height; masks are stretched back. A swap of the two would show on a photo that is no square."""
    side, (height, width) = SIDES[family], size
    smooth = np.linspace(0, 255, width)[None, :, None] + np.linspace(0, 90, height)[:, None, None]
    shot = PhotoPixels(np.clip(smooth + np.array([0, 20, 40]), 0, 255).astype(np.uint8), "")
    box = Box(x1=5, y1=30, x2=60, y2=80)
    (found,) = engine.decode(engine.embed(shot), [Prompt(box=box)])
    stretch = torch.tensor([side / width, side / height] * 2)
    corners = torch.tensor([box.x1, box.y1, box.x2, box.y2]) * stretch - 0.5
    with torch.inference_mode():
        told = engine._model(
            pixel_values=engine.prepared(shot.pixels)[None], input_boxes=corners.view(1, 1, 4)
        )
        whole = F.interpolate(told.pred_masks[0], size, mode="bilinear", align_corners=False)[0]
    order = told.iou_scores[0, 0].argsort(descending=True, stable=True).tolist()
    for candidate, number in zip(found, order, strict=True):
        assert candidate.predicted_iou == pytest.approx(float(told.iou_scores[0, 0, number]), 1e-4)
        if whole[number].max() > 0:
            truth = masks.encode((whole[number] > 0).numpy())
            assert masks.iou(candidate.mask, truth) > 0.995


def test_clicks_reach_the_model_where_its_processor_would_put_them(engine, family, monkeypatch):
    seen = {}
    encoder = engine._model.prompt_encoder
    plain = encoder.forward

    def spy(**given):
        seen.update(given)
        return plain(**given)

    monkeypatch.setattr(encoder, "forward", spy)
    engine.decode(engine.embed(photo(90, 160)), [CLICKS])
    side = SIDES[family]
    for (x, y), click in zip(seen["input_points"][0, 0].tolist(), CLICKS.clicks, strict=True):
        # The processor scales the pixel's index; we scale its centre: less than a pixel apart.
        assert x == pytest.approx((click.x + 0.5) * side / 160 - 0.5)
        assert abs(x - click.x * side / 160) < 1
        assert y == pytest.approx((click.y + 0.5) * side / 90 - 0.5)
    assert seen["input_labels"].tolist() == [[[1, 0]]]


def test_a_photo_is_stretched_and_normalised_as_the_family_was_trained(engine, family):
    rows, columns = np.mgrid[:90, :160]
    pixels = np.stack([rows * 2, columns, (rows + columns) // 2], axis=2).astype(np.uint8)
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in transformers_sam.COLOURS[family])
    raw = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    square = F.interpolate(raw, (SIDES[family],) * 2, mode="bilinear", antialias=True)[0]
    difference = engine.prepared(pixels) * std + mean - square / 255
    assert float(difference.abs().max()) < 1.5 / 255


@pytest.mark.parametrize("nested", [False, True])
def test_a_checkpoint_with_colours_of_its_own_is_believed(tmp_path, nested):
    folder = save_tiny_sam(tmp_path / "own", "sam2")
    told = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 1.0, 1.0]}
    name = "processor_config.json" if nested else "preprocessor_config.json"
    (folder / name).write_text(json.dumps({"image_processor": told} if nested else told))
    engine = transformers_sam.load(EngineSpec("transformers", str(folder)))
    black = engine.prepared(np.zeros((4, 4, 3), np.uint8))
    assert black[:, 0, 0].tolist() == pytest.approx([-0.1, -0.2, -0.3])


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_levels_come_back_as_they_were_folded(width, cells, seed):
    numbers = torch.Generator().manual_seed(seed)
    levels = [
        torch.randn(1, width * n, factor * cells, factor * cells, generator=numbers)
        for n, factor in ((1, 4), (2, 2), (3, 1))
    ]
    packed = transformers_sam.folded_levels(levels)
    assert packed.shape == (1, width * (16 + 8 + 3), cells, cells)
    again = transformers_sam.unfolded_levels(packed, [(width, 4), (2 * width, 2), (3 * width, 1)])
    assert all(torch.equal(a, b) for a, b in zip(again, levels, strict=True))


def test_prompts_outside_and_foreign_embeddings_are_refused(engines):
    embedding = engines["sam2"].embed(photo(50, 50))
    with pytest.raises(InputError, match="not inside the photo of 50 x 50 pixels"):
        engines["sam2"].decode(embedding, [Prompt(clicks=(Click(x=50, y=1),))])
    with pytest.raises(InputError, match="embed the photo again"):
        engines["sam3"].decode(embedding, [Prompt(clicks=(Click(x=1, y=1),))])


def test_the_version_names_weights_and_number_format(engine, checkpoints, family, tmp_path):
    other = transformers_sam.load(
        EngineSpec("transformers", str(save_tiny_sam(tmp_path / family, family, seed=8)))
    )
    spec = EngineSpec("transformers", str(checkpoints[family]), {"dtype": "bfloat16"})
    short = transformers_sam.load(spec)
    assert len({engine.ref.version, other.ref.version, short.ref.version}) == 3
    left, right = (e.embed(photo(90, 160)).features for e in (engine, short))
    assert np.abs(left - right).mean() < 0.1 * np.abs(left).mean()


def test_a_checkpoint_without_all_weights_is_refused(checkpoints, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(checkpoints["sam2"] / "model.safetensors")
    state.pop("mask_decoder.iou_token.weight")
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((checkpoints["sam2"] / "config.json").read_text())
    with pytest.raises(FatalError, match=r"lacks 1 weights: mask_decoder\.iou_token\.weight"):
        transformers_sam.load(EngineSpec("transformers", str(tmp_path)))


def test_the_first_sam_has_another_engine(tmp_path):
    config = SamConfig(
        vision_config={
            "hidden_size": 8, "output_channels": 8, "num_hidden_layers": 1, "image_size": 32,
            "num_attention_heads": 1, "window_size": 2, "global_attn_indexes": [0], "mlp_dim": 8,
            "num_pos_feats": 4,
        },
        prompt_encoder_config={"hidden_size": 8, "image_size": 32},
        mask_decoder_config={
            "hidden_size": 8, "mlp_dim": 8, "num_attention_heads": 1, "iou_head_hidden_dim": 8,
        },
    )  # fmt: skip
    SamModel(config).save_pretrained(tmp_path)
    with pytest.raises(FatalError, match="segment-anything: the first SAM"):
        transformers_sam.load(EngineSpec("transformers", str(tmp_path)))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("transformers:", "write transformers:/path/to/sam2"),
        ("transformers:?dtyp=float32", "has no option dtyp"),
    ],
)
def test_a_wrong_setting_says_what_to_do(setting, words):
    with pytest.raises(FatalError, match=words):
        transformers_sam.load(EngineSpec.parse(setting))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(FatalError, match="can't load a segmentation model"):
        transformers_sam.load(EngineSpec("transformers", str(tmp_path)))
