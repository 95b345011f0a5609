"""The folded decoder gives the masks of segment_anything's own decoder with the same weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.contracts import Box, Click, PhotoPixels, Prompt
from models_runtime.registry import EngineSpec
from models_runtime.sam import decoding, embedded, folded, model
from models_runtime.training import sam as training
from tests.unit.sam.test_sam_engines import build_tiny
from tests.unit.sam.test_sam_model import CONFIG


def shaken(sam):
    """Fresh weights leave biases at zero and norms at one, where a lost term would not show."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return sam.eval()


@pytest.fixture(scope="module")
def small():
    return shaken(model.build(CONFIG))


@pytest.fixture(scope="module")
def published():
    return shaken(build_tiny())


def prompts(boxed, clicks, count, side, seed):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, side, (count, 2, 2)), axis=1).reshape(count, 4)
    boxes = torch.from_numpy(corners).float() if boxed or not clicks else None
    points = torch.from_numpy(rng.uniform(0, side, (count, clicks, 2))).float()
    labels = torch.from_numpy(rng.integers(0, 2, (count, clicks))).float()
    return (boxes, points, labels) if clicks else (boxes, None, None)


PROMPTS = st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 4))


@given(PROMPTS, st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_the_small_model_gives_the_same_logits_and_qualities(small, form, seed):
    boxes, points, labels = prompts(*form, CONFIG.input_size, seed)
    features = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        plain, quality = model.decode(small, features, boxes, points, labels)
        drawn = model.prompt_map(CONFIG.grid, CONFIG.input_size, boxes, points, labels)
        encoder = folded.FoldedPrompts(small)
        tokens = encoder.tokens(boxes, points, labels)
        found, sure = folded.FoldedDecoder(small)(features, encoder.cells(drawn), tokens)
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))
    torch.testing.assert_close(sure, quality, rtol=1e-3, atol=1e-4)


@given(PROMPTS, st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_a_published_architecture_gives_the_same_logits_and_qualities(published, form, seed):
    boxes, points, labels = prompts(*form, 128, seed)
    features = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(seed))
    clicks = None if points is None else (points - 0.5, labels)
    with torch.inference_mode():
        sparse, dense = published.prompt_encoder(
            points=clicks, boxes=None if boxes is None else boxes - 0.5, masks=None
        )
        place = published.prompt_encoder.get_dense_pe()
        plain, quality = published.mask_decoder(features, place, sparse, dense, True)
        encoder = folded.FoldedPrompts(published)
        torch.testing.assert_close(encoder.tokens(boxes, points, labels), sparse)
        decoder = folded.FoldedDecoder(published)
        found, sure = decoder(features, encoder.no_map, encoder.tokens(boxes, points, labels))
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))
    torch.testing.assert_close(sure, quality, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(90, 120), (333, 77)])
def test_whole_masks_are_those_of_the_plain_path(tmp_path, size):
    path = tmp_path / "toy.safetensors"
    training.toy_trainer().export(path)
    engine = embedded.load(EngineSpec.parse(f"embedded:{path}"))
    config = embedded.read_config(path.with_suffix(".json"))
    sam = model.build(config).eval()
    sam.load_state_dict(engine._sam.state_dict())
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    embedding = engine.embed(PhotoPixels(pixels, ""))
    asked = [
        Prompt(box=Box(x1=5, y1=9, x2=60, y2=70)),
        Prompt(clicks=(Click(x=30, y=40), Click(x=70, y=2, positive=False))),
    ]

    def plain(boxes, points, labels):
        with torch.inference_mode():
            features = torch.tensor(embedding.features)[None]
            return model.decode(sam, features, boxes, points, labels)

    expected = decoding.decode_all(embedding, asked, plain, config.grid / config.input_size)
    for ours, theirs in zip(engine.decode(embedding, asked), expected, strict=True):
        for left, right in zip(ours, theirs, strict=True):
            assert left.predicted_iou == pytest.approx(right.predicted_iou, abs=1e-4)
            assert abs(left.area - right.area) <= max(2, 0.001 * right.area)
