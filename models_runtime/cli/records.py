"""From what the steps returned to the record that is printed, and to what the overlay shows."""

from __future__ import annotations

import hashlib

from models_runtime.cli.taking import Taken, identity
from models_runtime.contracts import Finding, FindingHistory
from models_runtime.overlay import Mark
from models_runtime.plans import PlanSpec
from models_runtime.schema import (
    FindingRecord,
    GoldenRecord,
    InspectionRecord,
    PlanReference,
)
from models_runtime.whole import Inspected


def inspection_record(taken: Taken, inspected: Inspected) -> InspectionRecord:
    """Collect one photo's record."""
    extraction, triage, plan = inspected.extraction, inspected.triage, taken.plan
    steps = (*taken.records, *inspected.steps)
    return InspectionRecord(
        photo=identity(taken.path, taken.decoded),
        quality=taken.quality,
        codes=taken.codes,
        plan=plan_reference(plan),
        attributes=extraction.attributes,
        defect_probability=inspected.defect_probability,
        in_domain=extraction.in_domain,
        extraction_confidence=extraction.confidence,
        abstained=inspected.abstained,
        abstained_reasons=inspected.reasons,
        golden=_golden(inspected),
        findings=tuple(_named(finding, plan) for finding in inspected.findings),
        disposition=triage.disposition,
        disposition_confidence=triage.confidence,
        disposition_probabilities=triage.probabilities,
        severity=triage.severity,
        priority=triage.priority,
        queue=triage.queue,
        needs_review=triage.needs_review,
        reasons=triage.reasons,
        report=inspected.report,
        actions=inspected.actions.actions,
        steps=steps,
        total_ms=round(sum(step.run_ms for step in steps), 3),
    )


def plan_reference(plan: PlanSpec) -> PlanReference:
    """Name the plan so that a record can be traced to exactly it."""
    digest = hashlib.sha256(plan.model_dump_json().encode()).hexdigest()
    return PlanReference(name=plan.name, sha256=digest)


def overlay_marks(record: InspectionRecord) -> list[Mark]:
    """Findings as marks, worded for the legend."""
    return [
        Mark(
            kind=finding.name,
            label=_label(finding),
            box=finding.box,
            mask=finding.mask,
        )
        for finding in record.findings
    ]


def _label(finding: FindingRecord) -> str:
    words = f"{finding.name}, {finding.severity}, {finding.confidence:.0%} sure"
    told = finding.history.replace("_", "-") if finding.history else ""
    return f"{words}, {told}" if told else words


def overlay_title(record: InspectionRecord) -> str:
    """The verdict in a line."""
    sure = f"{record.disposition_confidence:.0%} sure"
    ending = "; not sure, a person decides" if record.abstained or record.needs_review else ""
    fixed = sum(f.history is FindingHistory.FIXED for f in record.findings)
    number = len(record.findings) - fixed
    found = f"{number} findings" if number else "no findings"
    repaired = f", {fixed} fixed" if fixed else ""
    return f"{record.photo.name}: {record.disposition}, {sure}, {found}{repaired}{ending}"


def _golden(inspected: Inspected) -> GoldenRecord | None:
    comparison = inspected.comparison
    if comparison is None:
        return None
    share = float((comparison.heat > 1).mean())
    return GoldenRecord(probability=comparison.probability, deviating_share=share)


def _named(finding: Finding, plan: PlanSpec) -> FindingRecord:
    entry = plan.defect(finding.type)
    return FindingRecord(**finding.model_dump(), name=entry.name if entry else finding.type)
