"""The chat client against a real HTTP server in a thread."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from models_runtime.circuit import Circuit
from models_runtime.errors import EngineError, FatalError, InputError, TransientError
from models_runtime.openai_client import ChatClient
from models_runtime.registry import EngineSpec


class Server(ThreadingHTTPServer):
    """Answers from a list of (status, headers, body) and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, dict[str, str], object]] = []
        self.seen: list[dict[str, object]] = []
        self.authorization: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def say(self, content: object) -> None:
        self.script.append((200, {}, {"choices": [{"message": {"content": content}}]}))

    def fail(self, status: int, body: object = "no", **headers: str) -> None:
        self.script.append((status, {k.replace("_", "-"): v for k, v in headers.items()}, body))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.seen.append(json.loads(self.rfile.read(length)))
        self.server.authorization.append(self.headers.get("Authorization"))
        status, headers, body = self.server.script.pop(0)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(server: Server, pauses: list[float]) -> Iterator[ChatClient]:
    made = ChatClient(server.url, "m", "secret", 5.0, sleep=pauses.append)
    yield made
    made.close()


HELLO = [{"role": "user", "content": "hello"}]


def test_answer_key_and_schema_travel_as_the_protocol_says(
    server: Server, client: ChatClient
) -> None:
    server.say("hi")
    assert client.complete(HELLO, schema={"type": "object"}, max_tokens=7) == "hi"
    asked = server.seen[0]
    assert asked["model"] == "m"
    assert asked["max_tokens"] == 7
    assert asked["messages"] == HELLO
    form = asked["response_format"]
    assert isinstance(form, dict)
    assert form["json_schema"]["schema"] == {"type": "object"}
    assert server.authorization == ["Bearer secret"]


def test_content_in_parts_is_joined(server: Server, client: ChatClient) -> None:
    server.say([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    assert client.complete(HELLO) == "ab"


def test_a_busy_server_is_tried_again_after_the_pause_it_asks_for(
    server: Server, client: ChatClient, pauses: list[float]
) -> None:
    server.fail(429, Retry_After="3")
    server.fail(503)
    server.say("at last")
    assert client.complete(HELLO) == "at last"
    assert pauses[0] == 3.0
    assert 0 < pauses[1] <= 2.0


def test_a_retry_date_in_the_past_means_now(
    server: Server, client: ChatClient, pauses: list[float]
) -> None:
    server.fail(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    server.say("ok")
    assert client.complete(HELLO) == "ok"
    assert pauses == [0.0]


def test_a_long_wait_is_left_to_the_queue(
    server: Server, client: ChatClient, pauses: list[float]
) -> None:
    server.fail(429, Retry_After="600")
    with pytest.raises(TransientError) as caught:
        client.complete(HELLO)
    assert caught.value.retry_after == 600.0
    assert pauses == []


def test_gives_up_after_three_attempts(
    server: Server, client: ChatClient, pauses: list[float]
) -> None:
    for _ in range(3):
        server.fail(500)
    with pytest.raises(TransientError, match="500"):
        client.complete(HELLO)
    assert len(server.seen) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, InputError, "400"),
        (413, InputError, "413"),
        (401, FatalError, "key_env"),
        (404, FatalError, "/v1"),
        (302, FatalError, "302"),
        (402, FatalError, "402"),
    ],
)
def test_refusals_say_what_to_do(
    server: Server, client: ChatClient, status: int, kind: type[Exception], hint: str
) -> None:
    server.fail(status)
    with pytest.raises(kind, match=hint):
        client.complete(HELLO)
    assert len(server.seen) == 1


def test_a_server_without_json_schema_is_asked_again_in_plain_words(
    server: Server, client: ChatClient
) -> None:
    server.fail(400, {"error": "unknown field response_format"})
    server.say("{}")
    assert client.complete(HELLO, schema={"type": "object"}) == "{}"
    assert "response_format" not in server.seen[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": "  "}}]}',
        b'{"choices": [{}]}',
        b"null",
    ],
)
def test_an_answer_that_is_no_completion_is_a_transient_error(
    server: Server, client: ChatClient, body: bytes
) -> None:
    server.fail(200, body)
    with pytest.raises(TransientError):
        client.complete(HELLO)


