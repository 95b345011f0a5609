"""The small Sam: shapes, prompt map, sizes."""

import pytest
import torch

from models_runtime.sam import model

CONFIG = model.SamConfig(
    input_size=64,
    widths=(8, 8, 16, 16, 32),
    depths=(1, 1, 1, 1),
    attention_depth=1,
    dim=32,
    heads=2,
    prompt_channels=8,
    mlp_dim=64,
)


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return model.build(CONFIG).eval()


def test_it_is_the_packages_own_sam(sam):
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    assert isinstance(sam, Sam)
    assert isinstance(sam.prompt_encoder, PromptEncoder)
    assert isinstance(sam.mask_decoder, MaskDecoder)
    assert isinstance(sam.mask_decoder.transformer, TwoWayTransformer)


@pytest.mark.parametrize("size", [(64, 64), (64, 32), (10, 64)])
def test_three_masks_and_three_qualities_per_prompt(sam, size):
    with torch.inference_mode():
        embedding = model.encode(sam, torch.rand(1, 3, *size) * 255)
        boxes = torch.tensor([[1.0, 2, 9, 8], [0, 0, 30, 10]])
        logits, quality = model.decode(sam, embedding, boxes, None, None)
    assert embedding.shape == (1, 32, 8, 8)
    assert logits.shape == (2, 3, 32, 32)
    assert quality.shape == (2, 3)


def test_the_same_weights_work_at_another_size():
    sam = model.build(CONFIG).eval()
    model.set_input_size(sam, 96)
    with torch.inference_mode():
        embedding = model.encode(sam, torch.rand(1, 3, 96, 96))
        points, labels = torch.tensor([[[5.0, 6.0]]]), torch.ones(1, 1)
        logits, _ = model.decode(sam, embedding, None, points, labels)
    assert logits.shape == (1, 3, 48, 48)


def test_a_box_is_drawn_with_its_fractions_of_cells():
    drawn = model.prompt_map(8, 16, torch.tensor([[2.0, 4.0, 7.0, 8.0]]), None, None)[0, 0]
    assert drawn[2, 1:5].tolist() == [1.0, 1.0, 0.0, -1.0]
    assert drawn[0].unique().tolist() == [-1.0]


def test_clicks_are_drawn_where_they_are_and_with_their_sign():
    points = torch.tensor([[[5.0, 9.0], [13.0, 3.0]]])
    drawn = model.prompt_map(8, 16, None, points, torch.tensor([[1.0, 0.0]]))[0, 0]
    # The foot of each dot takes a little from the other.
    assert drawn[4, 2] == pytest.approx(model.CLICK_WEIGHT, abs=0.05)
    assert drawn[1, 6] == pytest.approx(-model.CLICK_WEIGHT, abs=0.05)


def test_a_prompt_of_nothing_is_refused():
    with pytest.raises(ValueError, match="box or at least one click"):
        model.prompt_map(8, 16, None, None, None)


def test_the_fast_norm_gives_what_the_packages_own_gives():
    from segment_anything.modeling.common import LayerNorm2d

    slow = LayerNorm2d(6)
    torch.nn.init.normal_(slow.weight)
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(model.ChannelNorm(slow)(x), slow(x))
