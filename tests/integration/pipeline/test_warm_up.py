"""A worker takes work while its models load, and says what the photo waits for."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import pytest
from pipeline_world import photo_bytes

from inspection.models import StepRun
from inspection.pipeline import engine, runtime
from models_runtime.contracts import Architecture
from models_runtime.errors import FatalError
from models_runtime.memory import MemoryExtractor, MemorySegmenter
from models_runtime.registry import ENGINES

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PLACE = "engines_of_this_test"
PATIENCE_S = 30


@pytest.fixture
def loaders(world, settings, monkeypatch):
    """An extractor that takes long to load, and what else may be named in a setting."""
    module = ModuleType(PLACE)
    module.begun, module.go_on, module.order = threading.Event(), threading.Event(), []

    def slow(spec):
        module.order.append("slow")
        module.begun.set()
        assert module.go_on.wait(PATIENCE_S)
        return MemoryExtractor()

    def quick(spec):
        module.order.append("quick")
        return MemoryExtractor()

    def broken(spec):
        module.order.append("broken")
        raise FatalError("no weights")

    def segmenter(spec):
        module.order.append("segmenter")
        return MemorySegmenter()

    vars(module).update(slow=slow, quick=quick, broken=broken, segmenter=segmenter)
    monkeypatch.setitem(sys.modules, PLACE, module)
    for name in ("slow", "quick", "broken"):
        monkeypatch.setitem(ENGINES, (Architecture.VLM, name), f"{PLACE}:{name}")
    monkeypatch.setitem(ENGINES, (Architecture.SAM, "seen"), f"{PLACE}:segmenter")
    settings.ENGINES = settings.ENGINES | {"sam": "seen:"}
    yield module
    module.go_on.set()


def warming(queues=frozenset({"vision"})):
    runtime.runtime()
    thread = threading.Thread(target=runtime.warm_up, args=(queues,), daemon=True)
    thread.start()
    return thread


def test_a_photo_that_comes_while_models_load_says_so_and_is_done_when_they_are(
    world, settings, loaders, monkeypatch
):
    settings.ENGINES = settings.ENGINES | {"vlm": "slow:"}
    unit = world.inspect(photo_bytes())
    engine.advance(unit.current_run_id, "intake")
    thread, told = warming(), []
    assert loaders.begun.wait(PATIENCE_S)
    original = engine.claims.tell

    def tell(held, words):
        original(held, words)
        told.append(StepRun.objects.get(run=unit.current_run_id, step="extract").reason)
        loaders.go_on.set()

    monkeypatch.setattr(engine.claims, "tell", tell)
    assert engine.advance(unit.current_run_id, "vision") == 2
    thread.join(PATIENCE_S)
    assert told == ["Models are being loaded: vlm slow: for 0 s."]
    assert "loaded" not in StepRun.objects.get(run=unit.current_run_id, step="extract").reason
    assert loaders.order.count("slow") == 1


def test_what_every_photo_needs_is_loaded_before_the_dear_engine_of_a_cascade(
    world, settings, loaders
):
    settings.ENGINES = settings.ENGINES | {"vlm": "quick: slow:"}
    thread = warming()
    assert loaders.begun.wait(PATIENCE_S)
    assert loaders.order == ["quick", "segmenter", "slow"]
    assert runtime.still_loading("vision") == ""
    unit = world.inspect(photo_bytes())
    engine.advance(unit.current_run_id, "intake")
    assert engine.advance(unit.current_run_id, "vision") == 2
    assert thread.is_alive()


def test_an_engine_that_cannot_be_loaded_does_not_keep_the_others_cold(world, settings, loaders):
    settings.ENGINES = settings.ENGINES | {"vlm": "broken:"}
    warming().join(PATIENCE_S)
    assert loaders.order == ["broken", "segmenter"]
    assert runtime.still_loading("vision") == ""
