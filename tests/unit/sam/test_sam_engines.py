"""What every segmenter promises, asked of the embedded one and of a published architecture."""

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime import masks
from models_runtime.contracts import Architecture, Box, Click, PhotoPixels, Prompt
from models_runtime.errors import FatalError, InputError
from models_runtime.registry import EngineSpec
from models_runtime.sam import compat, decoding, embedded, official
from models_runtime.training import sam as training

TINY = "vit_tiny"


def photo(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return PhotoPixels(pixels, "00")


def box(x1, y1, x2, y2):
    return Prompt(box=Box(x1=x1, y1=y1, x2=x2, y2=y2))


def click(x, y, positive=True):
    return Prompt(clicks=(Click(x=x, y=y, positive=positive),))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("sam") / "toy.safetensors"
    training.toy_trainer().export(path)
    return path


@pytest.fixture(scope="module")
def toy(weights):
    return embedded.load(EngineSpec.parse(f"embedded:{weights}"))


def build_tiny(checkpoint=None):
    """The published architecture with one narrow block instead of twelve wide ones."""
    modeling = compat.load().modeling
    assert checkpoint is None
    return modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=1,
            embed_dim=16,
            img_size=128,
            mlp_ratio=2,
            num_heads=2,
            patch_size=16,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            qkv_bias=True,
            use_rel_pos=True,
            window_size=4,
            out_chans=32,
        ),
        prompt_encoder=modeling.PromptEncoder(32, (8, 8), (128, 128), 8),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=32,
            transformer=modeling.TwoWayTransformer(2, 32, 2, 32),
            iou_head_depth=2,
            iou_head_hidden_dim=16,
        ),
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("official") / "tiny.pth"
    torch.save(build_tiny().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def published(checkpoint):
    registry = compat.load().sam_model_registry
    registry[TINY] = build_tiny
    yield official.load(EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={checkpoint}"))
    del registry[TINY]


@pytest.fixture(params=["toy", "published"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (7, 5), (3, 40), (480, 640)])
def test_masks_have_the_size_of_the_photo_whatever_its_shape(engine, size):
    embedding = engine.embed(photo(*size))
    answers = engine.decode(embedding, [box(0, 0, size[1], size[0]), click(0, 0)])
    assert embedding.features.dtype == np.float32
    assert [len(a) for a in answers] == [3, 3]
    for candidates in answers:
        for found in candidates:
            assert found.mask.size == size
            assert masks.decode(found.mask).shape == size
            assert found.area == masks.area(found.mask)


def test_candidates_come_best_first(engine):
    answers = engine.decode(engine.embed(photo(90, 120)), [box(10, 10, 50, 60), click(30, 20)])
    for candidates in answers:
        scores = [c.predicted_iou for c in candidates]
        assert scores == sorted(scores, reverse=True)


def test_the_same_photo_and_prompt_give_the_same_masks(engine):
    first, second = engine.embed(photo(60, 80)), engine.embed(photo(60, 80))
    prompts = [box(3, 4, 30, 40), click(20, 20)]
    assert np.array_equal(first.features, second.features)
    assert engine.decode(first, prompts) == engine.decode(second, prompts)
    assert engine.decode(first, prompts) == engine.decode(first, prompts)


def test_the_order_of_prompts_does_not_change_their_masks(engine):
    embedding = engine.embed(photo(60, 80))
    mixed = [
        click(5, 5),
        box(3, 4, 30, 40),
        click(40, 30, positive=False),
        box(50, 10, 70, 50),
        Prompt(box=Box(x1=1, y1=1, x2=20, y2=20), clicks=(Click(x=4, y=4),)),
    ]
    forward = engine.decode(embedding, mixed)
    backward = engine.decode(embedding, mixed[::-1])[::-1]
    assert [len(a) for a in forward] == [3] * 5
    for left, right in zip(forward, backward, strict=True):
        assert [c.predicted_iou for c in left] == pytest.approx(
            [c.predicted_iou for c in right], abs=1e-4
        )
        assert masks.iou(left[0].mask, right[0].mask) > 0.95


def test_more_prompts_than_one_chunk_are_all_answered(engine):
    embedding = engine.embed(photo(50, 50))
    answers = engine.decode(embedding, [box(i, i, i + 9, i + 12) for i in range(37)])
    assert all(len(a) == 3 for a in answers)


def test_only_masks_that_would_be_empty_get_a_lower_threshold():
    logits = torch.full((3, 4, 4), -9.0)
    logits[0, 1, 1], logits[1, 2, 2] = 3.0, -1.0
    filled = decoding.never_empty(logits)
    assert torch.equal(filled[0], logits[0])
    assert (filled > 0).sum((1, 2)).tolist() == [1, 1, 16]


@pytest.mark.parametrize("prompt", [box(90, 90, 100, 98), click(50, 60), box(0, 0, 300, 200)])
def test_whoever_points_at_something_gets_pixels(engine, prompt):
    (candidates,) = engine.decode(engine.embed(photo(200, 300)), [prompt])
    assert all(found.area > 0 for found in candidates)


def test_no_prompts_no_masks(engine):
    assert engine.decode(engine.embed(photo(20, 20)), []) == []


@pytest.mark.parametrize(
    "prompt",
    [box(0, 0, 121, 50), box(0, 0, 50, 91), box(500, 500, 510, 510), click(120, 5), click(5, 90)],
)
def test_prompts_outside_the_photo_are_refused(engine, prompt):
    embedding = engine.embed(photo(90, 120))
    with pytest.raises(InputError, match="not inside the photo of 120 x 90 pixels"):
        engine.decode(embedding, [box(1, 1, 9, 9), prompt])


def test_an_embedding_of_another_engine_is_refused(engine):
    foreign = replace(engine.embed(photo(20, 20)), engine="some-other-engine@1")
    with pytest.raises(InputError, match="embed the photo again"):
        engine.decode(foreign, [click(1, 1)])


def test_threads_do_not_disturb_each_other(engine):
    photos = [photo(40 + 9 * i, 70, seed=i) for i in range(4)]
    prompt = [box(5, 5, 30, 30)]
    alone = [engine.decode(engine.embed(p), prompt) for p in photos]
    together = [None] * len(photos)

    def work(i):
        together[i] = engine.decode(engine.embed(photos[i]), prompt)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


@given(st.integers(1, 70), st.integers(1, 70), st.data())
@settings(max_examples=25, deadline=None)
def test_any_prompt_inside_any_photo_is_answered(toy, height, width, data):
    x = data.draw(st.floats(0, width, exclude_max=True))
    y = data.draw(st.floats(0, height, exclude_max=True))
    answers = toy.decode(
        toy.embed(photo(height, width)), [click(x, y), box(0, 0, x + 0.01, y + 0.01)]
    )
    for candidates in answers:
        for found in candidates:
            assert found.mask.size == (height, width)
            assert found.box is None or (found.box.x2 <= width and found.box.y2 <= height)


def test_the_version_names_the_weights(toy, weights, published):
    assert toy.ref.architecture is Architecture.SAM
    assert toy.ref.version.startswith("loupe-sam@")
    assert published.ref.version.startswith(f"{TINY}@")
    other = weights.with_name("other.safetensors")
    training.toy_trainer(seed=5).export(other)
    assert embedded.load(EngineSpec("embedded", str(other))).ref.version != toy.ref.version


def test_missing_or_foreign_weights_are_named(tmp_path, weights):
    with pytest.raises(FatalError, match="missing"):
        embedded.load(EngineSpec("embedded", str(tmp_path / "none.safetensors")))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not safetensors at all")
    broken.with_suffix(".json").write_text(weights.with_suffix(".json").read_text())
    with pytest.raises(FatalError, match="do not fit the model"):
        embedded.load(EngineSpec("embedded", str(broken)))
    with pytest.raises(FatalError, match="do not fit the model"):
        embedded.load(EngineSpec("embedded", str(tmp_path)))
    with pytest.raises(FatalError, match="has no option wieghts"):
        embedded.load(EngineSpec.parse(f"embedded:?wieghts={weights}"))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("segment-anything:vit_z?checkpoint=x.pth", "no model 'vit_z'; there are: vit_b, vit_h"),
        ("segment-anything:vit_b", "needs a checkpoint"),
        ("segment-anything:vit_b?checkpoint=/nowhere/sam.pth", "does not exist"),
    ],
)
def test_a_wrong_setting_says_what_to_do(setting, words):
    with pytest.raises(FatalError, match=words):
        official.load(EngineSpec.parse(setting))


