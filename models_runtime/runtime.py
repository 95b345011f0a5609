"""The runtime as a value: which engines answer for each architecture, and what their time costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from models_runtime.cascade import Tier
from models_runtime.contracts import (
    ActionPlanner,
    Architecture,
    Engine,
    Extractor,
    ReportWriter,
    Segmenter,
    TextEmbedder,
    TriageEngine,
)
from models_runtime.errors import FatalError
from models_runtime.redaction import shown_setting
from models_runtime.registry import DEFAULTS, EngineSpec, Registry

E = TypeVar("E", bound=Engine)

COST_PER_HOUR_USD = 0.10
"""Price of an hour of a small two-core machine, where no other is set."""


@dataclass(frozen=True)
class Runtime:
    """Setting strings per architecture, loaded on first use and once. Safe to share by threads.

    ``cost_per_hour``: US dollars per hour of the machine; an engine elsewhere states its own by
    the option ``cost_per_hour`` in its setting string.
    """

    settings: Mapping[Architecture, str] = field(default_factory=lambda: dict(DEFAULTS))
    cost_per_hour: float = COST_PER_HOUR_USD
    registry: Registry = field(default_factory=Registry)

    @classmethod
    def from_settings(
        cls, settings: Mapping[str, str], cost_per_hour: float = COST_PER_HOUR_USD
    ) -> Runtime:
        """Build from ``{"vlm": "embedded:", …}``; what is not named keeps its default."""
        known = {a.value: a for a in DEFAULTS}
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise FatalError(
                f"no such architecture: {', '.join(unknown)}; there are: {list(known)}"
            )
        named = {known[key]: text for key, text in settings.items()}
        return cls({**DEFAULTS, **named}, cost_per_hour)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Runtime:
        """Build from LOUPE_VLM, LOUPE_SAM, LOUPE_SLM, LOUPE_MLM, LOUPE_LLM, LOUPE_LAM and
        LOUPE_COST_PER_HOUR; FatalError where one can't be read."""
        values = os.environ if environment is None else environment
        names = {a.value: f"LOUPE_{a.value.upper()}" for a in DEFAULTS}
        settings = {key: values[name] for key, name in names.items() if values.get(name)}
        price = values.get("LOUPE_COST_PER_HOUR") or str(COST_PER_HOUR_USD)
        try:
            return cls.from_settings(settings, float(price))
        except ValueError:
            raise FatalError(
                f"LOUPE_COST_PER_HOUR is {price!r}: write US dollars per hour, for example 0.10"
            ) from None

    def tiers(self, architecture: Architecture) -> tuple[Tier[Engine], ...]:
        """The cascade of an architecture, cheapest first; each loads when its turn comes."""
        texts = self.settings.get(architecture, "").split()
        if not texts:
            raise FatalError(f"no engine is set for {architecture}: write for example 'embedded:'")
        return tuple(self._tier(architecture, text) for text in texts)

    def _tier(self, architecture: Architecture, text: str) -> Tier[Engine]:
        def load() -> Engine:
            return self.registry.get(architecture, text)

        return Tier(architecture, shown_setting(text), load, self._price(text))

    def embedder(self) -> TextEmbedder:
        """The sentence encoder. Embeddings of different engines don't compare: no cascade here."""
        return cast(TextEmbedder, self.tiers(Architecture.MLM)[0].load())

    def segmenter(self) -> Segmenter:
        """The segmenter. An embedding belongs to the engine that made it: no cascade here."""
        return cast(Segmenter, self.tiers(Architecture.SAM)[0].load())

    def extractors(self) -> tuple[Tier[Extractor], ...]:
        return cast("tuple[Tier[Extractor], ...]", self.tiers(Architecture.VLM))

    def triagers(self) -> tuple[Tier[TriageEngine], ...]:
        return cast("tuple[Tier[TriageEngine], ...]", self.tiers(Architecture.SLM))

    def writers(self) -> tuple[Tier[ReportWriter], ...]:
        return cast("tuple[Tier[ReportWriter], ...]", self.tiers(Architecture.LLM))

    def template_writer(self) -> Tier[ReportWriter]:
        """The writer that needs no model and no server, for when the configured ones fail."""
        return cast("Tier[ReportWriter]", self._tier(Architecture.LLM, "template:"))

    def planners(self) -> tuple[Tier[ActionPlanner], ...]:
        return cast("tuple[Tier[ActionPlanner], ...]", self.tiers(Architecture.LAM))

    def _price(self, text: str) -> float:
        stated = EngineSpec.parse(text).options.get("cost_per_hour")
        try:
            return self.cost_per_hour if stated is None else float(stated)
        except ValueError:
            shown = shown_setting(text)
            raise FatalError(f"cost_per_hour in {shown!r} is not a number of dollars") from None
