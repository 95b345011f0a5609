"""The API over HTTP, against a real server process with the rule engines of memory.py."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from models_runtime.contracts import Extraction, PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.memory import MemoryEmbedder, MemoryExtractor
from models_runtime.registry import EngineSpec
from models_runtime.vlm.answers import answer_schema
from models_runtime.vlm.asking import messages
from models_runtime.vlm.conventions import PIXELS, THOUSAND
from models_runtime.vlm.openai import OpenAIVLM, data_url, load
from tests.unit.serving.world import PROJECT_ROOT, Running, serving, start
from tests.unit.vlm.plans import GARMENTS

KEY = "a-key-for-the-tests"
BEARER = {"Authorization": f"Bearer {KEY}"}


def photo(dark: bool = True) -> PhotoPixels:
    pixels = np.full((60, 100, 3), 200, np.uint8)
    if dark:
        pixels[10:30, 20:50] = 0
    return PhotoPixels(pixels, "0" * 64)


def question(
    plan: Any = GARMENTS, seen: PhotoPixels | None = None, **changes: Any
) -> dict[str, Any]:
    """What a worker sends."""
    url, _ = data_url(seen or photo(), 1024, "png")
    schema = answer_schema(plan, THOUSAND)
    image = {"type": "image_url", "image_url": {"url": url}}
    asked = messages(plan, THOUSAND, schema, image)
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {"model": "memory", "messages": asked, "response_format": form, **changes}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    engines = ("--engine", "vlm=memory:", "--engine", "mlm=memory:", "--max-mb", "1",
               "--max-megapixels", "1")  # fmt: skip
    with serving(folder, *engines, LOUPE_MODELS_KEY=KEY) as running:
        yield running


def ask(server: Running, body: Any, path: str = "/v1/chat/completions") -> httpx.Response:
    return server.post(path, json=body, headers=BEARER)


@contextmanager
def worker(server: Running, options: str, key: str = KEY) -> Iterator[OpenAIVLM]:
    """The engine of a worker that asks this server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_KEY", key)
        key_env = "&key_env=TEST_KEY" if key else ""
        engine = load(EngineSpec.parse(f"openai:{server.url}/v1?{options}{key_env}"))
    try:
        yield engine
    finally:
        engine.close()


def test_a_worker_gets_what_the_engine_says_in_process(server: Running) -> None:
    for seen in (photo(), photo(dark=False)):
        (near,) = MemoryExtractor().extract([seen], GARMENTS)
        answered = near.model_copy(update={"attributes": near.attributes[:4]})
        plan = GARMENTS.model_copy(update={"characteristics": GARMENTS.characteristics[:4]})
        with worker(server, "model=memory&image=png") as engine:
            (far,) = engine.extract([seen], plan)
        assert far.attributes == answered.attributes
        assert far.defects == answered.defects
        assert far.defect_probability == answered.defect_probability
        assert far.confidence == answered.confidence
        assert far.basis == ""


def test_any_client_gets_a_chat_completion_by_the_schema(server: Running) -> None:
    answer = ask(server, question())
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["finish_reason"] == "stop"
    content = json.loads(told["choices"][0]["message"]["content"])
    assert content["attributes"]["category"]["value"] == "T-Shirt"
    (hole,) = content["defects"]
    assert hole["box"] == [200, 167, 500, 500]
    assert Extraction.model_validate(told["loupe"]["extraction"]).defects[0].box.x2 == 50


def test_boxes_are_written_as_the_prompt_asks(server: Running) -> None:
    url, _ = data_url(photo(), 1024, "png")
    schema = answer_schema(GARMENTS, PIXELS)
    image = {"type": "image_url", "image_url": {"url": url}}
    body = {"model": "memory", "messages": messages(GARMENTS, PIXELS, schema, image)}
    content = json.loads(ask(server, body).json()["choices"][0]["message"]["content"])
    assert content["defects"][0]["box"] == [20, 10, 50, 30]


def test_embeddings_are_those_of_the_engine(server: Running) -> None:
    texts = ["a scratch", "a dent"]
    body = {"model": "memory", "input": texts}
    plain = ask(server, body, "/v1/embeddings").json()["data"]
    expected = MemoryEmbedder().embed(texts)
    assert np.allclose([row["embedding"] for row in plain], expected)
    packed = ask(server, {**body, "encoding_format": "base64"}, "/v1/embeddings").json()["data"]
    rows = [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in packed]
    assert np.array_equal(np.stack(rows), expected)