def test_nobody_listening_is_a_transient_error(pauses: list[float]) -> None:
    client = ChatClient("http://127.0.0.1:9/v1", "m", timeout=1.0, sleep=pauses.append)
    with pytest.raises(TransientError, match="unreachable"):
        client.complete(HELLO)
    client.close()


def test_an_endless_answer_is_cut(server: Server, client: ChatClient) -> None:
    server.fail(200, b"x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(TransientError, match="4 MiB"):
        client.complete(HELLO)


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("openai:?model=m", "http"),
        ("openai:http://x/v1", "model"),
        ("openai:http://x/v1?model=m&timeout=soon", "timeout"),
        ("openai:http://x/v1?model=m&key_env=LOUPE_NO_SUCH_KEY", "LOUPE_NO_SUCH_KEY"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(setting: str, hint: str) -> None:
    with pytest.raises(FatalError, match=hint):
        ChatClient.from_spec(EngineSpec.parse(setting))


def test_setting_string_reads_model_and_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOUPE_TEST_KEY", "k")
    client = ChatClient.from_spec(
        EngineSpec.parse(f"openai:{server.url}?model=big&key_env=LOUPE_TEST_KEY&timeout=5")
    )
    server.say("ok")
    assert client.complete(HELLO) == "ok"
    assert server.seen[0]["model"] == "big"
    assert server.authorization == ["Bearer k"]
    client.close()


def test_token_probabilities_are_those_of_the_text_without_the_reasoning_before_it(
    server: Server, client: ChatClient
) -> None:
    def answer(pieces: list[tuple[str, float]]) -> dict[str, object]:
        tokens = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in pieces]
        choice = {"message": {"content": "yes"}, "logprobs": {"content": tokens}}
        return {"choices": [choice]}

    for pieces, expected in (
        ([("ye", -0.1), ("s", -0.2)], [-0.1, -0.2]),
        ([("think", -9.0), ("ye", -0.1), ("s", -0.2)], [-0.1, -0.2]),
        ([("thinkye", -9.0), ("s", -0.2)], []),
        ([("no", -0.1)], []),
        ([("ye", 0.5), ("s", -0.2)], []),
        ([("ye", float("nan")), ("s", -0.2)], []),
    ):
        server.script.append((200, {}, answer(pieces)))
        completion = client.chat(HELLO, logprobs=True)
        assert [token.logprob for token in completion.tokens] == expected


@pytest.mark.parametrize("logprobs", [None, [], {}, {"content": None}, {"content": [3]}, "x"])
def test_odd_token_probabilities_are_none(
    server: Server, client: ChatClient, logprobs: object
) -> None:
    choice = {"message": {"content": "yes"}, "logprobs": logprobs}
    server.script.append((200, {}, {"choices": [choice]}))
    assert client.chat(HELLO, logprobs=True).tokens == ()


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ('"\\ud800"', {"token": "x", "logprob": -1.0}),
        ('"x"', {"token": "x", "logprob": -1.0, "bytes": 10**30}),
        ('"x"', {"token": "x", "logprob": -1.0, "bytes": [999]}),
    ],
)
def test_odd_characters_and_bytes_are_no_defect_of_ours(
    server: Server, client: ChatClient, text: str, token: dict[str, object]
) -> None:
    told = json.dumps({"content": [token]})
    body = f'{{"choices": [{{"message": {{"content": {text}}}, "logprobs": {told}}}]}}'
    server.script.append((200, {}, body.encode()))
    answer = client.chat([{"role": "user", "content": "?"}], logprobs=True)
    assert answer.text == json.loads(text)
    assert all(token.text == b"x" for token in answer.tokens)


