"""Loading one engine holds up nobody who asks for another one, and shows how far it is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest

from models_runtime.contracts import Architecture, PhotoPixels
from models_runtime.errors import FatalError
from models_runtime.inspector import extract_photo
from models_runtime.memory import MemoryExtractor
from models_runtime.plans import PlanSpec
from models_runtime.registry import Registry
from models_runtime.runtime import Runtime

PLACE = "engines_of_this_test"
PATIENCE_S = 30
VLM, SAM = Architecture.VLM, Architecture.SAM


class Loaders(ModuleType):
    """Loaders as a module, as the registry finds them: a slow one waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(PLACE)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.calls: list[str] = []

    def slow(self, spec: object) -> MemoryExtractor:
        self.calls.append("slow")
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        return MemoryExtractor()

    def quick(self, spec: object) -> MemoryExtractor:
        self.calls.append("quick")
        return MemoryExtractor()

    def broken(self, spec: object) -> MemoryExtractor:
        self.calls.append("broken")
        raise FatalError("no weights there")


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaders]:
    module = Loaders()
    monkeypatch.setitem(sys.modules, PLACE, module)
    yield module
    module.go_on.set()


def registry() -> Registry:
    names = ("slow", "quick", "broken")
    return Registry({(kind, name): f"{PLACE}:{name}" for kind in (VLM, SAM) for name in names})


def photo() -> PhotoPixels:
    return PhotoPixels(np.full((20, 30, 3), 250, np.uint8), "")


def test_work_goes_on_while_another_engine_loads(loaders: Loaders) -> None:
    """The cascade's first engine answers, and a new one loads, beside a load that takes long."""
    engines = registry()
    runtime = Runtime({VLM: "quick: slow:"}, registry=engines)
    plan = PlanSpec.model_validate({"name": "Lids", "defects": [{"key": "hole", "name": "hole"}]})
    extract_photo(runtime, photo(), plan)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(engines.get, VLM, "slow:")
        assert loaders.begun.wait(PATIENCE_S)
        work = pool.submit(lambda: [extract_photo(runtime, photo(), plan) for _ in range(20)])
        assert len(work.result(PATIENCE_S)) == 20
        assert pool.submit(engines.get, SAM, "quick:").result(PATIENCE_S) is not None
        assert not slow.done()
        loaders.go_on.set()
        assert slow.result(PATIENCE_S) is engines.get(VLM, "slow:")


def test_several_who_want_the_same_engine_get_one(loaders: Loaders) -> None:
    engines = registry()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(engines.get, VLM, "slow:") for _ in range(4)]
        assert loaders.begun.wait(PATIENCE_S)
        loaders.go_on.set()
        got = {id(one.result(PATIENCE_S)) for one in asked}
    assert len(got) == 1
    assert loaders.calls == ["slow"]


def test_how_far_it_is_can_be_seen(loaders: Loaders) -> None:
    engines = registry()
    assert engines.loading() == ()
    engines.get(SAM, "quick:")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(engines.get, VLM, "slow:a-path?key=secret")
        assert loaders.begun.wait(PATIENCE_S)
        quick, slow = engines.loading()
        assert (quick.name, quick.ready, quick.under_way) == ("sam quick:", True, False)
        assert (slow.name, slow.ready, slow.under_way) == ("vlm slow:", False, True)
        assert slow.seconds >= 0
        loaders.go_on.set()
        asked.result(PATIENCE_S)
    assert [one.ready for one in engines.loading()] == [True, True]


def test_an_engine_that_cannot_be_loaded_says_why_and_may_be_asked_for_again(
    loaders: Loaders,
) -> None:
    engines = registry()
    for _ in range(2):
        with pytest.raises(FatalError, match="no weights there"):
            engines.get(VLM, "broken:")
    assert loaders.calls == ["broken", "broken"]
    (told,) = engines.loading()
    assert (told.ready, told.under_way, told.error) == (False, False, "no weights there")


def test_an_engine_of_ones_own_answers_from_now_on(loaders: Loaders) -> None:
    engines, own = registry(), MemoryExtractor()
    engines.get(VLM, "quick:")
    engines.put(VLM, "quick:", own)
    assert engines.get(VLM, " quick: ") is own
