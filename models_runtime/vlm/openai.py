"""A generative VLM behind any OpenAI-compatible server as extractor.

    openai:http://gpu-box:8000/v1?model=Qwen3-VL-8B&key_env=VLM_KEY&timeout=60&boxes=thousand

``boxes`` says how the model writes coordinates (conventions.py; default ``thousand``), ``side`` the
longest side a photo is sent with (default 1024), ``image`` how it is packed (``jpeg``, ``png``),
``trust`` (0..1, default 0.8) how far confidences are believed that nobody has calibrated. They come
from token probabilities where the server gives them, else from the model's own words; ``basis`` of
the extraction says which. Another Loupe's answers (serve_models) come with its calibrated figures.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from models_runtime.contracts import Architecture, EngineRef, Extraction, PhotoPixels
from models_runtime.errors import FatalError, InputError
from models_runtime.openai_client import OPTIONS, ChatClient, Completion, Message
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm.answers import Picture, answer_schema, read_answer
from models_runtime.vlm.asking import ONCE_MORE, PROMPT_VERSION, messages
from models_runtime.vlm.conventions import THOUSAND, Convention, Size, convention_named
from models_runtime.vlm.served import from_loupe
from models_runtime.vlm.sureness import abstained
from models_runtime.vlm.token_chances import token_chances

logger = logging.getLogger(__name__)

MAX_TOKENS = 2048
JPEG_QUALITY = 90
Packing = Literal["jpeg", "png"]

BY_TOKENS = "confidence from token probabilities"
BY_WORDS = "confidence as the model states it: the server gives no token probabilities"
CUT_OFF = "the model's answer was cut off before its end"
UNREADABLE = "the model did not answer in the form that was asked for"


class OpenAIVLM:
    """Extractor that asks a server, one photo per request."""

    def __init__(
        self,
        client: ChatClient,
        boxes: Convention = THOUSAND,
        side: int = 1024,
        trust: float = 0.8,
        packing: Packing = "jpeg",
    ) -> None:
        self._client, self._boxes, self._side, self._trust = client, boxes, side, trust
        self._packing: Packing = packing
        version = f"{client.model}/prompt-{PROMPT_VERSION}/{boxes.name}/{side}/{trust:g}"
        self._ref = EngineRef(architecture=Architecture.VLM, engine="openai", version=version)

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def close(self) -> None:
        """Close the connections; the engine cannot be used afterwards."""
        self._client.close()

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        """One extraction per photo; one that can't be had from this server abstains and says why.

        TransientError and FatalError as ChatClient.chat has them.
        """
        return [self._extract(photo, plan) for photo in photos]

    def _extract(self, photo: PhotoPixels, plan: PlanSpec) -> Extraction:
        url, sent = data_url(photo, self._side, self._packing)
        picture = Picture((photo.height, photo.width), sent, self._boxes)
        schema = answer_schema(plan, self._boxes)
        image = {"type": "image_url", "image_url": {"url": url}}
        asked = messages(plan, self._boxes, schema, image, photo.note)
        reminder: Message = {"role": "user", "content": ONCE_MORE}
        try:
            first = self._client.chat(asked, schema, MAX_TOKENS, logprobs=True)
            read = self._read(first, plan, picture)
            if read is None:
                again = self._client.chat([*asked, reminder], schema, MAX_TOKENS, logprobs=True)
                read = self._read(again, plan, picture)
        except InputError as error:
            logger.warning("a photo was refused: %s", error)
            return abstained(plan, f"the model server refused the question ({error})"[:500])
        return read or abstained(plan, UNREADABLE)

    def _read(self, answer: Completion, plan: PlanSpec, picture: Picture) -> Extraction | None:
        if answer.cut_off:
            return abstained(plan, CUT_OFF)
        served = from_loupe(answer.body, plan, picture)
        if served is not None:
            return served
        chances = token_chances(answer.text, answer.tokens, plan, constrained=False)
        read = read_answer(answer.text, plan, picture, self._trust, chances)
        basis = BY_WORDS if chances is None else BY_TOKENS
        return read and read.model_copy(update={"basis": basis})


def data_url(photo: PhotoPixels, side: int, packing: Packing = "jpeg") -> tuple[str, Size]:
    """The photo as a data URL, at most ``side`` pixels long, and its (height, width) there."""
    pixels = photo.pixels
    scale = side / max(photo.height, photo.width)
    if scale < 1:
        shape = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        pixels = np.asarray(cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if packing == "jpeg" else []
    done, coded = cv2.imencode(f".{packing}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise FatalError(f"this OpenCV cannot write {packing}: reinstall opencv-python-headless")
    text = base64.b64encode(coded.tobytes()).decode("ascii")
    return f"data:image/{packing};base64,{text}", (int(pixels.shape[0]), int(pixels.shape[1]))


def load(spec: EngineSpec) -> OpenAIVLM:
    """Make the engine from a setting; FatalError says which part of it is wrong."""
    spec.allow(*OPTIONS, "boxes", "side", "trust", "image")
    boxes = convention_named(spec.options.get("boxes", THOUSAND.name))
    side = number_option(spec, "side", 1024, 64, 8192)
    trust = number_option(spec, "trust", 0.8, 0.0, 1.0)
    packings: dict[str, Packing] = {"jpeg": "jpeg", "png": "png"}
    packing = packings.get(spec.options.get("image", "jpeg"))
    if packing is None:
        raise FatalError(f"image={spec.options['image']!r} must be jpeg or png")
    return OpenAIVLM(ChatClient.from_spec(spec), boxes, int(side), trust, packing)


def number_option(spec: EngineSpec, name: str, default: float, low: float, high: float) -> float:
    """A number in a setting; FatalError where it is none or not within both bounds."""
    text = spec.options.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise FatalError(f"{name}={text!r} must be a number from {low:g} to {high:g}")
    return number