def test_an_answer_that_cannot_be_unpacked_is_a_transient_error(
    server: Server, client: ChatClient
) -> None:
    server.script += [(200, {"Content-Encoding": "gzip"}, b"no gzip at all")] * 3
    with pytest.raises(TransientError, match="can't be unpacked"):
        client.complete([{"role": "user", "content": "?"}])
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [("9" * 400, 86_400.0), ("\u00b2", None), ("Mon, 01 Jan 9999 00:00:00 GMT", 86_400.0)],
)
def test_an_odd_wish_to_wait_is_bounded_or_none(
    server: Server, client: ChatClient, wish: str, seconds: float | None
) -> None:
    for _ in range(3):
        server.fail(429, Retry_After=wish)
    with pytest.raises(TransientError) as caught:
        client.complete([{"role": "user", "content": "?"}])
    assert caught.value.retry_after == seconds


def test_a_server_without_token_probabilities_is_asked_without_and_that_is_remembered(
    server: Server, client: ChatClient
) -> None:
    server.fail(400, {"error": "logprobs is not supported"})
    server.say("yes")
    server.say("again")
    assert client.chat(HELLO, logprobs=True).text == "yes"
    assert client.chat(HELLO, logprobs=True).text == "again"
    assert ["logprobs" in asked for asked in server.seen] == [True, False, False]


def test_a_client_that_is_dropped_closes_its_connections(server: Server) -> None:
    server.say("hello")
    client = ChatClient(server.url, "m")
    client.complete([{"role": "user", "content": "?"}])
    http = client._http
    assert not http.is_closed
    del client
    gc.collect()
    assert http.is_closed


def test_a_refusal_is_the_answers_text(server: Server, client: ChatClient) -> None:
    message = {"content": None, "refusal": "I can't help with that."}
    server.script.append((200, {}, {"choices": [{"message": message}]}))
    assert client.complete(HELLO) == "I can't help with that."


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_is_down_is_left_alone_and_probed_once(server: Server) -> None:
    clock = Clock()
    circuit = Circuit("server", failures=4, pause=10.0, clock=clock)
    client = ChatClient(server.url, "m", attempts=2, sleep=lambda _: None, circuit=circuit)
    for _ in range(4):
        server.fail(500)
    for _ in range(2):
        with pytest.raises(TransientError, match="500"):
            client.complete(HELLO)
    with pytest.raises(TransientError, match="left alone") as caught:
        client.complete(HELLO)
    assert caught.value.retry_after == 10.0
    assert len(server.seen) == 4, "nothing was sent while the circuit was open"
    clock.now = 10.0
    server.fail(502)
    with pytest.raises(TransientError, match="left alone"):
        client.complete(HELLO)
    assert len(server.seen) == 5, "one probe, and no second try after it failed"
    clock.now = 30.0
    server.say("back")
    server.say("again")
    assert client.complete(HELLO) == "back"
    assert client.complete(HELLO) == "again"
    client.close()


def test_a_busy_server_and_a_wrong_question_do_not_open_the_circuit(
    server: Server, client: ChatClient
) -> None:
    for _ in range(6):
        server.fail(429, Retry_After="60")
        with pytest.raises(TransientError, match="429"):
            client.complete(HELLO)
        server.fail(422)
        with pytest.raises(InputError):
            client.complete(HELLO)
    server.say("fine")
    assert client.complete(HELLO) == "fine"


SECRET = "sk-very-secret-4711"


@pytest.mark.parametrize("status", [401, 400, 500, 404, 200])
def test_a_server_that_repeats_the_key_does_not_give_it_away(
    server: Server, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    address = server.url.replace("http://", f"http://ada:{SECRET}@")
    for client in (
        ChatClient(server.url, "m", SECRET, attempts=1),
        ChatClient(address, "m", attempts=1),
    ):
        server.fail(status, f"wrong key {SECRET} for http://ada:{SECRET}@host/")
        with caplog.at_level("DEBUG"), pytest.raises(EngineError) as caught:
            client.complete(HELLO)
        assert SECRET not in str(caught.value)
        assert SECRET not in client.base_url
        client.close()
    assert SECRET not in caplog.text
    assert server.authorization[1] == httpx.BasicAuth("ada", SECRET)._auth_header


def test_an_unreachable_address_is_told_without_its_password() -> None:
    client = ChatClient(f"http://ada:{SECRET}@127.0.0.1:9/v1", "m", attempts=1)
    with pytest.raises(TransientError, match="unreachable") as caught:
        client.complete(HELLO)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    client.close()
