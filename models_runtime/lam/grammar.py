"""What an action graph may look like. Checked whoever planned it: our planner or a model.

A graph is valid when every action is known, every destination stands in the plan's playbook, every
argument is of the action, every finding exists, ids are unique, and each node comes after all that
it depends on (so there is no cycle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models_runtime.contracts import ActionGraph, ActionInput, PlannedAction
from models_runtime.errors import InputError


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One word of the grammar: an action and the arguments that it takes, with their types."""

    name: str
    required: dict[str, type]
    optional: dict[str, type]


ACTIONS: dict[str, ActionKind] = {
    "ticket": ActionKind(
        "ticket",
        required={"title": str, "severity": str, "disposition": str, "priority": int},
        optional={
            "defect": str,
            "defect_name": str,
            "confidence": float,
            "area_px": int,
            "area_mm2": float,
            "x1": float,
            "y1": float,
            "x2": float,
            "y2": float,
        },
    )
}


def validate_graph(graph: ActionGraph, case: ActionInput) -> None:
    """InputError that names every fault, None where the graph is allowed."""
    faults = [*_ids(graph), *_order(graph)]
    for node in graph.actions:
        faults += _node(node, case)
    if faults:
        raise InputError("the action plan is not allowed: " + "; ".join(faults))


def _ids(graph: ActionGraph) -> list[str]:
    ids = [node.id for node in graph.actions]
    return [f"the id {key!r} is used twice" for key in sorted({i for i in ids if ids.count(i) > 1})]


def _order(graph: ActionGraph) -> list[str]:
    """Missing dependencies, and nodes that do not come after what they need."""
    known = {node.id for node in graph.actions}
    faults: list[str] = []
    done: set[str] = set()
    for node in graph.actions:
        for needed in node.depends_on:
            if needed not in known:
                faults.append(f"{node.id!r} depends on {needed!r}, which is not in the plan")
            elif needed not in done:
                faults.append(f"{node.id!r} must come after {needed!r} (or there is a cycle)")
        done.add(node.id)
    return faults


def _node(node: PlannedAction, case: ActionInput) -> list[str]:
    kind = ACTIONS.get(node.action)
    if kind is None:
        return [f"unknown action {node.action!r}; there are: {', '.join(ACTIONS)}"]
    faults = []
    rules = [r for r in case.plan.playbook if r.destination == node.destination]
    if not rules:
        faults.append(f"the playbook has no destination {node.destination!r}")
    elif all(rule.requires_approval for rule in rules) and not node.requires_approval:
        faults.append(f"{node.destination!r} requires approval, {node.id!r} leaves it out")
    if node.finding_id is not None and node.finding_id not in {f.id for f in case.findings}:
        faults.append(f"{node.id!r} is about {node.finding_id!r}, which is no finding")
    return faults + list(_arguments(node, kind))


def _arguments(node: PlannedAction, kind: ActionKind) -> Iterable[str]:
    allowed = kind.required | kind.optional
    for name in kind.required.keys() - node.arguments.keys():
        yield f"{node.id!r} lacks the argument {name!r}"
    for name, value in node.arguments.items():
        wanted = allowed.get(name)
        if wanted is None:
            yield f"{kind.name} takes no argument {name!r}"
        elif not _fits(value, wanted):
            yield f"the argument {name!r} of {node.id!r} must be {wanted.__name__}"


def _fits(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
