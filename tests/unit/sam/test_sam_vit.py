"""The fused image encoder gives the embedding of segment_anything's own with the same weights."""

from functools import partial

import numpy as np
import pytest
import torch

from models_runtime import masks
from models_runtime.contracts import (
    Architecture,
    Box,
    Click,
    EngineRef,
    PhotoPixels,
    Prompt,
)
from models_runtime.errors import FatalError
from models_runtime.registry import EngineSpec
from models_runtime.sam import compat, official, vit
from tests.unit.sam.test_sam_engines import TINY, build_tiny


def encoder(**changes):
    """A narrow encoder whose position terms are not zero, as they are in a fresh one."""
    shape = {
        "depth": 2,
        "embed_dim": 24,
        "img_size": 96,
        "num_heads": 3,
        "patch_size": 8,
        "norm_layer": partial(torch.nn.LayerNorm, eps=1e-6),
        "use_rel_pos": True,
        "window_size": 5,
        "global_attn_indexes": (1,),
        "out_chans": 16,
    }
    torch.manual_seed(4)
    made = compat.load().modeling.ImageEncoderViT(**{**shape, **changes}).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window_size": 4},
        {"window_size": 0},
        {"use_rel_pos": False},
        {"qkv_bias": False},
        {"use_abs_pos": False},
    ],
    ids=["padded windows", "whole windows", "no windows", "no positions", "no bias", "no place"],
)
@pytest.mark.parametrize("piece", [2**22, 20_000, 1])
def test_the_embedding_is_the_same_however_it_is_cut(monkeypatch, changes, piece):
    monkeypatch.setattr(vit, "PIECE_BYTES", piece)
    plain = encoder(**changes)
    photo = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(
            vit.FusedEncoder(plain)(photo), plain(photo), rtol=1e-4, atol=1e-4
        )


@pytest.fixture
def checkpoint(tmp_path):
    registry = compat.load().sam_model_registry
    registry[TINY] = build_tiny
    torch.manual_seed(2)
    torch.save(build_tiny().state_dict(), tmp_path / "tiny.pth")
    yield tmp_path / "tiny.pth"
    del registry[TINY]


def sam_with(image_encoder):
    """A whole ``Sam`` around an encoder of 6 x 6 cells and 16 channels."""
    modeling = compat.load().modeling
    return modeling.Sam(
        image_encoder=image_encoder,
        prompt_encoder=modeling.PromptEncoder(16, (6, 6), (96, 96), 8),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=16,
            transformer=modeling.TwoWayTransformer(2, 16, 2, 16),
            iou_head_depth=2,
            iou_head_hidden_dim=8,
        ),
    ).eval()


def test_the_masks_are_those_of_the_plain_encoder():
    sam = sam_with(encoder(patch_size=16, window_size=4))
    ref = EngineRef(architecture=Architecture.SAM, engine="segment-anything", version="tiny@0")
    fused, plain = official.OfficialSegmenter(sam, ref), official.OfficialSegmenter(sam, ref)
    plain._encode = sam.image_encoder
    pixels = np.random.default_rng(5).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    asked = [Prompt(box=Box(x1=20, y1=10, x2=80, y2=60)), Prompt(clicks=(Click(x=40, y=30),))]
    ours, theirs = (e.decode(e.embed(PhotoPixels(pixels, "")), asked) for e in (fused, plain))
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one, other, strict=True):
            assert masks.iou(a.mask, b.mask) >= 0.99
    shares = [c.area / (72 * 96) for found in theirs for c in found]
    assert any(0.05 < share < 0.95 for share in shares), "masks of all or nothing show nothing"


@pytest.mark.parametrize("size", [(40, 64), (90, 61), (33, 300), (150, 96), (7, 5)])
def test_masks_are_those_of_the_packages_own_predictor(size):
    """Noise, of which every cell shows; and photos that leave a part of the square input empty."""
    sam = sam_with(encoder(patch_size=16, window_size=4))
    ref = EngineRef(architecture=Architecture.SAM, engine="segment-anything", version="tiny@0")
    engine, predictor = official.OfficialSegmenter(sam, ref), compat.load().SamPredictor(sam)
    noise = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(6))
    engine._decoder = lambda *_: (noise, torch.tensor([[0.9, 0.8, 0.7]]))
    sam.mask_decoder.forward = lambda **_: (noise, torch.tensor([[0.9, 0.8, 0.7]]))
    pixels = np.zeros((*size, 3), np.uint8)
    predictor.set_image(pixels)
    theirs, _, _ = predictor.predict(np.array([[2, 3]]), np.array([1]))
    (ours,) = engine.decode(
        engine.embed(PhotoPixels(pixels, "")), [Prompt(clicks=(Click(x=2, y=3),))]
    )
    for found, truth in zip(ours, theirs, strict=True):
        assert truth.any()
        assert masks.iou(found.mask, masks.encode(truth)) > 0.999


def test_bfloat16_is_another_version_and_nearly_the_same_embedding(checkpoint):
    setting = f"segment-anything:{TINY}?checkpoint={checkpoint}&dtype="
    exact = official.load(EngineSpec.parse(setting + "float32"))
    short = official.load(EngineSpec.parse(setting + "bfloat16"))
    assert exact.ref.version != short.ref.version
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    left, right = (e.embed(PhotoPixels(pixels, "")).features for e in (exact, short))
    assert left.dtype == right.dtype == np.float32
    assert np.abs(left - right).max() > 0
    assert np.abs(left - right).mean() < 0.05 * np.abs(left).mean()


@pytest.mark.parametrize(("able", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_processor_decides_where_nobody_else_does(monkeypatch, able, chosen):
    monkeypatch.setattr(official, "_computes_in_bfloat16", lambda: able)
    assert official.encoder_dtype("auto", torch.device("cpu")) is chosen
    assert official.encoder_dtype("auto", torch.device("cuda")) is torch.float32
    assert official.encoder_dtype("float32", torch.device("cpu")) is torch.float32


@pytest.mark.parametrize(
    ("option", "words"),
    [("dtype=int3", "unknown dtype 'int3'"), ("checkpiont=x", "has no option checkpiont")],
)
def test_a_wrong_option_is_named(checkpoint, option, words):
    with pytest.raises(FatalError, match=words):
        official.load(EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={checkpoint}&{option}"))
