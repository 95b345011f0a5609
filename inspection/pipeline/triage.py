"""Triage: what happens with the unit, how bad it is and who looks next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from inspection.models import AttributeValue, Inspection, Run
from inspection.models.choices import InspectionStatus, PhotoStatus, StepName
from inspection.models.plan import EMBEDDING_SIZE
from inspection.pipeline.extract import NO_PLAN, output_of, plan_of, saved_extractions
from inspection.pipeline.learned import LearnedRef, pinned, runtime_with
from inspection.pipeline.runtime import runtime
from inspection.pipeline.segment import saved_doubts
from inspection.pipeline.settle import in_force
from inspection.pipeline.step import Step, Trace, traced
from inspection.selectors.risk import dial_in_force
from inspection.selectors.rounds import is_open
from inspection.services.queue import after_triage
from inspection.services.risk import record_gate
from models_runtime.contracts import AttributeResult, Triage, TriageInput
from models_runtime.risk.chances import unit_chances
from models_runtime.risk.gate import DialInForce, GateWord, Unit, gate, gated

if TYPE_CHECKING:
    from models_runtime.inspector import Done


@dataclass(frozen=True, slots=True)
class Dialled:
    """The plan's risk dial, and what it looks at of this unit."""

    dial_id: UUID
    plan_id: UUID
    dial: DialInForce
    unit: Unit


@dataclass(frozen=True, slots=True)
class Case:
    """What triage looks at, why the models would only be guessing, if so, the plan's risk dial
    where one is set, and the site's own version of the models that judges the unit."""

    seen: TriageInput
    doubts: tuple[str, ...]
    dialled: Dialled | None = None
    learned: LearnedRef | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, the dial's word on it, and the unit in words for the search by text and by
    likeness."""

    case: Case
    triage: Triage
    summary: str
    embedding: tuple[float, ...]
    word: GateWord | None = None


def skip(run: Run) -> str:
    return "" if run.inspection.plan_version_id else NO_PLAN


def attributes_of(run: Run) -> tuple[AttributeResult, ...]:
    """The answers of this run, from its rows."""
    return tuple(
        AttributeResult(
            key=row.key,
            value=row.value,
            confidence=row.confidence,
            abstained=row.abstained,
            alternatives=row.alternatives,
        )
        for row in AttributeValue.objects.filter(run=run)
    )


def load(run: Run) -> Case:
    """Of several photos the worst counts: one that shows a defect, one unlike the training."""
    doubts = saved_doubts(run)
    chances = [one.defect_probability for one in doubts if not one.abstained]
    sizes = run.inspection.photos.filter(status=PhotoStatus.READY).values_list("width", "height")
    seen = TriageInput(
        plan=plan_of(run),
        attributes=attributes_of(run),
        findings=in_force(run),
        defect_probability=max(chances, default=0.5),
        in_domain=min((one.in_domain for one in doubts), default=0.0),
        extraction_abstained=any(one.abstained for one in doubts),
        note=run.inspection.note[:4000],
        photo_area_px=max(1, sum(width * height for width, height in sizes)),
    )
    whys = tuple(dict.fromkeys(why for one in doubts for why in one.reasons))
    return Case(seen, whys, _dialled(run, seen), pinned(run))


def _dialled(run: Run, seen: TriageInput) -> Dialled | None:
    """The risk dial of the plan; without one, triage alone decides."""
    plan_id = run.inspection.plan_id
    row = dial_in_force(plan_id) if plan_id else None
    if row is None or plan_id is None:
        return None
    extracted = run.steps.get(step=StepName.EXTRACT)
    unit = Unit(
        key=str(run.inspection_id),
        chances=unit_chances(seen.plan, seen.defect_probability, saved_extractions(run).values()),
        engine=f"{extracted.engine} {extracted.engine_version}"[:400],
        abstained=seen.extraction_abstained,
    )
    dial = DialInForce(row.thresholds, tuple(row.engines), row.check_share)
    return Dialled(row.pk, plan_id, dial, unit)


def compute(case: Case) -> tuple[Judged, Trace]:
    (judged,) = compute_many([case])
    return judged


def compute_many(cases: Sequence[Case]) -> list[tuple[Judged, Trace]]:
    """Each case by itself; the texts of all are embedded in one pass, which is what takes time."""
    from models_runtime.inspector import case_text, embed_texts, triage_case

    done = [triage_case(runtime_with(case.learned), case.seen) for case in cases]
    told = [
        (case.seen.plan, case.seen.attributes, case.seen.findings, one.value)
        for case, one in zip(cases, done, strict=True)
    ]
    words = [case_text(*about, case.seen.note) for about, case in zip(told, cases, strict=True)]
    vectors = embed_texts(runtime(), words)
    return [
        _judged(case, one, case_text(*about), vector.value)
        for case, one, about, vector in zip(cases, done, told, vectors, strict=True)
    ]


def _judged(
    case: Case, done: Done[Triage], summary: str, embedding: tuple[float, ...]
) -> tuple[Judged, Trace]:
    triage, word = done.value, None
    if case.dialled is not None:
        word = gate(case.dialled.dial, case.dialled.unit, triage)
        triage = gated(triage, word)
    output = {"triage": triage.model_dump(mode="json")}
    return Judged(case, triage, summary, embedding, word), traced([done.record], output)


def save(run: Run, judged: Judged) -> None:
    """What a person decided stays; only what the models saw is brought up to date."""
    changed = _seen(judged)
    if run.inspection.decided_by_id is None:
        changed |= _verdict(judged)
        if is_open(run.inspection_id):  # a person's word is sealed: the models don't settle it
            changed["status"] = InspectionStatus.REVIEW
    Inspection.objects.filter(pk=run.inspection_id).update(**changed)
    for name, value in changed.items():
        setattr(run.inspection, name, value)
    dialled = judged.case.dialled
    if dialled is not None and judged.word is not None:
        asked = judged.triage.needs_review and not judged.word.eligible
        told = (dialled.dial_id, dialled.plan_id, dialled.unit, judged.word)
        record_gate(run, *told, is_asked=asked)
    if run.inspection.decided_by_id is None:
        after_triage(run.inspection)


def _seen(judged: Judged) -> dict[str, object]:
    usable = len(judged.embedding) == EMBEDDING_SIZE
    return {
        "defect_probability": judged.case.seen.defect_probability,
        "in_domain": judged.case.seen.in_domain,
        "abstained": judged.case.seen.extraction_abstained,
        "summary": judged.summary[:2000],
        "embedding": list(judged.embedding) if usable else None,
    }


def _verdict(judged: Judged) -> dict[str, object]:
    triage = judged.triage
    status = InspectionStatus.REVIEW if triage.needs_review else InspectionStatus.DECIDED
    return {
        "status": status,
        "message": "",
        "disposition": triage.disposition.value,
        "severity": triage.severity.value if triage.severity else "",
        "priority": triage.priority,
        "queue": triage.queue[:50],
        "confidence": triage.confidence,
        "reasons": [*triage.reasons, *judged.case.doubts],
    }


def saved_triage(run: Run) -> Triage:
    """What this run's triage said, from its row."""
    return Triage.model_validate(output_of(run, StepName.TRIAGE)["triage"])


TRIAGE = Step(StepName.TRIAGE, "language", load, compute, save, skip, compute_many)
