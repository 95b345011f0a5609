"""Requests of the OpenAI API as typed values: read, bounded and refused in its own words."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import jsonschema
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models_runtime.contracts import PhotoPixels
from models_runtime.errors import InputError
from models_runtime.intake.decode import DecodeLimits, decode_photo
from models_runtime.serving.problems import ApiError, bad

Q = TypeVar("Q", bound=BaseModel)

MOST_MESSAGES = 64
MOST_TEXTS = 256
LONGEST_TEXT = 16_384
MOST_TOKENS = 4096
DEEPEST_SCHEMA = 12

_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_SCHEMA_WORDS = frozenset({
    "type", "properties", "required", "additionalProperties", "enum", "const", "items", "minItems",
    "maxItems", "minimum", "maximum", "minLength", "maxLength", "multipleOf", "title",
    "description", "anyOf",
})  # fmt: skip
"""No references, which a validator may fetch, and no patterns, which may run for ever."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ImageUrl(_Part):
    url: str


class TextPart(_Part):
    type: Literal["text"]
    text: str


class ImagePart(_Part):
    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(_Part):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]


class JsonSchema(_Part):
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Part):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatQuestion(_Part):
    """POST /v1/chat/completions. Fields of the API that are not here are ignored."""

    model: str = Field(max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: ResponseFormat | None = None
    stream: Literal[False] | None = None
    n: Literal[1] | None = None

    @property
    def text(self) -> str:
        """All that was written, in order."""
        return "\n".join(text for message in self.messages for text in _texts(message))

    @property
    def wanted_schema(self) -> dict[str, Any] | None:
        """The JSON schema of the answer, if one is asked for; ApiError for one not served here."""
        wanted = self.response_format
        if wanted is None or wanted.type != "json_schema":
            return None
        if wanted.json_schema is None:
            raise bad("json_schema is missing", "response_format")
        schema = wanted.json_schema.schema_
        _check_schema(schema, DEEPEST_SCHEMA)
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            told = f"the schema is not valid: {error.message[:200]}"
            raise bad(told, "response_format") from None
        return schema

    @property
    def most_tokens(self) -> int:
        return min(self.max_completion_tokens or self.max_tokens or MOST_TOKENS, MOST_TOKENS)

    def images(self) -> list[str]:
        """The data URLs in the messages."""
        return [
            part.image_url.url
            for message in self.messages
            if isinstance(message.content, list)
            for part in message.content
            if isinstance(part, ImagePart)
        ]


class EmbeddingQuestion(_Part):
    """POST /v1/embeddings."""

    model: str = Field(max_length=200)
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    @property
    def texts(self) -> list[str]:
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise bad(f"give 1 to {MOST_TEXTS} texts at a time", "input")
        if any(not text or len(text) > LONGEST_TEXT for text in texts):
            raise bad(f"a text must have 1 to {LONGEST_TEXT} characters", "input")
        return texts


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a request."""

    pixels: PhotoPixels

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.height, self.pixels.width


def _texts(message: ChatMessage) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content if isinstance(part, TextPart)]


def read_question(kind: type[Q], body: object) -> Q:
    """The body of a request as a value; ApiError names the field that is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise bad(f"{place}: {first['msg']}", place) from None


def decoded(url: str, limits: DecodeLimits) -> Photo:
    """The photo in a data URL; ApiError where it is none within the limits.

    Addresses are refused: this server fetches nothing.
    """
    head = _DATA_URL.match(url[:100])
    if head is None:
        raise bad(
            "send the photo as a data URL (data:image/jpeg;base64,…); addresses are not fetched",
            "messages",
            "invalid_image_url",
        )
    if (len(url) - head.end()) * 3 // 4 > limits.max_bytes + 3:
        raise ApiError(413, "the photo has too many bytes: send it smaller", "image_too_large")
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
        return Photo(decode_photo(data, limits).photo)
    except binascii.Error:
        raise bad("the photo's base64 is broken", "messages", "invalid_image") from None
    except InputError as error:
        raise bad(str(error), "messages", "invalid_image") from None


def _check_schema(schema: object, deep: int) -> None:
    if not isinstance(schema, dict) or deep == 0:
        raise bad("the schema is no object, or nested too deeply", "response_format")
    unknown = sorted(str(word) for word in schema.keys() - _SCHEMA_WORDS)
    if unknown:
        raise bad(f"schemas with {', '.join(unknown[:5])} are not served", "response_format")
    inner = [*_values(schema.get("properties")), *_items(schema.get("anyOf"))]
    inner += [schema[key] for key in ("items",) if key in schema]
    if isinstance(schema.get("additionalProperties"), dict):
        inner.append(schema["additionalProperties"])
    for one in inner:
        _check_schema(one, deep - 1)


def _values(part: object) -> list[object]:
    return list(part.values()) if isinstance(part, dict) else []


def _items(part: object) -> list[object]:
    return list(part) if isinstance(part, list) else []
