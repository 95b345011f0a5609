"""Engines by setting string, loaded on first use and once per process.

A setting string looks like ``scheme:target?option=value``: ``embedded:``,
``segment-anything:vit_b?checkpoint=/models/sam_vit_b.pth``, ``openai:http://box:8000/v1?model=m``.
A cascade is several of them separated by blanks, cheapest first.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from models_runtime.contracts import Architecture, Engine
from models_runtime.errors import FatalError

ENGINES: dict[tuple[Architecture, str], str] = {
    (Architecture.MLM, "embedded"): "models_runtime.mlm.minilm:load",
    (Architecture.MLM, "transformers"): "models_runtime.mlm.minilm:load",
    (Architecture.VLM, "embedded"): "models_runtime.vlm.embedded:load",
    (Architecture.VLM, "openai"): "models_runtime.vlm.openai:load",
    (Architecture.SAM, "embedded"): "models_runtime.sam.embedded:load",
    (Architecture.SAM, "segment-anything"): "models_runtime.sam.official:load",
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
            raise FatalError(f"engine {text!r} has no scheme: write for example 'embedded:'")
        target, mark, query = rest.rpartition("?")
        if not mark:
            target, query = rest, ""
        return cls(scheme, target, dict(parse_qsl(query, keep_blank_values=True)))


def parse_cascade(text: str) -> tuple[EngineSpec, ...]:
    """Parse several setting strings separated by blanks, cheapest engine first."""
    specs = tuple(EngineSpec.parse(part) for part in text.split())
    if not specs:
        raise FatalError("an engine setting is empty: write for example 'embedded:'")
    return specs


def _for_engine(text: str) -> EngineSpec:
    """Parse a setting string without what the runtime itself reads in it."""
    spec = EngineSpec.parse(text)
    options = {key: value for key, value in spec.options.items() if key != "cost_per_hour"}
    return EngineSpec(spec.scheme, spec.target, options)


class Registry:
    """Loads each engine once; a second caller of the same engine waits for the first load."""

    def __init__(self, engines: dict[tuple[Architecture, str], str] | None = None) -> None:
        self._paths = dict(ENGINES if engines is None else engines)
        self._loaded: dict[tuple[Architecture, str], Engine] = {}
        self._locks: dict[tuple[Architecture, str], threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, architecture: Architecture, text: str) -> Engine:
        """Return the engine for one setting string, loading it if this is its first use."""
        key = (architecture, text.strip())
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._loaded:
                self._loaded[key] = self._loader(architecture, text)(_for_engine(text))
            return self._loaded[key]

    def put(self, architecture: Architecture, text: str, engine: Engine) -> None:
        """Answer with this engine for a setting string from now on; for tests and own engines."""
        with self._guard:
            self._loaded[(architecture, text.strip())] = engine

    def _loader(self, architecture: Architecture, text: str) -> Callable[[EngineSpec], Any]:
        scheme = EngineSpec.parse(text).scheme
        path = self._paths.get((architecture, scheme))
        if path is None:
            known = sorted(s for a, s in self._paths if a is architecture)
            there_are = ", ".join(known) or "none"
            raise FatalError(f"no {architecture} engine called {scheme!r}; there are: {there_are}")
        module, _, function = path.partition(":")
        loader: Callable[[EngineSpec], Any] = getattr(importlib.import_module(module), function)
        return loader