def test_a_checkpoint_of_another_architecture_is_refused(published, checkpoint, tmp_path):
    smaller = tmp_path / "smaller.pth"
    state = torch.load(checkpoint, weights_only=True)
    state.pop("mask_decoder.iou_token.weight")
    torch.save(state, smaller)
    with pytest.raises(FatalError, match="does not fit the architecture"):
        official.load(EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={smaller}"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(FatalError, match="does not fit the architecture"):
        official.load(EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={tmp_path}/text.pth"))


def test_a_checkpoint_with_code_in_it_is_not_run(published, tmp_path):
    trap = tmp_path / "trap.pth"
    torch.save({"x": threading.Event}, trap)
    with pytest.raises(FatalError, match="does not fit the architecture"):
        official.load(EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={trap}"))


def test_photos_are_resized_as_the_package_itself_does(published):
    from segment_anything.utils.transforms import ResizeLongestSide

    for height, width in ((90, 120), (333, 77), (1024, 1024)):
        pixels = photo(height, width).pixels
        assert np.array_equal(official.fit(pixels, 128), ResizeLongestSide(128).apply_image(pixels))


def test_an_unknown_device_is_named(published, checkpoint):
    with pytest.raises(FatalError, match="unknown device 'abacus'"):
        official.load(
            EngineSpec.parse(f"segment-anything:{TINY}?checkpoint={checkpoint}&device=abacus")
        )
