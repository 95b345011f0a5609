"""The engines as models of the API: each answers one kind of question."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import jsonschema
import numpy as np
from PIL import Image

from models_runtime.contracts import EngineRef, Extraction, Extractor, PhotoPixels, TextEmbedder
from models_runtime.intake.decode import DecodeLimits
from models_runtime.openai_client import Message
from models_runtime.plans import PlanSpec
from models_runtime.serving.batching import Batcher
from models_runtime.serving.problems import ApiError, bad
from models_runtime.serving.questions import ChatQuestion, EmbeddingQuestion, Photo, decoded
from models_runtime.vlm.answers import answer_schema, shaped
from models_runtime.vlm.asking import asked_note, asked_plan
from models_runtime.vlm.conventions import Convention
from models_runtime.vlm.served import as_loupe

Json = dict[str, Any]

WAIT = 0.004
"""Seconds that a request waits for others to share a pass with."""
TEXTS_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """``photos``: of what is decoded. ``seconds``: for one answer, queue and all. ``together``:
    photos in one pass."""

    photos: DecodeLimits
    seconds: float = 120.0
    together: int = 8


class Served(Protocol):
    """A model of the API."""

    @property
    def ref(self) -> EngineRef: ...

    def close(self) -> None: ...


class ChatServed(Served, Protocol):
    """A model that answers chat completions."""

    def answer(self, question: ChatQuestion) -> Json: ...


@runtime_checkable
class Generative(Extractor, Protocol):
    """An extractor that can answer any question in the shape of a schema too."""

    def complete(
        self, asked: Sequence[Message], image: Image.Image | None, schema: Json, most: int
    ) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class Free:
    """A question without a plan. ``most``: tokens of the answer."""

    text: str
    image: Image.Image | None
    schema: Json
    most: int

    @property
    def messages(self) -> list[Message]:
        parts: list[Json] = [{"type": "text", "text": self.text}]
        parts += [{"type": "image", "image": self.image}] if self.image else []
        return [{"role": "user", "content": parts}]


class PlanModel:
    """Answers inspection plans, as ``vlm/asking.py`` writes them, about one photo.

    Where the engine is a generative one, questions without a plan are answered too, in the shape of
    ``response_format``.
    """

    def __init__(self, engine: Extractor, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._batches: Batcher[PhotoPixels, Extraction] = Batcher(
            self._extract, limits.together, WAIT, engine.ref.engine
        )
        self._free = _answering_freely(engine)

    @property
    def ref(self) -> EngineRef:
        return self._engine.ref

    def close(self) -> None:
        self._batches.close()
        if self._free is not None:
            self._free.close()

    def answer(self, question: ChatQuestion) -> Json:
        plan, schema = _plan_in(question), question.wanted_schema
        photo = self._photo(question, needed=plan is not None)
        if plan is not None and photo is not None:
            return self._about_plan(question, *plan, photo, schema)
        return self._freely(question, photo, schema)

    def _photo(self, question: ChatQuestion, *, needed: bool) -> Photo | None:
        images = question.images()
        if len(images) > 1 or (needed and not images):
            raise bad(f"send exactly one photo; there are {len(images)}", "messages")
        return decoded(images[0], self._limits.photos) if images else None

    def _about_plan(
        self,
        question: ChatQuestion,
        plan: PlanSpec,
        boxes: Convention,
        photo: Photo,
        schema: Json | None,
    ) -> Json:
        seen = replace(photo.pixels, note=asked_note(question.text))
        extraction = self._batches.ask(plan, seen, self._limits.seconds)
        content = shaped(extraction, photo.size, boxes)
        _check_shape(content, schema or answer_schema(plan, boxes))
        done = completion(question.model, self.ref, json.dumps(content))
        return done | {"loupe": as_loupe(extraction, photo.size)}

    def _extract(self, plan: PlanSpec, photos: list[PhotoPixels]) -> list[Extraction]:
        return self._engine.extract(photos, plan)

    def _freely(self, question: ChatQuestion, photo: Photo | None, schema: Json | None) -> Json:
        if self._free is None:
            raise bad(
                f"{self.ref.engine} answers inspection plans only: put one into the message as "
                "<inspection_plan> (docs/big-engines.md)",
                "messages",
                "no_plan",
            )
        if schema is None:
            raise bad("ask with response_format json_schema", "response_format", "no_schema")
        image = Image.fromarray(photo.pixels.pixels) if photo else None
        asked = Free(question.text, image, schema, question.most_tokens)
        text = self._free.ask(asked, asked, self._limits.seconds)
        return completion(question.model, self.ref, text, whole=_is_json(text))


def _answering_freely(engine: Extractor) -> Batcher[Free, str] | None:
    """One question after the other, in a queue with the time limit; None where it can't."""
    if not isinstance(engine, Generative):
        return None

    def answer(_: object, asked: list[Free]) -> list[str]:
        return [engine.complete(one.messages, one.image, one.schema, one.most) for one in asked]

    return Batcher(answer, 1, 0.0, f"free questions to {engine.ref.engine}")


def _plan_in(question: ChatQuestion) -> tuple[PlanSpec, Convention] | None:
    try:
        return asked_plan(question.text)
    except ValueError as error:
        raise bad(str(error), "messages", "invalid_plan") from None


def _check_shape(content: Json, schema: Json) -> None:
    """The answer in the shape that was asked for, or none: never another one."""
    try:
        jsonschema.Draft202012Validator(schema).validate(content)
    except jsonschema.ValidationError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        raise bad(
            f"the answer to this plan does not fit the schema at {place or 'its top'}: send the "
            "schema that stands in the prompt",
            "response_format",
            "schema_mismatch",
        ) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class EmbeddingModel:
    """Answers POST /v1/embeddings with the sentence encoder."""

    def __init__(self, engine: TextEmbedder, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._batches: Batcher[list[str], list[list[float]]] = Batcher(
            self._embed, TEXTS_TOGETHER, WAIT, engine.ref.engine
        )

    @property
    def ref(self) -> EngineRef:
        return self._engine.ref

    def close(self) -> None:
        self._batches.close()

    def embed(self, question: EmbeddingQuestion) -> Json:
        rows = self._batches.ask(None, question.texts, self._limits.seconds)
        if question.dimensions not in (None, len(rows[0])):
            raise bad(f"{self.ref.engine} makes {len(rows[0])} numbers", "dimensions")
        packed = question.encoding_format == "base64"
        return {
            "object": "list",
            "model": question.model,
            "data": [
                {"object": "embedding", "index": n, "embedding": _packed(row) if packed else row}
                for n, row in enumerate(rows)
            ],
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        }

    def _embed(self, _: None, asked: list[list[str]]) -> list[list[list[float]]]:
        """The texts of several requests in one pass."""
        rows = self._engine.embed([text for texts in asked for text in texts])
        numbers = iter(rows.tolist())
        return [[next(numbers) for _ in texts] for texts in asked]


def _packed(row: list[float]) -> str:
    return b64encode(np.asarray(row, dtype="<f4").tobytes()).decode("ascii")


def completion(model: str, ref: EngineRef, content: str, *, whole: bool = True) -> Json:
    """A chat completion with this text. Tokens are not counted: not every engine has any."""
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": ref.version,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop" if whole else "length",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def not_here(model: str, known: Sequence[str]) -> ApiError:
    """The model that was named is not served."""
    there_are = ", ".join(known) or "none"
    return ApiError(
        404, f"no such model here: {model[:100]!r}; there are: {there_are}", "model_not_found",
        "model",
    )  # fmt: skip
