"""Triage: what happens with the unit, how bad it is and who looks next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.models import AttributeValue, Inspection, Run
from inspection.models.choices import InspectionStatus, PhotoStatus, StepName
from inspection.models.plan import EMBEDDING_SIZE
from inspection.pipeline.extract import NO_PLAN, output_of, plan_of
from inspection.pipeline.runtime import runtime
from inspection.pipeline.segment import saved_doubts
from inspection.pipeline.settle import in_force
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import AttributeResult, Triage, TriageInput

if TYPE_CHECKING:
    from models_runtime.inspector import Done


@dataclass(frozen=True, slots=True)
class Case:
    """What triage looks at, and why the models would only be guessing, if so."""

    seen: TriageInput
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, and the unit in words for the search by text and by likeness."""

    case: Case
    triage: Triage
    summary: str
    embedding: tuple[float, ...]


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
    return Case(seen, tuple(dict.fromkeys(why for one in doubts for why in one.reasons)))


def compute(case: Case) -> tuple[Judged, Trace]:
    (judged,) = compute_many([case])
    return judged


def compute_many(cases: Sequence[Case]) -> list[tuple[Judged, Trace]]:
    """Each case by itself; the texts of all are embedded in one pass, which is what takes time."""
    from models_runtime.inspector import case_text, embed_texts, triage_case

    done = [triage_case(runtime(), case.seen) for case in cases]
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
    output = {"triage": done.value.model_dump(mode="json")}
    return Judged(case, done.value, summary, embedding), traced([done.record], output)


def save(run: Run, judged: Judged) -> None:
    """What a person decided stays; only what the models saw is brought up to date."""
    changed = _seen(judged)
    if run.inspection.decided_by_id is None:
        changed |= _verdict(judged)
    Inspection.objects.filter(pk=run.inspection_id).update(**changed)
    for name, value in changed.items():
        setattr(run.inspection, name, value)


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
