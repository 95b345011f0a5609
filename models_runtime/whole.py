"""One photo through all steps at once, for the command line and for anyone without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models_runtime.calibration import logit, sigmoid
from models_runtime.compare.earlier import Change, EarlierPhoto
from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    Comparison,
    Extraction,
    Finding,
    FindingHistory,
    PhotoPixels,
    Report,
    ReportInput,
    Triage,
    TriageInput,
)
from models_runtime.inspector import (
    Comparer,
    Done,
    StepRecord,
    compare_photo,
    compare_with_earlier,
    extract_photos,
    plan_actions,
    segment_findings,
    triage_case,
    write_report,
)
from models_runtime.plans import PlanSpec
from models_runtime.runtime import Runtime

UNLIKE_SHARE = 0.6
"""Where more of the photo than this deviates, it is not the same view as the golden photos."""


@dataclass(frozen=True, slots=True)
class Job:
    """A photo to inspect. ``reference`` names the unit; ``warnings`` are those of intake;
    ``earlier``: photos of the same unit from before, of which the most alike view counts."""

    photo: PhotoPixels
    reference: str = ""
    note: str = ""
    warnings: tuple[str, ...] = ()
    earlier: tuple[EarlierPhoto, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspected:
    """Everything that came out of one photo. ``abstained`` has its ``reasons``. ``findings`` also
    tell what is fixed since the earlier photo; ``change`` is None where none could be compared."""

    extraction: Extraction
    comparison: Comparison | None
    defect_probability: float
    abstained: bool
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    triage: Triage
    report: Report | None
    actions: ActionGraph
    steps: tuple[StepRecord, ...]
    change: Change | None = None


def inspect_photos(
    runtime: Runtime,
    jobs: Sequence[Job],
    plan: PlanSpec,
    comparer: Comparer | None = None,
) -> list[Inspected]:
    """Inspect photos of units of one plan; the extractor sees them in one pass."""
    photos = [replace(job.photo, note=job.note) for job in jobs]
    extracted = extract_photos(runtime, photos, plan)
    return [
        _inspect(runtime, job, plan, done, comparer)
        for job, done in zip(jobs, extracted, strict=True)
    ]


def standing(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that are defects today: without those that are fixed."""
    return tuple(f for f in findings if f.history is not FindingHistory.FIXED)


def combined_probability(extraction: Extraction, comparison: Comparison | None) -> float:
    """One chance of a defect from both witnesses: the mean of their log odds.

    The extractor weighs as much as the photo is like what it was trained on, the golden photos
    weigh fully: they are of this very kind of unit.
    """
    if comparison is None:
        return extraction.defect_probability
    weight = 0.0 if extraction.abstained else extraction.in_domain
    odds = weight * logit(extraction.defect_probability) + logit(comparison.probability)
    return float(sigmoid(np.asarray(odds / (1 + weight))))


def _inspect(
    runtime: Runtime,
    job: Job,
    plan: PlanSpec,
    extracted: Done[Extraction],
    comparer: Comparer | None,
) -> Inspected:
    extraction = extracted.value
    compared = compare_photo(runtime, comparer, job.photo) if comparer else None
    comparison = compared.value if compared else None
    abstained, reasons = _abstention(extraction, comparison)
    probability = combined_probability(extraction, comparison)
    looked_back = compare_with_earlier(runtime, job.photo, job.earlier) if job.earlier else None
    change = looked_back.value if looked_back else None
    segmented = segment_findings(runtime, job.photo, extraction.defects, plan, comparison, change)
    case = TriageInput(
        plan=plan,
        attributes=extraction.attributes,
        findings=standing(segmented.value),
        defect_probability=probability,
        in_domain=extraction.in_domain if comparison is None or abstained else 1.0,
        extraction_abstained=abstained,
        note=job.note[:4000],
        photo_area_px=job.photo.width * job.photo.height,
    )
    triaged = triage_case(runtime, case)
    written = _report(runtime, job, case, triaged.value)
    acted = _actions(runtime, case, triaged.value)
    done = (extracted, compared, looked_back, segmented, triaged, written, acted)
    return Inspected(
        extraction=extraction,
        comparison=comparison,
        defect_probability=probability,
        abstained=abstained,
        reasons=reasons,
        findings=segmented.value,
        triage=triaged.value,
        report=written.value if written else None,
        actions=acted.value if acted else ActionGraph(actions=()),
        steps=tuple(step.record for step in done if step is not None),
        change=change,
    )


def _abstention(
    extraction: Extraction, comparison: Comparison | None
) -> tuple[bool, tuple[str, ...]]:
    """Golden photos answer where the extractor can't, unless they show something quite else."""
    if comparison is None:
        return extraction.abstained, extraction.reasons
    unlike = float((comparison.heat > 1).mean())
    if extraction.abstained and unlike > UNLIKE_SHARE:
        words = f"{unlike:.0%} of the photo differs from the golden photos: is it the same view?"
        return True, (*extraction.reasons, words)
    return False, ()


def _report(runtime: Runtime, job: Job, case: TriageInput, triage: Triage) -> Done[Report] | None:
    wanted = case.plan.policy.report
    if wanted == "never" or (wanted == "findings" and not case.findings):
        return None
    evidence = ReportInput(
        plan=case.plan,
        reference=job.reference,
        attributes=case.attributes,
        findings=case.findings,
        triage=triage,
        photo_warnings=job.warnings,
    )
    return write_report(runtime, evidence)


def _actions(runtime: Runtime, case: TriageInput, triage: Triage) -> Done[ActionGraph] | None:
    if not case.plan.playbook:
        return None
    wanted = ActionInput(plan=case.plan, triage=triage, findings=case.findings)
    return plan_actions(runtime, wanted)
