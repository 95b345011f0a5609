"""A generative VLM in this process: any image-text-to-text model that transformers can load.

    transformers:/models/SmolVLM-Instruct?device=cuda&dtype=bfloat16
    transformers:Qwen/Qwen3-VL-8B-Instruct?device=cuda&boxes=thousand

Decoding is constrained to the plan's answer schema, so every answer that ends is valid; one that
does not end within ``tokens`` abstains. Decoding is greedy: the same photo gives the same answer.
``side`` is the longest side a photo is shown with (default 1536); ``boxes`` and ``trust`` are as in
vlm/openai.py. Confidences are token probabilities among what the schema allows.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, LogitsProcessorList

from models_runtime.contracts import Architecture, EngineRef, Extraction, PhotoPixels
from models_runtime.errors import FatalError, TransientError
from models_runtime.llm.constrained import JsonSchemaProcessor, schema_tokenizer
from models_runtime.openai_client import Message, Token
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm.answers import Picture, answer_schema, read_answer
from models_runtime.vlm.asking import PROMPT_VERSION, messages
from models_runtime.vlm.conventions import Convention, Size, convention_of
from models_runtime.vlm.openai import BY_TOKENS, CUT_OFF, UNREADABLE, number_option
from models_runtime.vlm.sureness import abstained
from models_runtime.vlm.token_chances import token_chances

ANSWER_VERSION = 2
"""Of the shape of the answer, which the prompt shows."""
MOST_TOKENS = 1024
SIDE = 1536
ROOM_UNKNOWN = 1 << 20
_SAMPLED = 1 << 20
"""Bytes at both ends of a weight file that go into the version."""


class TransformersVLM:
    """Extractor over a generative model. One generation at a time, others wait."""

    def __init__(
        self, source: str, device: str, dtype: str, boxes: str, side: int, tokens: int, trust: float
    ) -> None:
        self._processor: Any = AutoProcessor.from_pretrained(source)
        self._model = _frozen(source, device, dtype)
        text: Any = self._model.config.get_text_config()
        self._room = int(getattr(text, "max_position_embeddings", ROOM_UNKNOWN))
        self._grammar = schema_tokenizer(self._processor.tokenizer, int(text.vocab_size))
        self._boxes = convention_of(str(self._model.config.model_type), boxes)
        self._side, self._tokens, self._trust = side, tokens, trust
        self._name = Path(source).name
        self._lock = threading.Lock()
        version = model_version(Path(source)) if Path(source).is_dir() else source
        asked = f"prompt-{PROMPT_VERSION}.{ANSWER_VERSION}"
        told = f"{version}/{asked}/{self._boxes.name}/{side}/{trust:g}"
        self._ref = EngineRef(
            architecture=Architecture.VLM, engine=f"transformers:{self._name}", version=told
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    @property
    def boxes(self) -> Convention:
        """How this model is asked to write boxes."""
        return self._boxes

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        """One extraction per photo; FatalError where the plan is too long for the model."""
        return [self._extract(photo, plan) for photo in photos]

    def _extract(self, photo: PhotoPixels, plan: PlanSpec) -> Extraction:
        schema = answer_schema(plan, self._boxes, stated=False)
        image = shrunk(photo, self._side)
        part = {"type": "image", "image": image}
        asked = messages(plan, self._boxes, schema, part, photo.note, stated=False)
        inputs = self._inputs(asked, image)
        text, tokens = self._generate(inputs, schema)
        if not _is_whole(text):
            return abstained(plan, CUT_OFF)
        picture = Picture((photo.height, photo.width), seen_size(inputs, self._model, image),
                          self._boxes)  # fmt: skip
        chances = token_chances(text, tokens, plan, constrained=True)
        read = read_answer(text, plan, picture, self._trust, chances)
        return read.model_copy(update={"basis": BY_TOKENS}) if read else abstained(plan, UNREADABLE)

    def complete(
        self, asked: Sequence[Message], image: Image.Image | None, schema: dict[str, Any], most: int
    ) -> str:
        """Answer any question in the shape of a schema; the text may be cut off at ``most`` tokens.

        ``asked`` holds the protocol's messages, the photo as a part of type "image".
        """
        return self._generate(self._inputs(list(asked), image), schema, most)[0]

    @torch.inference_mode()
    def _generate(
        self, inputs: Any, schema: dict[str, Any], most: int | None = None
    ) -> tuple[str, tuple[Token, ...]]:
        shape = JsonSchemaProcessor(self._grammar, schema)
        asked = int(inputs["input_ids"].shape[1])
        most = self._tokens if most is None else min(most, self._tokens)
        if asked + most > self._room:
            raise FatalError(
                f"the question has {asked} tokens and the answer up to {most}; {self._name} has "
                f"room for {self._room}: shorten the plan, or use a model with a longer context"
            )
        with self._lock, _memory_errors(self._name):
            output = self._model.generate(
                **inputs,
                max_new_tokens=most,
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                temperature=None,
                top_p=None,
                top_k=None,
                logits_processor=LogitsProcessorList([shape]),
                eos_token_id=_ends(self._processor.tokenizer, self._model),
                pad_token_id=_pad(self._processor.tokenizer),
            )
        tokens = shape.taken(output[0, asked:].tolist())
        return b"".join(t.text for t in tokens).decode("utf-8", "replace"), tokens

    def _inputs(self, asked: list[Message], image: Image.Image | None) -> Any:
        """Tensors for ``generate``: by the model's chat template, or plain where it has none."""
        parts = [part for message in asked for part in _parts(message)]
        if getattr(self._processor, "chat_template", None):
            inputs = self._processor.apply_chat_template(
                [{"role": "user", "content": parts}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            told = "\n".join(part["text"] for part in parts if part["type"] == "text")
            mark = getattr(self._processor, "image_token", "") if image is not None else ""
            inputs = self._processor(images=image, text=f"{mark}{told}\n", return_tensors="pt")
        return inputs.to(self._model.device, dtype=self._model.dtype)


def _parts(message: Message) -> list[dict[str, Any]]:
    """Rules and question in one message: not every chat template knows a system role."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


class _memory_errors:
    """Out of memory on the device: the same photo may work when others are done."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, torch.OutOfMemoryError):
            raise TransientError(f"{self._name}: the device is out of memory") from error


def _ends(tokenizer: Any, model: Any) -> list[int]:
    """Every token that ends an answer: tokenizer and generation settings don't always agree."""
    set_ = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(set_ if isinstance(set_, list) else [set_])}
    return sorted(int(end) for end in ends if end is not None)


def _pad(tokenizer: Any) -> int:
    pad = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if pad is None else pad)


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def shrunk(photo: PhotoPixels, side: int) -> Image.Image:
    """The photo as a picture of at most ``side`` pixels on its longer side."""
    image = Image.fromarray(photo.pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def seen_size(inputs: Any, model: Any, image: Image.Image) -> Size:
    """(height, width) of the picture as the model sees it: that of its patch grid in models that
    keep the picture's shape (Qwen-VL, GLM-V), else of the picture given."""
    grid = inputs.get("image_grid_thw") if hasattr(inputs, "get") else None
    if grid is None:
        return image.height, image.width
    patch = int(model.config.vision_config.patch_size)
    _, rows, columns = (int(n) for n in np.asarray(grid.cpu())[0])
    return rows * patch, columns * patch


def model_version(folder: Path) -> str:
    """12 hex digits over configuration, sizes and both ends of the weight files: hashing all of a
    large model would take longer than loading it."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.jinja")]):
        digest.update(path.name.encode() + path.read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED))
            file.seek(max(0, size - _SAMPLED))
            digest.update(file.read(_SAMPLED))
    return digest.hexdigest()[:12]


def _frozen(source: str, device: str, dtype: str) -> Any:
    placed: dict[str, Any] = {"device_map": "auto"} if device == "auto" else {}
    model: Any = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, **placed)
    if model.config.is_encoder_decoder:
        raise FatalError(f"{source}: encoder-decoder models can't be asked for JSON; take another")
    model.requires_grad_(False)
    model.train(False)
    return model if placed else model.to(torch.device(device))


def load(spec: EngineSpec) -> TransformersVLM:
    """Load ``transformers:PATH?device=cpu&dtype=auto``; FatalError says what is wrong."""
    spec.allow("device", "dtype", "boxes", "side", "tokens", "trust")
    if not spec.target:
        raise FatalError("no model named: write transformers:/path/to/model")
    side = number_option(spec, "side", SIDE, 28, 8192)
    tokens = number_option(spec, "tokens", MOST_TOKENS, 16, 32_768)
    trust = number_option(spec, "trust", 0.8, 0.0, 1.0)
    options = spec.options
    try:
        return TransformersVLM(
            spec.target, options.get("device", "cpu"), options.get("dtype", "auto"),
            options.get("boxes", ""), int(side), int(tokens), trust,
        )  # fmt: skip
    except (OSError, ValueError, ImportError, AttributeError, RuntimeError, KeyError) as error:
        raise FatalError(_why(spec.target, error)) from error


def _why(source: str, error: Exception) -> str:
    """What to do about a model that can't be loaded."""
    said = " ".join(str(error).split())
    if "torchvision" in said.lower():
        return (
            f"the processor of {source!r} needs torchvision, which the base installation leaves "
            "out because it can't be imported beside the CPU build of torch: on a GPU machine "
            "install loupe-inspection[gpu], or serve the model with vLLM and use openai:http://…"
        )
    return f"cannot load the vision-language model {source!r}: {said[:500]}"
