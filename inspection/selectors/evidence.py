"""Everything the page of one inspection shows, gathered in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from inspection.models import (
    ActionPlan,
    ActionStep,
    AttributeValue,
    Finding,
    Inspection,
    Photo,
    Report,
    Review,
    Run,
    StepRun,
    Ticket,
    User,
)
from inspection.models.choices import InspectionStatus, RunStatus, StepName, StepStatus
from inspection.pipeline.settle import value_of
from inspection.selectors.escalations import TimelineRow, timeline
from inspection.selectors.findings import current_findings, is_standing
from inspection.selectors.rounds import visible_reviews
from models_runtime.plans import DefectType, PlanSpec
from models_runtime.slm.policy import evaluate

FINISHED = (StepStatus.DONE, StepStatus.SKIPPED, StepStatus.FAILED)
ACTING = timedelta(minutes=2)
"""How long a page looks out for what follows from a decision; the sweeper sees to it later too."""


@dataclass(frozen=True)
class FindingRow:
    """A finding with what the catalogue says of its class."""

    finding: Finding
    number: int
    name: str
    definition: str
    options: list[DefectType]

    @property
    def changed(self) -> bool:
        """Whether a person gave it another class or severity than the model."""
        finding = self.finding
        return bool(finding.model_type) and (finding.model_type, finding.model_severity) != (
            finding.type,
            finding.severity,
        )


@dataclass(frozen=True)
class AttributeRow:
    """An answer with the words of its characteristic."""

    title: str
    answer: str
    value: AttributeValue
    alternatives: list[tuple[str, float]]


@dataclass(frozen=True)
class ClaimRow:
    """A sentence of the report; ``links`` are (words, address inside the page) of its evidence."""

    text: str
    replaced: bool
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class EarlierRow:
    """The earlier inspection that the run compared with. ``is_same_view``: some photo of it could
    be laid onto one of this unit; else nothing is known of what is new."""

    inspection: Inspection
    is_same_view: bool


@dataclass
class Evidence:
    """One inspection with all that hangs on it."""

    inspection: Inspection
    photos: list[Photo]
    findings: list[FindingRow]
    attributes: list[AttributeRow]
    run: Run | None
    steps: list[StepRun]
    report: Report | None
    claims: list[ClaimRow]
    reviews: list[Review]
    tickets: list[Ticket]
    actions: list[ActionStep]
    is_acted_on: bool = True
    suggested: str = ""
    duplicates: list[Photo] = field(default_factory=list)
    timeline: list[TimelineRow] = field(default_factory=list)
    earlier: EarlierRow | None = None

    @property
    def is_live(self) -> bool:
        """Whether something is still going to change by itself."""
        unfinished = (InspectionStatus.RECEIVED, InspectionStatus.RUNNING)
        running = self.run is not None and self.run.status == RunStatus.RUNNING
        return running or self.inspection.status in unfinished

    @property
    def is_waiting_outside(self) -> bool:
        """Whether a ticket is on its way, or workers are still to act on a fresh decision."""
        on_its_way = any(ticket.status == "pending" for ticket in self.tickets)
        return on_its_way or (not self.is_acted_on and _is_fresh(self.inspection.decided_at))

    @property
    def steps_done(self) -> int:
        return sum(step.status in FINISHED for step in self.steps)

    @property
    def step_now(self) -> StepRun | None:
        return next((step for step in self.steps if step.status not in FINISHED), None)

    @property
    def total_ms(self) -> float:
        return sum(step.run_ms or 0 for step in self.steps)

    @property
    def total_cost(self) -> int:
        return sum(step.cost_microusd for step in self.steps)


def gather(inspection: Inspection, viewer: User) -> Evidence:
    """Read all rows that belong to an inspection and that the viewer may see, in the same number of
    queries for any of them."""
    spec = inspection.plan_version.parsed() if inspection.plan_version else None
    rows = [finding_row(n, f, spec) for n, f in enumerate(current_findings(inspection), start=1)]
    run = inspection.current_run
    report = Report.objects.filter(run=run).first() if run else None
    photos = list(inspection.photos.select_related("duplicate_of__inspection").defer("embedding"))
    steps = list(run.steps.all()) if run else []
    return Evidence(
        inspection=inspection,
        photos=photos,
        findings=rows,
        attributes=attribute_rows(run, spec),
        run=run,
        steps=steps,
        earlier=_earlier(inspection, steps),
        timeline=timeline(steps, spec),
        report=report,
        claims=claim_rows(report, rows),
        reviews=_reviews(inspection, viewer),
        tickets=list(inspection.tickets.select_related("connector", "finding")),
        actions=_actions(inspection),
        is_acted_on=_is_acted_on(inspection),
        suggested=_by_policy(inspection, rows, spec),
        duplicates=[photo for photo in photos if photo.duplicate_of],
    )


def _reviews(inspection: Inspection, viewer: User) -> list[Review]:
    rows = visible_reviews(inspection, viewer)
    return list(rows.select_related("reviewer", "finding").order_by("-pk"))


def _earlier(inspection: Inspection, steps: list[StepRun]) -> EarlierRow | None:
    outputs = [step.output for step in steps if step.step == StepName.SEGMENT]
    said = outputs[0].get("earlier") if outputs else None
    if not said:
        return None
    rows = Inspection.objects.for_site(inspection.site).defer("embedding", "search")
    found = rows.filter(pk=said["inspection"]).first()
    return EarlierRow(found, bool(said["photos"])) if found else None


def _actions(inspection: Inspection) -> list[ActionStep]:
    rows = ActionStep.objects.filter(action_plan__run=inspection.current_run)
    return list(rows.select_related("finding", "approved_by"))


def _is_acted_on(inspection: Inspection) -> bool:
    """Whether a person's decision, if there is one, has been read by the planner of actions."""
    if inspection.decided_at is None:
        return True
    plans = ActionPlan.objects.filter(run=inspection.current_run)
    return bool(plans.filter(planned_at__gte=inspection.decided_at).exists())


