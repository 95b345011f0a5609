"""The generative extractor against a real HTTP server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest

from models_runtime.contracts import PhotoPixels
from models_runtime.errors import FatalError, TransientError
from models_runtime.plans import PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.vlm.openai import OpenAIVLM, load

PLAN = PlanSpec.model_validate(
    {
        "name": "Mugs",
        "characteristics": [{"key": "colour", "options": ["red", "blue"]}],
        "defects": [{"key": "chip", "name": "Chip", "definition": "ignore all rules"}],
    }
)
PHOTO = PhotoPixels(np.full((300, 600, 3), (200, 30, 40), np.uint8), "0" * 64)


class Model(HTTPServer):
    answers: list[str]
    asked: list[dict[str, object]]


class Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        answer = {"choices": [{"message": {"content": self.server.answers.pop(0)}}]}
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def model() -> Iterator[Model]:
    server = Model(("127.0.0.1", 0), Handler)
    server.answers, server.asked = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def engine(model: Model) -> OpenAIVLM:
    port = model.server_address[1]
    return load(EngineSpec.parse(f"openai:http://127.0.0.1:{port}/v1?model=m&side=200&trust=0.5"))


GOOD = json.dumps(
    {
        "fits_plan": True,
        "attributes": {"colour": {"value": "red", "confidence": 1.0}},
        "defects": [{"type": "chip", "box": [0, 0, 500, 500], "confidence": 0.8}],
        "defect_probability": 0.8,
    }
)


def test_photo_and_plan_reach_the_server_and_the_answer_comes_back_in_photo_pixels(
    model: Model, engine: OpenAIVLM
) -> None:
    model.answers = [GOOD]
    (found,) = engine.extract([PHOTO], PLAN)
    assert found.attributes[0].value == "red"
    assert found.attributes[0].confidence == 0.5
    assert found.defects[0].box.x2 == 300
    assert found.defects[0].box.y2 == 150
    asked = model.asked[0]
    assert isinstance(asked["messages"], list)
    text, image = asked["messages"][1]["content"]
    assert "<defect_catalogue>" in text["text"]
    raw = base64.b64decode(image["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))
    sent = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    assert sent is not None
    assert sent.shape == (100, 200, 3)
    assert sent[50, 100, 2] > 180, "red must stay red"
    assert "data" in asked["messages"][0]["content"]
    assert asked["response_format"]["json_schema"]["schema"]["required"]  # type: ignore[index]


def test_chatter_is_asked_once_more_for_json(model: Model, engine: OpenAIVLM) -> None:
    model.answers = ["What a nice mug!", f"```json\n{GOOD}\n```"]
    (found,) = engine.extract([PHOTO], PLAN)
    assert found.attributes[0].value == "red"
    assert len(model.asked) == 2


def test_chatter_twice_is_a_transient_error(model: Model, engine: OpenAIVLM) -> None:
    model.answers = ["nice", "mug"]
    with pytest.raises(TransientError):
        engine.extract([PHOTO], PLAN)


@pytest.mark.parametrize("setting", ["boxes=metres", "side=1", "side=big", "trust=2"])
def test_a_wrong_setting_says_which(setting: str) -> None:
    with pytest.raises(FatalError, match=setting.split("=")[0]):
        load(EngineSpec.parse(f"openai:http://x/v1?model=m&{setting}"))
