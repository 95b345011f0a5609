"""A tiny runtime in memory, for users' own tests: plain rules, no weights, answers in microseconds.

    runtime = memory_runtime()
    photo = PhotoPixels(pixels, "0" * 64)            # white, with a black square
    plan = PlanSpec(name="Lids", defects=({"key": "hole", "name": "hole"},))
    done = extract_photo(runtime, photo, plan)       # one candidate: the black square

The extractor calls every connected-looking dark area a defect of the plan's first type, unless an
answer is scripted for the photo's SHA-256. The segmenter fills boxes and draws a disc at clicks.
The same engines stand behind the setting string ``memory:``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models_runtime import masks
from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    Architecture,
    AttributeResult,
    Box,
    Claim,
    DefectCandidate,
    Disposition,
    EngineRef,
    Extraction,
    ImageEmbedding,
    MaskCandidate,
    PhotoPixels,
    PlannedAction,
    Prompt,
    Report,
    ReportInput,
    Triage,
    TriageInput,
)
from models_runtime.errors import InputError
from models_runtime.plans import SEVERITY_ORDER, Characteristic, CharacteristicKind, PlanSpec
from models_runtime.registry import EngineSpec
from models_runtime.runtime import Runtime

DARK = 40
"""Pixels below this brightness are what the extractor of this runtime calls a defect."""

_DIMENSIONS = 384


def memory_runtime(extractions: Mapping[str, Extraction] | None = None, **settings: str) -> Runtime:
    """A runtime of rule engines; ``extractions`` scripts the answer for a photo's SHA-256.

    ``settings`` replaces single engines: ``memory_runtime(sam="embedded:")``.
    """
    kinds = ("vlm", "sam", "slm", "mlm", "llm", "lam")
    runtime = Runtime.from_settings(dict.fromkeys(kinds, "memory:") | settings)
    if extractions is not None and "vlm" not in settings:
        engine = MemoryExtractor(dict(extractions))
        runtime.registry.put(Architecture.VLM, "memory:", engine)
    return runtime


_REFS = {a: EngineRef(architecture=a, engine="memory", version="1") for a in Architecture}


@dataclass(frozen=True)
class MemoryEmbedder:
    """Counts words into 384 buckets: texts with common words are alike."""

    ref: EngineRef = _REFS[Architecture.MLM]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), _DIMENSIONS), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(",", " ").replace(".", " ").split():
                row[zlib.crc32(word.encode()) % _DIMENSIONS] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@dataclass(frozen=True)
class MemoryExtractor:
    """Calls dark areas a defect; answers every question with its first option."""

    scripted: dict[str, Extraction] = field(default_factory=dict)
    ref: EngineRef = _REFS[Architecture.VLM]

    def extract(self, photos: Sequence[PhotoPixels], plan: PlanSpec) -> list[Extraction]:
        return [self.scripted.get(p.sha256) or _by_darkness(p, plan) for p in photos]


@dataclass(frozen=True)
class MemorySegmenter:
    """Fills the box of a prompt, or a disc around its first click."""

    ref: EngineRef = _REFS[Architecture.SAM]

    def embed(self, photo: PhotoPixels) -> ImageEmbedding:
        size = (photo.height, photo.width)
        return ImageEmbedding(np.zeros((1, 1, 1), np.float32), size, size, self.ref.version)

    def decode(
        self, embedding: ImageEmbedding, prompts: Sequence[Prompt]
    ) -> list[tuple[MaskCandidate, ...]]:
        return [(_filled(embedding.size, prompt),) for prompt in prompts]


@dataclass(frozen=True)
class MemoryTriage:
    """Applies the plan's policy to the worst severity, and nothing else."""

    ref: EngineRef = _REFS[Architecture.SLM]

    def triage(self, case: TriageInput) -> Triage:
        worst = max((SEVERITY_ORDER.index(f.severity) for f in case.findings), default=None)
        severity = None if worst is None else SEVERITY_ORDER[worst]
        policy = case.plan.policy.model_dump()
        disposition = Disposition(policy[severity]) if severity else Disposition.ACCEPT
        if case.extraction_abstained:
            disposition = Disposition.HOLD
        confidence = 0.95 if not case.extraction_abstained else 0.3
        rest = (1 - confidence) / (len(Disposition) - 1)
        return Triage(
            disposition=disposition,
            severity=severity,
            priority=4 if worst is None else 3 - worst,
            queue="review" if case.extraction_abstained else "auto",
            confidence=confidence,
            needs_review=case.extraction_abstained,
            reasons=(f"{len(case.findings)} findings, policy of {case.plan.name}",),
            probabilities={d: confidence if d is disposition else rest for d in Disposition},
        )