def _is_fresh(decided_at: datetime | None) -> bool:
    return decided_at is not None and timezone.now() - decided_at < ACTING


def finding_row(number: int, finding: Finding, spec: PlanSpec | None) -> FindingRow:
    defect = spec.defect(finding.type) if spec else None
    return FindingRow(
        finding=finding,
        number=number,
        name=defect.name if defect else finding.type.replace("_", " ").replace("-", " "),
        definition=defect.definition if defect else "",
        options=list(spec.defects) if spec else [],
    )


def attribute_rows(run: Run | None, spec: PlanSpec | None) -> list[AttributeRow]:
    if run is None:
        return []
    values = {value.key: value for value in AttributeValue.objects.filter(run=run)}
    order = [c.key for c in spec.characteristics] if spec else []
    titles = {c.key: c.title or c.key for c in spec.characteristics} if spec else {}
    units = {c.key: c.unit for c in spec.characteristics} if spec else {}
    scales = {c.key for c in spec.characteristics if c.kind == "scale"} if spec else set()
    keys = [*(k for k in order if k in values), *(k for k in values if k not in order)]
    return [
        AttributeRow(
            title=titles.get(key, key),
            answer=_answer(values[key].value, units.get(key, ""), key in scales),
            value=values[key],
            alternatives=_likeliest(values[key].alternatives),
        )
        for key in keys
    ]


def _answer(value: Any, unit: str, is_scale: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_scale:
        return f"{value} of 10"
    return f"{value} {unit}".strip()


def _likeliest(alternatives: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(alternatives.items(), key=lambda pair: -pair[1])[:3]


def claim_rows(report: Report | None, rows: list[FindingRow]) -> list[ClaimRow]:
    if report is None:
        return []
    by_id = {key: row for row in rows for key in (row.finding.key, str(row.finding.pk))}
    return [
        ClaimRow(
            text=claim["text"],
            replaced=claim.get("replaced", False),
            links=[_evidence_link(reference, by_id) for reference in claim.get("evidence", [])],
        )
        for claim in report.claims
    ]


def _evidence_link(reference: str, by_id: dict[str, FindingRow]) -> tuple[str, str]:
    kind, _, key = reference.partition(":")
    if kind == "finding" and key in by_id:
        row = by_id[key]
        return (f"finding {row.number}", f"#finding-{row.finding.pk}")
    if kind == "attribute":
        return (key.replace("_", " "), f"#attribute-{key}")
    if kind == "triage":
        return ("disposition", "#decision")
    return (kind, "#photo")


def _by_policy(inspection: Inspection, rows: list[FindingRow], spec: PlanSpec | None) -> str:
    """The disposition that the plan's policy gives to the findings in force, "" where findings say
    nothing: there never was one, or the unit could not be judged, so that none is no good sign."""
    unjudged = inspection.abstained or inspection.status == InspectionStatus.FAILED
    if spec is None or unjudged or not rows:
        return ""
    kept = [row.finding for row in rows if is_standing(row.finding)]
    return evaluate(spec, map(value_of, kept)).disposition.value


def overlay(evidence: Evidence) -> dict[str, Any]:
    """What the viewer draws: photos with addresses, findings with boxes and masks."""
    return {
        "photos": [
            {
                "id": str(photo.pk),
                "url": reverse("photo-file", args=[photo.pk, "view"]),
                "width": photo.width,
                "height": photo.height,
                "name": photo.name,
            }
            for photo in evidence.photos
            if photo.view_key
        ],
        "findings": [_shape(row) for row in evidence.findings],
    }


def _shape(row: FindingRow) -> dict[str, Any]:
    finding = row.finding
    mask = None
    if finding.mask_counts:
        size = [finding.mask_height, finding.mask_width]
        mask = {"size": size, "counts": finding.mask_counts}
    return {
        "id": str(finding.pk),
        "photo": str(finding.photo_id),
        "number": row.number,
        "name": row.name,
        "severity": finding.severity,
        "counts": is_standing(finding),
        "box": [finding.x1, finding.y1, finding.x2, finding.y2],
        "mask": mask,
    }
