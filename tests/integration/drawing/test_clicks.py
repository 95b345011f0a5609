"""Click to mask over HTTP: the view, the process behind its socket, and what happens without it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management.base import CommandError
from django.http import HttpResponse
from drawing_world import start
from screen_world import Screens, jpeg, stored

from inspection.clicks import client, server, wire
from inspection.clicks.embeddings import Embeddings
from inspection.clicks.outliner import Outliner
from inspection.management.commands import serve_clicks
from inspection.models import Photo
from inspection.pipeline.photos import decode
from models_runtime import masks
from models_runtime.contracts import Box, ImageEmbedding, Mask, PhotoPixels
from models_runtime.errors import FatalError, InputError
from models_runtime.memory import MemorySegmenter

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Slow(MemorySegmenter):
    """Fills boxes, draws discs; a look at a photo waits until it is told to go on."""

    go_on: threading.Event
    looks: list[tuple[int, int]]

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        self.looks.append((photo.height, photo.width))
        assert self.go_on.wait(10)
        seen = super().embed(photo)
        features = np.full((2, 3, 3), 1 / 3, np.float32)
        return ImageEmbedding(features, seen.size, (100, 100), seen.engine)


@pytest.fixture
def segmenter() -> Slow:
    made = Slow()
    object.__setattr__(made, "go_on", threading.Event())
    object.__setattr__(made, "looks", [])
    made.go_on.set()
    return made


@pytest.fixture
def listening(
    segmenter: Slow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Starts the process's server in a thread, on a socket of this test; may be called again."""
    path = Path("/tmp") / f"loupe-clicks-{os.getpid()}" / "http.sock"
    monkeypatch.setattr(wire, "socket_path", lambda: path)
    monkeypatch.setattr(client, "PATIENCE_S", 0.2)
    running: list[tuple[Any, threading.Thread]] = []

    def begin() -> None:
        kept = Embeddings(tmp_path / "clicks", 10_000_000)
        outliner = Outliner(lambda: segmenter, lambda key: decode(key).photo, kept)
        serving = server.listen(outliner, path)
        thread = threading.Thread(target=server.serve, args=(serving,), daemon=True)
        thread.start()
        running.append((serving, thread))

    yield begin
    segmenter.go_on.set()
    for serving, thread in running:
        serving.shutdown()
        thread.join()
    path.unlink(missing_ok=True)
    if path.parent.exists():
        path.parent.rmdir()


def click(world: Screens, who: str = "reviewer", **fields: Any) -> HttpResponse:
    body = {"key": "k1", "box": None, "points": [], "choose": "best"} | fields
    address = f"{start(world)}sam/"
    return world.client(who).post(address, body, content_type="application/json")


def asked(world: Screens, who: str = "reviewer", **fields: Any) -> HttpResponse:
    """As the page asks: again while the photo is being looked at."""
    for _ in range(50):
        answer = click(world, who, **fields)
        if answer.status_code != 202:
            return answer
    return answer


def box_of(answer: HttpResponse) -> Box | None:
    mask = answer.json()["masks"][0]["mask"]
    return masks.bounding_box(Mask(size=tuple(mask["size"]), counts=mask["counts"]))


def test_the_first_click_tells_how_far_it_is_and_further_ones_look_no_more(
    screens: Screens, segmenter: Slow, listening: Callable[[], None]
) -> None:
    listening()
    segmenter.go_on.clear()
    first = click(screens, points=[{"x": 50, "y": 40}])
    assert first.status_code == 202
    assert first["Retry-After"] == "1"
    told = first.json()
    assert 0 <= told["progress"] < 1
    assert told["words"] == "Looking at the photo"
    segmenter.go_on.set()
    answer = asked(screens, points=[{"x": 50, "y": 40}])
    assert answer.status_code == 200
    assert answer.json()["key"] == "k1"
    (found,) = answer.json()["masks"]
    assert found["mask"]["size"] == [150, 200]
    looks = len(segmenter.looks)
    again = asked(screens, points=[{"x": 50, "y": 40}])
    assert again.json()["masks"] == answer.json()["masks"]
    assert again.json()["took_ms"] >= 0
    assert len(segmenter.looks) == looks


def test_a_box_becomes_a_mask_in_pixels_of_the_photo(
    screens: Screens, listening: Callable[[], None]
) -> None:
    listening()
    answer = asked(screens, box=[20, 30, 40, 50])
    assert box_of(answer) == Box(x1=20, y1=30, x2=60, y2=80)


def test_small_things_on_a_large_photo_are_looked_at_more_closely(
    screens: Screens, segmenter: Slow, listening: Callable[[], None]
) -> None:
    key = stored(jpeg(900, 700))
    Photo.objects.filter(pk=screens.photo.pk).update(original_key=key, width=900, height=700)
    listening()
    answer = asked(screens, box=[500, 400, 40, 30])
    assert answer.json()["masks"][0]["mask"]["size"] == [700, 900]
    assert box_of(answer) == Box(x1=500, y1=400, x2=540, y2=430)
    assert segmenter.looks == [(700, 900), (100, 100)]
    large = asked(screens, box=[10, 10, 800, 600])
    assert box_of(large) == Box(x1=10, y1=10, x2=810, y2=610)
    assert len(segmenter.looks) == 2