@dataclass(frozen=True)
class MemoryWriter:
    """One sentence for the outcome and one per finding."""

    ref: EngineRef = _REFS[Architecture.LLM]

    def write(self, evidence: ReportInput) -> Report:
        outcome = f"{evidence.reference}: {evidence.triage.disposition}."
        claims = [Claim(text=outcome, evidence=("triage",))]
        claims += [
            Claim(text=f"{f.severity} {f.type}, {f.area_px} px.", evidence=(f"finding:{f.id}",))
            for f in evidence.findings
        ]
        return Report(title=evidence.plan.name, claims=tuple(claims), writer="memory")


@dataclass(frozen=True)
class MemoryPlanner:
    """One ticket per finding and playbook rule that names the disposition."""

    ref: EngineRef = _REFS[Architecture.LAM]

    def plan(self, case: ActionInput) -> ActionGraph:
        actions = [
            PlannedAction(
                id=f"{rule.destination}-{finding.id}",
                action=rule.action,
                destination=rule.destination,
                finding_id=finding.id,
                requires_approval=rule.requires_approval,
            )
            for rule in case.plan.playbook
            if case.triage.disposition in rule.dispositions
            for finding in case.findings
            if not rule.defects or finding.type in rule.defects
        ]
        return ActionGraph(actions=tuple(actions))


def _by_darkness(photo: PhotoPixels, plan: PlanSpec) -> Extraction:
    dark = photo.pixels.mean(axis=2) < DARK
    defects = []
    if dark.any() and plan.defects:
        first = plan.defects[0]
        rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
        x1, x2, y1, y2 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
        box = Box(x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))
        defects = [
            DefectCandidate(type=first.key, box=box, confidence=0.9, severity=first.severity)
        ]
    return Extraction(
        attributes=tuple(_first_answer(c) for c in plan.characteristics),
        defects=tuple(defects),
        defect_probability=0.9 if defects else 0.1,
        in_domain=1.0,
        confidence=0.9,
        abstained=False,
        embedding=tuple(float(v) for v in MemoryEmbedder().embed([plan.name])[0]),
    )


def _first_answer(asked: Characteristic) -> AttributeResult:
    lowest = 1 if asked.minimum is None else asked.minimum
    answers: dict[CharacteristicKind, str | int | float | bool] = {
        CharacteristicKind.BOOLEAN: True,
        CharacteristicKind.SCALE: int(lowest),
        CharacteristicKind.NUMBER: float(lowest),
        CharacteristicKind.TEXT: "",
    }
    value = asked.options[0].value if asked.options else answers.get(asked.kind)
    return AttributeResult(key=asked.key, value=value, confidence=0.9)


def _filled(size: tuple[int, int], prompt: Prompt) -> MaskCandidate:
    height, width = size
    filled = np.zeros(size, dtype=bool)
    if prompt.box is not None:
        box = prompt.box
        if box.x1 >= width or box.y1 >= height:
            raise InputError(f"the box lies outside the photo of {width} × {height} px")
        filled[int(box.y1) : round(box.y2), int(box.x1) : round(box.x2)] = True
    else:
        click = prompt.clicks[0]
        rows, columns = np.ogrid[:height, :width]
        near = (rows - click.y) ** 2 + (columns - click.x) ** 2
        filled |= near <= (0.05 * max(size) + 1) ** 2
    mask = masks.encode(filled)
    area = int(filled.sum())
    return MaskCandidate(
        mask=mask, predicted_iou=0.9 if area else 0.0, area=area, box=masks.bounding_box(mask)
    )


def load_embedder(spec: EngineSpec) -> MemoryEmbedder:
    return MemoryEmbedder()


def load_extractor(spec: EngineSpec) -> MemoryExtractor:
    return MemoryExtractor()


def load_segmenter(spec: EngineSpec) -> MemorySegmenter:
    return MemorySegmenter()


def load_triage(spec: EngineSpec) -> MemoryTriage:
    return MemoryTriage()


def load_writer(spec: EngineSpec) -> MemoryWriter:
    return MemoryWriter()


def load_planner(spec: EngineSpec) -> MemoryPlanner:
    return MemoryPlanner()