def test_models_and_health_are_listed(server: Running) -> None:
    assert server.get("/health").json() == {"status": "ok", "busy": 0, "queue": 32}
    listed = server.get("/v1/models", headers=BEARER).json()
    assert {model["id"] for model in listed["data"]} == {"memory"}


def text_only(content: object) -> dict[str, Any]:
    return {"model": "memory", "messages": [{"role": "user", "content": content}]}


def with_image(url: str) -> dict[str, Any]:
    body = question()
    body["messages"][1]["content"][1]["image_url"]["url"] = url
    return body


def png(width: int, height: int) -> str:
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def schema_form(schema: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"schema": schema}}


def forged() -> dict[str, Any]:
    body = question()
    body["messages"][1]["content"][0]["text"] = "<inspection_plan>\nnot json\n</inspection_plan>"
    return body


def planless() -> dict[str, Any]:
    body = question()
    body["messages"][1]["content"][0]["text"] = '<inspection_plan>\n{"a": 1}\n</inspection_plan>'
    return body


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (question(model="gpt-9"), 404, "model_not_found"),
        (question(stream=True), 400, "invalid_value"),
        (question(n=2), 400, "invalid_value"),
        (question(messages=[]), 400, "invalid_value"),
        (question(messages="hello"), 400, "invalid_value"),
        ([], 400, "invalid_value"),
        (text_only("hello"), 400, "no_plan"),
        (text_only([{"type": "audio"}]), 400, "invalid_value"),
        (with_image("http://169.254.169.254/x.jpg"), 400, "invalid_image_url"),
        (with_image("file:///etc/passwd"), 400, "invalid_image_url"),
        (with_image("data:image/png;base64,!!!"), 400, "invalid_image"),
        (with_image("data:image/png;base64,AAAA"), 400, "invalid_image"),
        (with_image(png(4000, 4000)), 400, "invalid_image"),
        (question(messages=question()["messages"] * 2), 400, "invalid_value"),
        (question(response_format=schema_form({"type": "string"})), 400, "schema_mismatch"),
        (question(response_format=schema_form({"$ref": "http://x/"})), 400, "invalid_value"),
        (question(response_format=schema_form({"pattern": "(a+)+$"})), 400, "invalid_value"),
        (question(response_format=schema_form({"type": "nonsense"})), 400, "invalid_value"),
        (forged(), 400, "invalid_plan"),
        (planless(), 400, "invalid_plan"),
    ],
)
def test_a_wrong_question_gets_an_error_object(
    server: Running, body: Any, status: int, code: str
) -> None:
    answer = ask(server, body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "memory", "input": []}, "invalid_value"),
        ({"model": "memory", "input": [""]}, "invalid_value"),
        ({"model": "memory", "input": ["x"] * 300}, "invalid_value"),
        ({"model": "memory", "input": [[1, 2]]}, "invalid_value"),
        ({"model": "memory", "input": "x", "dimensions": 3}, "invalid_value"),
        ({"model": "else", "input": "x"}, "model_not_found"),
    ],
)
def test_a_wrong_embedding_question_too(server: Running, body: Any, code: str) -> None:
    answer = ask(server, body, "/v1/embeddings")
    assert answer.json()["error"]["code"] == code


def test_raw_bodies_and_addresses_that_are_wrong(server: Running) -> None:
    chat = "/v1/chat/completions"
    assert server.post(chat, content=b"{", headers=BEARER).json()["error"]["code"] == "invalid_json"
    deep = b"[" * 100_000
    assert server.post(chat, content=deep, headers=BEARER).json()["error"]["code"] == "invalid_json"
    assert server.get(chat, headers=BEARER).status_code == 405
    assert server.get("/admin", headers=BEARER).status_code == 404
    long = server.post(chat, content=b"x" * 1_500_000, headers=BEARER)
    assert long.status_code == 413
    assert long.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}])
def test_without_the_key_there_is_nothing_but_health(
    server: Running, headers: dict[str, str]
) -> None:
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        assert server.post(path, json={}, headers=headers).status_code == 401
    assert server.get("/v1/models", headers=headers).status_code == 401
    assert server.get("/health").status_code == 200
    assert KEY not in server.log.read_text()


