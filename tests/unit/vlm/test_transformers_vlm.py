"""A real generative VLM, tiny and random: always valid, never sure without reason, and the same
answer every time."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

from models_runtime.contracts import Extraction, PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.llm.constrained import JsonSchemaProcessor
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm.answers import answer_schema
from models_runtime.vlm.openai import BY_TOKENS, CUT_OFF
from models_runtime.vlm.transformers_vlm import TransformersVLM, load, seen_size
from tests.unit.vlm.plans import GARMENTS
from tests.unit.vlm.tiny_vlm import save_tiny_vlm


def photo(seed: int = 1) -> PhotoPixels:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 80, 3)).astype(np.uint8)
    return PhotoPixels(pixels, "0" * 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vlm(tmp_path_factory.mktemp("tiny-idefics3"), seed=9)


def engine_of(folder: Path, options: str = "tokens=1024") -> TransformersVLM:
    return load(EngineSpec.parse(f"transformers:{folder}?{options}"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> TransformersVLM:
    return engine_of(folder)


def answer_of(engine: TransformersVLM, plan: PlanSpec, seen: PhotoPixels) -> str:
    """What the model wrote, before it was read."""
    written = []
    generate = engine._generate

    def noting(*arguments, **options):
        written.append(generate(*arguments, **options))
        return written[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_generate", noting)
        engine.extract([seen], plan)
    return written[0][0]


@pytest.mark.parametrize("seed", [3, 9, 12])
def test_whatever_the_weights_the_answer_is_strictly_valid(tmp_path: Path, seed: int) -> None:
    engine = engine_of(save_tiny_vlm(tmp_path, seed))
    text = answer_of(engine, GARMENTS, photo())
    schema = answer_schema(GARMENTS, engine.boxes, stated=False)
    jsonschema.validate(json.loads(text), schema)
    (found,) = engine.extract([photo()], GARMENTS)
    assert Extraction.model_validate(found.model_dump()) == found
    chances = [a.confidence for a in found.attributes] + [d.confidence for d in found.defects]
    assert all(0.0 <= chance <= 0.8 for chance in chances), "trust is 0.8"
    assert found.abstained or found.basis == BY_TOKENS


def test_the_same_photo_gets_the_same_answer_and_another_one_other_chances(
    engine: TransformersVLM,
) -> None:
    first, again, other = (engine.extract([photo(n)], GARMENTS)[0] for n in (1, 1, 2))
    assert first == again
    assert first.attributes[1].value is True, "this model does answer something"
    assert 0 < first.attributes[1].confidence < 0.8
    assert first.attributes[1].confidence != other.attributes[1].confidence


def test_confidence_is_the_chance_of_the_value_among_those_allowed(folder: Path) -> None:
    """Against the model's own logits, computed apart from generation."""
    engine = engine_of(folder, "trust=1&tokens=400")
    plan = PlanSpec.model_validate(
        {"name": "P", "characteristics": [{"key": "k", "kind": "boolean"}]}
    )
    (token,) = (t for t in written_tokens(engine, plan) if t[0] in (b"t", b"f", b"n") and t[2])
    assert token[1] == pytest.approx(expected_logprob(engine, plan), abs=1e-3)


def written_tokens(engine: TransformersVLM, plan: PlanSpec) -> list[tuple[bytes, float, bool]]:
    """Each token with its log probability, and whether it opens the answer to "k"."""
    inputs, schema = asked(engine, plan)
    text, tokens = engine._generate(inputs, schema)
    at = text.index('"k":') + len('"k":')
    return [(t.text, t.logprob, n == at) for n, t in enumerate(tokens)]


def asked(engine: TransformersVLM, plan: PlanSpec):
    from models_runtime.vlm.asking import messages

    schema = answer_schema(plan, engine.boxes, stated=False)
    image = Image.fromarray(photo().pixels)
    part = {"type": "image", "image": image}
    told = messages(plan, engine.boxes, schema, part, stated=False)
    return engine._inputs(told, image), schema


