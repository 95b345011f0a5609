"""Triage: what happens with the unit, how bad it is and who looks next."""

from __future__ import annotations

from dataclasses import dataclass

from inspection.models import AttributeValue, Inspection, Run, StepRun
from inspection.models.choices import InspectionStatus, PhotoStatus, StepName
from inspection.models.plan import EMBEDDING_SIZE
from inspection.pipeline.extract import NO_PLAN, plan_of, saved_extractions
from inspection.pipeline.runtime import runtime
from inspection.pipeline.settle import in_force
from inspection.pipeline.step import Step, Trace, traced
from models_runtime.contracts import AttributeResult, Triage, TriageInput


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, and the unit in words for the search by text and by likeness."""

    case: TriageInput
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


def load(run: Run) -> TriageInput:
    """Of several photos the worst counts: one that shows a defect, one unlike the training."""
    said = list(saved_extractions(run).values())
    chances = [one.defect_probability for one in said if not one.abstained]
    sizes = run.inspection.photos.filter(status=PhotoStatus.READY).values_list("width", "height")
    return TriageInput(
        plan=plan_of(run),
        attributes=attributes_of(run),
        findings=in_force(run),
        defect_probability=max([*chances, *_deviations(run)], default=0.5),
        in_domain=min((one.in_domain for one in said), default=0.0),
        extraction_abstained=any(one.abstained for one in said),
        note=run.inspection.note[:4000],
        photo_area_px=max(1, sum(width * height for width, height in sizes)),
    )


def _deviations(run: Run) -> list[float]:
    """How surely photos deviate from the golden ones, where there are some."""
    row = StepRun.objects.get(run=run, step=StepName.SEGMENT)
    return [float(chance) for chance in row.output.get("deviations", {}).values()]


def compute(case: TriageInput) -> tuple[Judged, Trace]:
    from models_runtime.inspector import case_text, embed_text, triage_case

    done = triage_case(runtime(), case)
    summary = case_text(case.plan, case.attributes, case.findings, done.value)
    words = case_text(case.plan, case.attributes, case.findings, done.value, case.note)
    embedded = embed_text(runtime(), words)
    output = {"triage": done.value.model_dump(mode="json")}
    return Judged(case, done.value, summary, embedded.value), traced([done.record], output)


def save(run: Run, judged: Judged) -> None:
    """What a person decided stays; only what the models saw is brought up to date."""
    unit = Inspection.objects.filter(pk=run.inspection_id)
    unit.update(**_seen(judged))
    unit.filter(decided_by__isnull=True).update(**_verdict(judged.triage))
    run.inspection.refresh_from_db()


def _seen(judged: Judged) -> dict[str, object]:
    usable = len(judged.embedding) == EMBEDDING_SIZE
    return {
        "defect_probability": judged.case.defect_probability,
        "in_domain": judged.case.in_domain,
        "abstained": judged.case.extraction_abstained,
        "summary": judged.summary[:2000],
        "embedding": list(judged.embedding) if usable else None,
    }


def _verdict(triage: Triage) -> dict[str, object]:
    status = InspectionStatus.REVIEW if triage.needs_review else InspectionStatus.DECIDED
    return {
        "status": status,
        "message": "",
        "disposition": triage.disposition.value,
        "severity": triage.severity.value if triage.severity else "",
        "priority": triage.priority,
        "queue": triage.queue[:50],
        "confidence": triage.confidence,
        "reasons": list(triage.reasons),
    }


def saved_triage(run: Run) -> Triage:
    """What this run's triage said, from its row."""
    row = run.steps.get(step=StepName.TRIAGE)
    return Triage.model_validate(row.output["triage"])


TRIAGE = Step(StepName.TRIAGE, "language", load, compute, save, skip)
