"""Report: the findings in sentences, each leaning on evidence; only where a report is wanted."""

from __future__ import annotations

from inspection.models import Report, Run
from inspection.models.choices import StepName
from inspection.pipeline.extract import NO_PLAN, plan_of
from inspection.pipeline.photos import usable_photos
from inspection.pipeline.runtime import runtime
from inspection.pipeline.settle import in_force
from inspection.pipeline.step import Step, Trace, traced
from inspection.pipeline.triage import attributes_of, saved_triage
from models_runtime.contracts import Report as ReportValue
from models_runtime.contracts import ReportInput


def skip(run: Run) -> str:
    unit = run.inspection
    if not unit.plan_version_id:
        return NO_PLAN
    wanted = plan_of(run).policy.report
    if unit.wants_report or wanted == "always" or (wanted == "findings" and in_force(run)):
        return ""
    if wanted == "findings":
        return "The plan asks for a report only where something was found."
    return "Neither the plan nor the sender asks for a report."


def load(run: Run) -> ReportInput:
    warnings = [warning for photo in usable_photos(run) for warning in photo.warnings]
    return ReportInput(
        plan=plan_of(run),
        reference=run.inspection.reference,
        attributes=attributes_of(run),
        findings=in_force(run),
        triage=saved_triage(run),
        photo_warnings=tuple(dict.fromkeys(warnings)),
    )


def compute(evidence: ReportInput) -> tuple[ReportValue, Trace]:
    from models_runtime.inspector import write_report

    done = write_report(runtime(), evidence)
    return done.value, traced([done.record], {"claims": len(done.value.claims)})


def save(run: Run, report: ReportValue) -> None:
    row = Report(
        site_id=run.site_id,
        inspection=run.inspection,
        run=run,
        title=report.title[:300],
        writer=report.writer[:200],
        claims=[claim.model_dump(mode="json") for claim in report.claims],
        rejected_claims=list(report.rejected_claims),
    )
    Report.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["run"],
        update_fields=["title", "writer", "claims", "rejected_claims"],
    )


REPORT = Step(StepName.REPORT, "language", load, compute, save, skip)