def test_without_a_prompt_it_gets_ready(
    screens: Screens, segmenter: Slow, listening: Callable[[], None]
) -> None:
    listening()
    answer = asked(screens)
    assert (answer.status_code, answer.json()["masks"]) == (200, [])
    assert segmenter.looks == [(150, 200)]


def test_what_was_seen_outlives_the_process(
    screens: Screens, segmenter: Slow, listening: Callable[[], None]
) -> None:
    listening()
    before = asked(screens, points=[{"x": 50, "y": 40}]).json()["masks"]
    looks = len(segmenter.looks)
    listening()  # a second process, on the socket that the first one left behind
    assert asked(screens, points=[{"x": 50, "y": 40}]).json()["masks"] == before
    assert len(segmenter.looks) == looks


def test_while_the_process_is_away_the_reviewer_is_told_what_to_do(
    screens: Screens, listening: Callable[[], None]
) -> None:
    answer = asked(screens, points=[{"x": 50, "y": 40}])
    assert answer.status_code == 503
    assert "brush or polygon" in answer.json()["error"]
    listening()
    assert asked(screens, points=[{"x": 50, "y": 40}]).status_code == 200


def test_a_file_in_the_place_of_the_socket_is_no_process(
    screens: Screens, listening: Callable[[], None]
) -> None:
    wire.socket_path().parent.mkdir(exist_ok=True)
    wire.socket_path().write_text("")
    assert asked(screens, points=[{"x": 1, "y": 1}]).status_code == 503


@pytest.mark.parametrize(
    "fields",
    [
        {"points": [{"x": 200, "y": 10}]},
        {"points": [{"x": -1, "y": 10}]},
        {"points": [{"x": "NaN", "y": 10}]},
        {"points": [{"x": 1, "y": 1}] * 65},
        {"points": "all"},
        {"box": [300, 10, 20, 20]},
        {"box": [10, 10, 0.2, 20]},
        {"box": [10, 10]},
        {"key": 7},
    ],
)
def test_a_senseless_prompt_is_refused_with_words(
    screens: Screens, listening: Callable[[], None], fields: dict[str, Any]
) -> None:
    listening()
    answer = asked(screens, **fields)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_photo_whose_file_is_gone_is_told(
    screens: Screens, listening: Callable[[], None]
) -> None:
    Photo.objects.filter(pk=screens.photo.pk).update(original_key="originals/gone")
    listening()
    answer = asked(screens, points=[{"x": 5, "y": 5}])
    assert answer.status_code == 422
    assert "Upload it again" in answer.json()["error"]


def test_an_engine_that_fails_is_told_and_tried_again(
    screens: Screens,
    segmenter: Slow,
    listening: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Slow, photo: PhotoPixels) -> ImageEmbedding:
        raise FatalError("out of memory")

    listening()
    with monkeypatch.context() as patched:
        patched.setattr(Slow, "embed", broken)
        answer = asked(screens, points=[{"x": 5, "y": 5}])
        assert answer.status_code == 503
        assert "brush or polygon" in answer.json()["error"]
    assert asked(screens, points=[{"x": 5, "y": 5}]).status_code == 200


def test_operators_and_other_sites_ask_nothing(
    screens: Screens, segmenter: Slow, listening: Callable[[], None]
) -> None:
    listening()
    assert asked(screens, "operator", points=[{"x": 5, "y": 5}]).status_code == 403
    assert asked(screens, "stranger", points=[{"x": 5, "y": 5}]).status_code == 404
    assert segmenter.looks == []


def test_only_the_web_process_is_answered(listening: Callable[[], None]) -> None:
    listening()
    for headers, body, status in (
        ({}, "{}", 403),
        ({"Authorization": "Bearer x"}, "{}", 403),
        ({"Authorization": wire.bearer()}, "{", 422),
        ({"Authorization": wire.bearer()}, '{"photo": ""}', 422),
        ({"Authorization": wire.bearer(), "Content-Length": "100001"}, "", 422),
        ({"Authorization": wire.bearer(), "Content-Length": "many"}, "", 422),
    ):
        line = wire.connection(5)
        line.request("POST", "/outline", body, headers)
        assert line.getresponse().status == status
        line.close()


def test_the_command_wires_the_applications_engine_photos_and_cache(screens: Screens) -> None:
    made = serve_clicks.outliner()
    assert serve_clicks._pixels(screens.photo.original_key).width == 200
    assert (settings.STATE_DIR / "clicks").is_dir()
    with pytest.raises(InputError):
        serve_clicks._pixels("originals/gone")
    made.stop()
    with serve_clicks._only_one(), pytest.raises(CommandError), serve_clicks._only_one():
        pass
