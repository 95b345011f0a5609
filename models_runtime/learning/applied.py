"""A learnt version at work: the shipped engines with the site's correction around them.

The first engine of each cascade is corrected, if it is the version that the correction was fitted
on; a dearer engine that is asked after it answers as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar, runtime_checkable

from models_runtime.cascade import Tier
from models_runtime.contracts import (
    EngineRef,
    Extraction,
    Extractor,
    PhotoPixels,
    Triage,
    TriageEngine,
    TriageInput,
)
from models_runtime.learning.delta import Delta
from models_runtime.learning.heads import SeverityHead
from models_runtime.learning.reading import Reading, read_one
from models_runtime.plans import PlanSpec
from models_runtime.runtime import Runtime
from models_runtime.vlm.sureness import overall

E = TypeVar("E")


@runtime_checkable
class Correctable(Protocol):
    """A triage engine whose chances of severity can be corrected."""

    def evidence(self, case: TriageInput) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The numbers of a case, and the chances of none, minor, major, critical, note unread."""
        ...

    def corrected(self, correct: SeverityHead) -> TriageEngine: ...


def corrected(delta: Delta, reading: Reading, plan: PlanSpec) -> Extraction:
    """What the version says of a photo. An extractor that abstained stays so: a correction knows
    nothing of photos that the model does not know."""
    said = reading.extraction
    if said.abstained or not plan.defects:
        return said
    chance = delta.defect(said.defect_probability, reading.traits)
    surer = [
        d.model_copy(update={"confidence": delta.finding(d.type, d.confidence, place)})
        for d, place in zip(said.defects, reading.places, strict=True)
    ]
    kept = sorted((d for d in surer if d.confidence >= delta.finding.cut), key=_least_sure_last)
    changes = {
        "defect_probability": chance,
        "defects": tuple(kept),
        "confidence": overall(said.attributes, chance),
    }
    return said.model_copy(update=changes)


def _least_sure_last(candidate: object) -> float:
    return -float(getattr(candidate, "confidence", 0.0))


@dataclass(frozen=True, slots=True)
class LearnedExtractor:
    """An extractor with a correction. ``name`` of the version is told beside the engine's own."""

    base: Extractor
    delta: Delta
    name: str

    @property
    def ref(self) -> EngineRef:
        return _named(self.base.ref, self.name)

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        said = self.base.extract(photos, plan)
        return [self._one(photo, one, plan) for photo, one in zip(photos, said, strict=True)]

    def _one(self, photo: PhotoPixels, said: Extraction, plan: PlanSpec) -> Extraction:
        better = corrected(self.delta, read_one(self.base, photo, said), plan)
        return better.model_copy(update={"embedding": said.embedding})


@dataclass(frozen=True, slots=True)
class LearnedTriage:
    """A triage engine with a correction."""

    base: TriageEngine
    delta: Delta
    name: str

    @property
    def ref(self) -> EngineRef:
        return _named(self.base.ref, self.name)

    def triage(self, case: TriageInput) -> Triage:
        if isinstance(self.base, Correctable):
            return self.base.corrected(self.delta.severity).triage(case)
        return self.base.triage(case)


@dataclass(frozen=True)
class LearnedRuntime(Runtime):
    """The runtime of a worker with a learnt version in front. It shares the loaded engines."""

    delta: Delta = field(default_factory=Delta)
    name: str = ""

    def extractors(self) -> tuple[Tier[Extractor], ...]:
        base = super().extractors()
        return (_in_front(base[0], self._extractor), *base[1:])

    def triagers(self) -> tuple[Tier[TriageEngine], ...]:
        base = super().triagers()
        return (_in_front(base[0], self._triage), *base[1:])

    def _extractor(self, engine: Extractor) -> Extractor:
        fits = self.delta.bases.get("vlm") == version_of(engine.ref)
        return LearnedExtractor(engine, self.delta, self.name) if fits else engine

    def _triage(self, engine: TriageEngine) -> TriageEngine:
        fits = self.delta.bases.get("slm") == version_of(engine.ref)
        return LearnedTriage(engine, self.delta, self.name) if fits else engine


def learned(runtime: Runtime, delta: Delta, name: str) -> LearnedRuntime:
    """The runtime with this version; ``name`` is written beside every answer of it."""
    return LearnedRuntime(runtime.settings, runtime.cost_per_hour, runtime.registry, delta, name)


def version_of(ref: EngineRef) -> str:
    """An engine and its version, as a delta names what it was fitted on."""
    return f"{ref.engine} {ref.version}"


def _named(ref: EngineRef, name: str) -> EngineRef:
    return ref.model_copy(update={"version": f"{ref.version}+{name}"})


def _in_front(tier: Tier[E], wrap: Callable[[E], E]) -> Tier[E]:  # type: ignore[type-var]
    load = tier.load
    return replace(tier, load=lambda: wrap(load()))