@torch.inference_mode()
def expected_logprob(engine: TransformersVLM, plan: PlanSpec) -> float:
    """One forward pass over prompt and answer up to the value; softmax over t, f and n."""
    inputs, schema = asked(engine, plan)
    text, _ = engine._generate(inputs, schema)
    before = text[: text.index('"k":') + len('"k":')]
    tokenizer = engine._processor.tokenizer
    ids = tokenizer(before, add_special_tokens=False, return_tensors="pt")["input_ids"]
    whole = torch.cat([inputs["input_ids"], ids], dim=1)
    logits = engine._model(
        input_ids=whole,
        attention_mask=torch.ones_like(whole),
        pixel_values=inputs["pixel_values"],
        pixel_attention_mask=inputs["pixel_attention_mask"],
    ).logits[0, -1]
    options = [tokenizer.convert_tokens_to_ids(letter) for letter in "tfn"]
    return float(logits[options].log_softmax(-1).max())


@pytest.mark.parametrize(
    ("text", "whole", "possible"),
    [
        ('{"fits_plan":false}', True, True),
        ('{"fits_plan":false,', False, False),
        ('{"fits_plan":true}', False, False),
        ('{"fits_plan":true,"attributes":{', False, True),
    ],
)
def test_a_photo_that_does_not_fit_the_plan_costs_no_further_tokens(
    engine: TransformersVLM, text: str, whole: bool, possible: bool
) -> None:
    schema = answer_schema(GARMENTS, engine.boxes, stated=False)
    shape = JsonSchemaProcessor(engine._grammar, schema)
    ids = engine._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert (shape._matcher.validate_tokens(ids) == len(ids)) == possible
    if possible:
        shape._matcher.consume_tokens(ids)
        assert shape.is_finished == whole


def test_an_answer_that_is_cut_off_abstains(folder: Path) -> None:
    (found,) = engine_of(folder, "tokens=16").extract([photo()], GARMENTS)
    assert found.abstained
    assert found.reasons == (CUT_OFF,)
    assert found.defects == ()
    assert all(a.abstained for a in found.attributes)


def test_a_plan_longer_than_the_context_says_so(folder: Path) -> None:
    long = PlanSpec.model_validate({**GARMENTS.model_dump(), "description": "x" * 2000})
    engine = engine_of(folder)
    engine._room = 2000
    with pytest.raises(FatalError, match="longer context"):
        engine.extract([photo()], long)


def test_the_engine_is_named_after_its_folder_and_its_weights(
    folder: Path, engine: TransformersVLM, tmp_path: Path
) -> None:
    assert engine.ref.engine == f"transformers:{folder.name}"
    assert engine.ref.version != engine_of(save_tiny_vlm(tmp_path, 8)).ref.version
    assert engine.ref.version == engine_of(folder).ref.version
    assert engine.boxes.name == "unit"
    assert engine_of(folder, "boxes=thousand").boxes.name == "thousand"


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("transformers:", "no model named"),
        ("transformers:/no/such/folder", "cannot load"),
        ("transformers:x?boxes=feet", "boxes"),
        ("transformers:x?tokens=1", "tokens"),
        ("transformers:x?api_key=sk-123", "no option api_key"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(setting: str, hint: str, folder: Path) -> None:
    with pytest.raises(FatalError, match=hint) as caught:
        load(EngineSpec.parse(setting.replace(":x", f":{folder}")))
    assert "sk-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "processor", "images"),
    [
        ("qwen2_5_vl", "Qwen2_5_VLProcessor", "Qwen2VLImageProcessor"),
        ("qwen3_vl", "Qwen3VLProcessor", "Qwen2VLImageProcessorFast"),
        ("smolvlm", "SmolVLMProcessor", "SmolVLMImageProcessor"),
    ],
)
def test_a_processor_that_needs_torchvision_says_so(
    tmp_path: Path, family: str, processor: str, images: str
) -> None:
    save_tiny_vlm(tmp_path)
    named = {"processor_class": processor}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    (tmp_path / "processor_config.json").write_text(json.dumps(named))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({**named, "image_processor_type": images})
    )
    try:
        import torchvision  # noqa: F401
    except ImportError:
        with pytest.raises(FatalError, match=r"needs torchvision.*\[gpu\]"):
            engine_of(tmp_path)
    else:
        pytest.skip("torchvision is installed here")


def test_boxes_in_pixels_are_pixels_of_the_picture_as_the_model_sees_it() -> None:
    model = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(patch_size=14)))
    image = Image.new("RGB", (1000, 500))
    assert seen_size({"input_ids": 0}, model, image) == (500, 1000)
    grid = {"image_grid_thw": torch.tensor([[1, 36, 72]])}
    assert seen_size(grid, model, image) == (504, 1008)
