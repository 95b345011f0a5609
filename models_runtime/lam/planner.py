"""Planner from the plan's playbook: rules against the verdict, one ticket per finding and place.

Plain code rather than a model: which tickets follow from a verdict is the quality manager's rule.
"""

from __future__ import annotations

import hashlib
import json

from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    Architecture,
    EngineRef,
    Finding,
    PlannedAction,
)
from models_runtime.lam.grammar import validate_graph
from models_runtime.plans import SEVERITY_ORDER, PlanSpec, PlaybookRule, Severity
from models_runtime.registry import EngineSpec
from models_runtime.slm.policy import at_least, tolerated


class PlaybookPlanner:
    """The embedded ActionPlanner: deterministic, and the same input always gives the same ids."""

    ref = EngineRef(architecture=Architecture.LAM, engine="playbook", version="1")

    def plan(self, case: ActionInput) -> ActionGraph:
        """The tickets that the playbook asks for; InputError where they are not allowed."""
        nodes: dict[str, PlannedAction] = {}
        for number, rule in enumerate(case.plan.playbook, start=1):
            if case.triage.disposition.value not in rule.dispositions:
                continue
            for node in _tickets(case, rule, number):
                nodes[node.id] = _stricter(nodes[node.id], node) if node.id in nodes else node
        graph = ActionGraph(actions=tuple(nodes.values()))
        validate_graph(graph, case)
        return graph


def load(spec: EngineSpec) -> PlaybookPlanner:
    """Load ``embedded:``; it has no options."""
    return PlaybookPlanner()


def _tickets(case: ActionInput, rule: PlaybookRule, number: int) -> list[PlannedAction]:
    findings = [f for f in case.findings if _matches(case.plan, rule, f)]
    if findings:
        return [_for_finding(case, rule, number, finding) for finding in _worst_first(findings)]
    if not case.findings and not rule.defects and _unit_matches(case, rule):
        return [_for_unit(case, rule, number)]
    return []


def _matches(plan: PlanSpec, rule: PlaybookRule, finding: Finding) -> bool:
    """A rule takes a finding that is bad enough, of its defects, and not within tolerance."""
    return (
        at_least(finding.severity, rule.minimum_severity)
        and (not rule.defects or finding.type in rule.defects)
        and not tolerated(plan, finding)
    )


def _unit_matches(case: ActionInput, rule: PlaybookRule) -> bool:
    """Without findings a rule still applies where triage says how bad, or where any case counts."""
    if case.triage.severity is None:
        return rule.minimum_severity is Severity.MINOR
    return at_least(case.triage.severity, rule.minimum_severity)


def _for_finding(
    case: ActionInput, rule: PlaybookRule, number: int, finding: Finding
) -> PlannedAction:
    entry = case.plan.defect(finding.type)
    name = entry.name if entry else finding.type
    box = finding.box
    arguments: dict[str, str | int | float | bool] = {
        **_common(case, f"{name} ({finding.severity}): {case.plan.name}", finding.severity),
        "defect": finding.type,
        "defect_name": name,
        "confidence": finding.confidence,
        "area_px": finding.area_px,
        "x1": box.x1,
        "y1": box.y1,
        "x2": box.x2,
        "y2": box.y2,
    }
    if finding.area_mm2 is not None:
        arguments["area_mm2"] = finding.area_mm2
    return PlannedAction(
        id=action_id(rule.action, rule.destination, finding.id),
        action=rule.action,
        destination=rule.destination,
        finding_id=finding.id,
        requires_approval=rule.requires_approval,
        arguments=arguments,
        reason=(
            f"playbook rule {number}: {finding.severity} finding on a unit to "
            f"{case.triage.disposition}"
        ),
    )


def _for_unit(case: ActionInput, rule: PlaybookRule, number: int) -> PlannedAction:
    disposition = case.triage.disposition
    severity = case.triage.severity or Severity.MINOR
    return PlannedAction(
        id=action_id(rule.action, rule.destination, None),
        action=rule.action,
        destination=rule.destination,
        requires_approval=rule.requires_approval,
        arguments=_common(case, f"Unit to {disposition}: {case.plan.name}", severity),
        reason=f"playbook rule {number}: unit to {disposition} without a located finding",
    )


def _common(
    case: ActionInput, title: str, severity: Severity
) -> dict[str, str | int | float | bool]:
    return {
        "title": title,
        "severity": severity.value,
        "disposition": case.triage.disposition.value,
        "priority": case.triage.priority,
    }


def action_id(action: str, destination: str, finding_id: str | None) -> str:
    """Stable over re-runs: the same finding and destination always give the same id."""
    key = json.dumps([action, destination, finding_id])
    return f"{action}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _stricter(left: PlannedAction, right: PlannedAction) -> PlannedAction:
    """Two rules ask for the same ticket: one ticket, with approval where either wants it."""
    if right.requires_approval and not left.requires_approval:
        return left.model_copy(update={"requires_approval": True})
    return left


def _worst_first(findings: list[Finding]) -> list[Finding]:
    return sorted(
        findings,
        key=lambda f: (-SEVERITY_ORDER.index(f.severity), -f.confidence, f.id),
    )