def test_a_worker_with_a_wrong_key_is_told_what_to_check(server: Running) -> None:
    with (
        worker(server, "model=memory", "wrong") as engine,
        pytest.raises(FatalError, match="key_env"),
    ):
        engine.extract([photo()], GARMENTS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "LOUPE_MODELS_KEY"),
        (["--engine", "vlm=magic:"], "is no vlm engine"),
        (["--engine", "vlm=openai:http://x/v1?model=m"], "served elsewhere"),
        (["--engine", "sam=embedded:"], "not served"),
        (["--engine", "embedded:"], "KIND=SETTING"),
        (["--queue", "0"], "--queue"),
    ],
)
def test_a_wrong_call_says_what_to_do(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOUPE_MODELS_KEY", raising=False)
    with pytest.raises(CommandError, match=words):
        call_command("serve_models", *arguments)


def test_a_model_that_cannot_be_loaded_ends_the_server(tmp_path: Path) -> None:
    running = start(tmp_path, "--engine", "mlm=transformers:/no/such/folder")
    assert running.process.wait(120) == 3
    assert "no sentence encoder at" in running.log.read_text()


SLOW = [sys.executable, "-m", "tests.unit.serving.slow_server"]


def tenths(brightness: int) -> PhotoPixels:
    """A photo that takes so many tenths of a second."""
    return PhotoPixels(np.full((20, 20, 3), brightness, np.uint8), "0" * 64)


def in_threads(jobs: list[Any]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_requests_at_the_same_time_share_passes_and_too_many_are_sent_away(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []

    def one() -> None:
        answers.append(ask(server, question(seen=tenths(8))))

    with serving(tmp_path, "6", program=SLOW) as server:
        in_threads([one] * 12)
        statuses = sorted(answer.status_code for answer in answers)
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 6
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert server.get("/health").json()["busy"] == 0
        passes = server.log.read_text().count("pass of")
        assert passes < statuses.count(200), "some photos shared a pass"


def test_a_defect_of_the_engine_is_an_error_object_and_the_server_lives(tmp_path: Path) -> None:
    broken = GARMENTS.model_copy(update={"name": "broken"})
    with serving(tmp_path, "6", program=SLOW) as server:
        answer = ask(server, question(broken, tenths(1)))
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "internal"
        assert "a defect of the engine" not in answer.text
        assert "a defect of the engine" in server.log.read_text()
        assert ask(server, question(seen=tenths(1))).status_code == 200


def test_what_is_under_way_is_answered_when_the_server_is_stopped(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []
    with serving(tmp_path, "6", program=SLOW) as server:
        asking = threading.Thread(
            target=lambda: answers.append(ask(server, question(seen=tenths(30))))
        )
        asking.start()
        while "pass of" not in server.log.read_text():
            time.sleep(0.05)
        assert server.stop() == 0
        asking.join()
    assert [answer.status_code for answer in answers] == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_the_server_process_that_forks_has_no_torch() -> None:
    """Celery's trap holds here too: torch must not have run before the fork."""
    code = (
        "import sys, models_runtime.serving.server as s;"
        "s.Serving({'vlm': 'embedded:'}).check();"
        "sys.exit('torch' in sys.modules or 'django' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=False).returncode == 0
    )


@pytest.mark.slow
def test_the_embedded_vlm_served_answers_as_it_does_in_process(tmp_path: Path) -> None:
    from models_runtime.plans import PlanSpec
    from models_runtime.samples import draw_sample
    from models_runtime.vlm.embedded import load as load_embedded

    plans = PROJECT_ROOT / "inspection" / "demo" / "plans"
    plan = PlanSpec.model_validate_json((plans / "solar-cells.json").read_text())
    seen = [PhotoPixels(draw_sample("solar", kind, 3)[0], "0" * 64) for kind in (None, "crack")]
    near = load_embedded(EngineSpec.parse("embedded:")).extract(seen, plan)
    with serving(tmp_path, "--engine", "vlm=embedded:") as server:
        setting = f"openai:{server.url}/v1?model=loupe-vlm&image=png&side=4096"
        far = load(EngineSpec.parse(setting)).extract(seen, plan)
        packed = load(EngineSpec.parse(f"openai:{server.url}/v1?model=loupe-vlm")).extract(
            seen, plan
        )
    for here, there, shrunk in zip(near, far, packed, strict=True):
        assert [a.value for a in there.attributes] == [a.value for a in here.attributes]
        assert [a.value for a in shrunk.attributes] == [a.value for a in here.attributes]
        assert there.confidence == pytest.approx(here.confidence, abs=1e-4)
        assert there.defect_probability == pytest.approx(here.defect_probability, abs=1e-4)
        assert there.embedding == pytest.approx(here.embedding, abs=1e-4)
        assert [d.type for d in there.defects] == [d.type for d in here.defects]
        for mine, yours in zip(here.defects, there.defects, strict=True):
            assert yours.box.x1 == pytest.approx(mine.box.x1, abs=0.5)
            assert yours.severity == mine.severity
    assert not all(one.abstained for one in near), "it knows solar cells"
