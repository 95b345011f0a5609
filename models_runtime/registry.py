"""Engines by setting string, loaded on first use and once per process.

A setting string looks like ``scheme:target?option=value``: ``embedded:``,
``segment-anything:vit_b?checkpoint=/models/sam_vit_b.pth``, ``openai:http://box:8000/v1?model=m``.
A cascade is several of them separated by blanks, cheapest first.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from models_runtime.contracts import Architecture, Engine
from models_runtime.errors import FatalError
from models_runtime.redaction import shown_setting, shown_word

logger = logging.getLogger(__name__)

ENGINES: dict[tuple[Architecture, str], str] = {
    (Architecture.MLM, "embedded"): "models_runtime.mlm.minilm:load",
    (Architecture.MLM, "transformers"): "models_runtime.mlm.minilm:load",
    (Architecture.VLM, "embedded"): "models_runtime.vlm.embedded:load",
    (Architecture.VLM, "openai"): "models_runtime.vlm.openai:load",
    (Architecture.VLM, "transformers"): "models_runtime.vlm.transformers_vlm:load",
    (Architecture.SAM, "embedded"): "models_runtime.sam.embedded:load",
    (Architecture.SAM, "segment-anything"): "models_runtime.sam.official:load",
    (Architecture.SAM, "transformers"): "models_runtime.sam.transformers_sam:load",
    (Architecture.SLM, "embedded"): "models_runtime.slm.embedded:load",
    (Architecture.LLM, "template"): "models_runtime.llm.template:load",
    (Architecture.LLM, "openai"): "models_runtime.llm.openai:load",
    (Architecture.LLM, "transformers"): "models_runtime.llm.transformers_chat:load",
    (Architecture.LAM, "embedded"): "models_runtime.lam.planner:load",
    (Architecture.MLM, "memory"): "models_runtime.memory:load_embedder",
    (Architecture.VLM, "memory"): "models_runtime.memory:load_extractor",
    (Architecture.SAM, "memory"): "models_runtime.memory:load_segmenter",
    (Architecture.SLM, "memory"): "models_runtime.memory:load_triage",
    (Architecture.LLM, "memory"): "models_runtime.memory:load_writer",
    (Architecture.LAM, "memory"): "models_runtime.memory:load_planner",
}
"""(architecture, scheme) → ``module:function``; the function takes an EngineSpec."""

DEFAULTS: dict[Architecture, str] = {
    Architecture.MLM: "embedded:",
    Architecture.VLM: "embedded:",
    Architecture.SAM: "embedded:",
    Architecture.SLM: "embedded:",
    Architecture.LLM: "template:",
    Architecture.LAM: "embedded:",
}


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A parsed setting string."""

    scheme: str
    target: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> EngineSpec:
        """Parse ``scheme:target?key=value&…``; FatalError where the scheme is missing.

        Only the text after the last ``?`` counts as options, so a URL target keeps its own path.
        """
        scheme, colon, rest = text.strip().partition(":")
        if not colon or not scheme:
            shown = shown_setting(text)
            raise FatalError(f"engine {shown!r} has no scheme: write for example 'embedded:'")
        target, mark, query = rest.rpartition("?")
        if not mark:
            target, query = rest, ""
        return cls(scheme, target, dict(parse_qsl(query, keep_blank_values=True)))

    def allow(self, *names: str) -> None:
        """FatalError where an option is none of these, so that a misspelt one is not overlooked."""
        unknown = [shown_word(key) or "one that is no word" for key in self.options]
        unknown = [key for key in unknown if key not in names]
        if unknown:
            raise FatalError(
                f"{self.scheme}: has no option {', '.join(unknown)}; there are: "
                f"{', '.join(sorted(names))}"
            )


def _for_engine(text: str) -> EngineSpec:
    """Parse a setting string without what the runtime itself reads in it."""
    spec = EngineSpec.parse(text)
    options = {key: value for key, value in spec.options.items() if key != "cost_per_hour"}
    return EngineSpec(spec.scheme, spec.target, options)


@dataclass(frozen=True, slots=True)
class Loading:
    """How far one engine is on its way into memory. ``name``: its architecture and its scheme.

    ``seconds``: since it was begun, or as long as it took. ``error``: why it could not be loaded.
    """

    architecture: Architecture
    name: str
    ready: bool
    seconds: float
    error: str = ""

    @property
    def under_way(self) -> bool:
        return not self.ready and not self.error


@dataclass(slots=True)
class _Slot:
    """One engine's place: whoever loads it holds the lock; whoever finds it there needs none."""

    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine | None = None
    began: float | None = None
    took: float | None = None
    error: str = ""


class Registry:
    """Loads each engine once; a second caller of the same engine waits for the first load.

    Callers of other engines wait for nothing: each engine has a lock of its own, and one that is
    loaded is handed out without any.
    """

    def __init__(self, engines: dict[tuple[Architecture, str], str] | None = None) -> None:
        self._paths = dict(ENGINES if engines is None else engines)
        self._slots: dict[tuple[Architecture, str], _Slot] = {}
        self._guard = threading.Lock()

    def get(self, architecture: Architecture, text: str) -> Engine:
        """Return the engine for one setting string, loading it if this is its first use."""
        slot = self._slot(architecture, text)
        if slot.engine is not None:
            return slot.engine
        with slot.lock:
            if slot.engine is None:
                slot.engine = self._load(slot, architecture, text)
            return slot.engine

    def loading(self) -> tuple[Loading, ...]:
        """The engines that were asked for, in that order, and how far each of them is."""
        now = time.monotonic()
        with self._guard:
            slots = [(key[0], slot) for key, slot in self._slots.items()]
        return tuple(
            Loading(
                architecture=architecture,
                name=slot.name,
                ready=slot.engine is not None,
                seconds=now - slot.began if slot.took is None else slot.took,
                error=slot.error,
            )
            for architecture, slot in slots
            if slot.began is not None
        )

    def _slot(self, architecture: Architecture, text: str) -> _Slot:
        name = f"{architecture.value} {shown_setting(text).partition(':')[0]}:"
        with self._guard:
            return self._slots.setdefault((architecture, text.strip()), _Slot(name))

    def _load(self, slot: _Slot, architecture: Architecture, text: str) -> Engine:
        slot.began, slot.took, slot.error = time.monotonic(), None, ""
        try:
            engine: Engine = self._loader(architecture, text)(_for_engine(text))
        except Exception as error:
            slot.error = str(error) or type(error).__name__
            raise
        finally:
            slot.took = time.monotonic() - slot.began
        logger.info("%s is loaded, after %.1f s", slot.name, slot.took)
        return engine

    def put(self, architecture: Architecture, text: str, engine: Engine) -> None:
        """Answer with this engine for a setting string from now on; for tests and own engines."""
        slot = self._slot(architecture, text)
        with slot.lock:
            slot.engine = engine

    def _loader(self, architecture: Architecture, text: str) -> Callable[[EngineSpec], Any]:
        scheme = EngineSpec.parse(text).scheme
        path = self._paths.get((architecture, scheme))
        if path is None:
            known = sorted(s for a, s in self._paths if a is architecture)
            there_are = ", ".join(known) or "none"
            shown = shown_word(scheme) or "like that"
            raise FatalError(f"no {architecture} engine called {shown!r}; there are: {there_are}")
        module, _, function = path.partition(":")
        loader: Callable[[EngineSpec], Any] = getattr(importlib.import_module(module), function)
        return loader
