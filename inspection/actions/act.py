"""From a verdict to what follows: the planner's graph, kept as rows, and done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from inspection.actions.executor import OPEN, UPSTREAM, execute
from inspection.actions.outbox import ACT_AFTER_DECISION, wake_task
from inspection.models import ActionPlan, ActionStep, Finding, Inspection, Run
from inspection.models.choices import ActionStatus, InspectionStatus, RunStatus
from inspection.selectors.findings import current_findings, is_standing
from inspection.selectors.rounds import never_acts
from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    ActionPlanner,
    Box,
    Disposition,
    FindingSource,
    PlannedAction,
    Triage,
)
from models_runtime.contracts import Finding as FindingValue
from models_runtime.errors import FatalError, InputError, TransientError
from models_runtime.lam.grammar import validate_graph
from models_runtime.plans import Severity

NOT_CALLED_FOR = "The verdict as it stands no longer calls for this."
REPLACED = "A later run took its place."
CHANGED = "The verdict changed while actions were planned."
LONGEST_KEY = 120
GRACE = timedelta(seconds=15)
LOOK_BACK = timedelta(days=7)


def act_on(inspection_id: UUID, planner: ActionPlanner | None = None) -> list[ActionStep]:
    """Plan and do what follows from the verdict in force; the same again does nothing more.

    Nothing is done while a person is still to decide, or without a verdict. A planner that can't
    plan leaves a failed step with the reason; TransientError is raised for a later try.
    """
    read_at = timezone.now()
    inspection = _loaded(inspection_id)
    if not calls_for_action(inspection):
        return []
    try:
        case = case_of(inspection)
        graph = (planner or default_planner()).plan(case)
        validate_graph(graph, case)
        return follow(inspection, graph, read_at)
    except (FatalError, InputError) as error:
        return _note_failure(inspection, read_at, str(error))


def act_after_decision(inspection_id: UUID) -> None:
    """Do what a person's decision calls for, but not in the middle of a run: findings of the run
    before count no more and its own are not there yet. It acts at its end, or ``act_due`` does."""
    if not Run.objects.filter(inspection=inspection_id, status=RunStatus.RUNNING).exists():
        act_on(inspection_id)


def act_due(limit: int = 50) -> int:
    """Wake workers for decisions of people that nobody acted on (the broker was down, a worker
    died); returns how many. Called by the sweeper. A run under way acts at its own end."""
    now = timezone.now()
    acted_on = ActionPlan.objects.filter(
        run=OuterRef("current_run"), planned_at__gte=OuterRef("decided_at")
    )
    late = Inspection.objects.filter(
        ~Exists(acted_on),
        status=InspectionStatus.DECIDED,
        decided_at__range=(now - LOOK_BACK, now - GRACE),
        current_run__status__in=[RunStatus.DONE, RunStatus.FAILED],
        plan_version__isnull=False,
    ).order_by("decided_at")
    found = list(late.values_list("pk", flat=True)[:limit])
    return sum(wake_task(ACT_AFTER_DECISION, inspection_id) for inspection_id in found)


@cache
def default_planner() -> ActionPlanner:
    """The planner of the setting LOUPE_LAM, loaded on first use, in a worker."""
    from models_runtime.runtime import Runtime

    return Runtime.from_settings({"lam": settings.ENGINES["lam"]}).planners()[0].load()


def calls_for_action(inspection: Inspection) -> bool:
    """Tell whether there is a verdict that a person need not look at first."""
    undecided = (InspectionStatus.REVIEW, InspectionStatus.FAILED, InspectionStatus.RECEIVED)
    judged = bool(inspection.disposition) and inspection.status not in undecided
    if inspection.plan_version is None or inspection.current_run is None or not judged:
        return False
    return not never_acts(inspection.pk)


def _loaded(inspection_id: UUID) -> Inspection:
    rows = Inspection.objects.select_related("site", "plan_version", "current_run")
    inspection: Inspection = rows.get(pk=inspection_id)
    return inspection


def findings_in_force(inspection: Inspection) -> list[Finding]:
    """What may become a ticket: the findings in force without rejected and fixed ones."""
    return [finding for finding in current_findings(inspection) if is_standing(finding)]


def case_of(inspection: Inspection) -> ActionInput:
    """What the planner may look at, as values. The inspection needs a plan version."""
    version = inspection.plan_version
    if version is None:
        raise ValueError("without a plan there is no playbook to act by")
    return ActionInput(
        plan=version.parsed(),
        triage=_triage(inspection),
        findings=tuple(_value(finding) for finding in findings_in_force(inspection)),
    )


def _triage(inspection: Inspection) -> Triage:
    by_person = inspection.decided_by_id is not None
    return Triage(
        disposition=Disposition(inspection.disposition),
        severity=Severity(inspection.severity) if inspection.severity else None,
        priority=min(4, max(1, inspection.priority)),
        queue=inspection.queue,
        confidence=1.0 if by_person else inspection.confidence or 0.0,
        needs_review=False,
        reasons=tuple(str(reason) for reason in inspection.reasons),
        probabilities={},
    )


def _value(finding: Finding) -> FindingValue:
    """A finding without its mask, which no planner needs."""
    return FindingValue(
        id=str(finding.pk),
        type=finding.type,
        box=Box(x1=finding.x1, y1=finding.y1, x2=finding.x2, y2=finding.y2),
        mask=None,
        area_px=finding.area_px,
        area_mm2=finding.area_mm2,
        severity=Severity(finding.severity),
        confidence=finding.confidence,
        mask_confidence=finding.mask_confidence,
        source=FindingSource(finding.source),
    )


def follow(inspection: Inspection, graph: ActionGraph, read_at: datetime) -> list[ActionStep]:
    """Keep a graph as rows and do what is ready. Idempotent; callers at once take turns.

    ``read_at``: a moment before the verdict was read, from which the graph was made. Raises
    TransientError where the verdict has changed since.
    """
    with transaction.atomic():
        rows = Inspection.objects.select_for_update(no_key=True).defer("embedding", "search")
        if _verdict(rows.get(pk=inspection.pk)) != _verdict(inspection):
            raise TransientError(CHANGED)
        plan, _ = ActionPlan.objects.get_or_create(
            run=inspection.current_run,
            defaults={"site": inspection.site, "inspection": inspection},
        )
        _keep(plan, graph.actions, {str(f.pk): f for f in findings_in_force(inspection)})
        _retire_earlier(plan)
        ActionPlan.objects.filter(pk=plan.pk).update(planned_at=read_at)
    execute(plan.pk)
    return list(plan.steps.all())


def _verdict(inspection: Inspection) -> tuple[object, ...]:
    return (
        inspection.current_run_id,
        inspection.status,
        inspection.disposition,
        inspection.decided_at,
    )


def _note_failure(inspection: Inspection, read_at: datetime, why: str) -> list[ActionStep]:
    """Show that nothing could be planned; a later plan takes this step back."""
    with transaction.atomic():
        plan, _ = ActionPlan.objects.get_or_create(
            run=inspection.current_run,
            defaults={"site": inspection.site, "inspection": inspection},
        )
        ActionStep.objects.update_or_create(
            action_plan=plan,
            key="plan",
            defaults={
                "site": inspection.site,
                "action": "plan",
                "destination": "",
                "status": ActionStatus.FAILED,
                "message": f"What to do could not be planned: {why}",
                "finished_at": timezone.now(),
            },
        )
        ActionPlan.objects.filter(pk=plan.pk).update(planned_at=read_at)
    return list(plan.steps.all())


def _keep(plan: ActionPlan, nodes: Iterable[PlannedAction], findings: dict[str, Finding]) -> None:
    """Insert new steps, take back those no longer planned, and give failed ones another chance."""
    rows = [_row(plan, node, findings) for node in nodes]
    ActionStep.objects.bulk_create(rows, ignore_conflicts=True)
    keys = [row.key for row in rows]
    steps = ActionStep.objects.filter(action_plan=plan)
    _cancel(steps.exclude(key__in=keys), NOT_CALLED_FOR)
    again = steps.filter(key__in=keys).filter(
        Q(status=ActionStatus.FAILED)
        | Q(status=ActionStatus.CANCELLED, message__in=[NOT_CALLED_FOR, UPSTREAM])
    )
    unapproved = Q(requires_approval=True, approved_by__isnull=True)
    again.filter(unapproved).update(status=ActionStatus.APPROVAL, message="", finished_at=None)
    again.exclude(unapproved).update(status=ActionStatus.READY, message="", finished_at=None)


def _row(plan: ActionPlan, node: PlannedAction, findings: dict[str, Finding]) -> ActionStep:
    if len(node.id) > LONGEST_KEY:
        raise InputError(f"an action's id is longer than {LONGEST_KEY} characters")
    if node.finding_id is not None and node.finding_id not in findings:
        raise TransientError(CHANGED)
    return ActionStep(
        site=plan.site,
        action_plan=plan,
        key=node.id,
        action=node.action,
        destination=node.destination,
        finding=findings[node.finding_id] if node.finding_id else None,
        depends_on=list(node.depends_on),
        arguments=node.arguments,
        reason=node.reason,
        status=ActionStatus.APPROVAL if node.requires_approval else ActionStatus.READY,
        requires_approval=node.requires_approval,
    )


def _retire_earlier(plan: ActionPlan) -> None:
    """What still waits from earlier runs of the unit is not done any more."""
    plans = ActionPlan.objects.filter(inspection=plan.inspection_id).exclude(pk=plan.pk)
    # No join: a row that changes while it is waited for must be looked at again.
    _cancel(ActionStep.objects.filter(action_plan__in=plans.values("pk")), REPLACED)


def _cancel(steps: QuerySet[ActionStep], message: str) -> None:
    steps.filter(status__in=[*OPEN, ActionStatus.FAILED]).update(
        status=ActionStatus.CANCELLED, message=message, finished_at=timezone.now()
    )
