import pytest

from models_runtime.contracts import (
    ActionGraph,
    ActionInput,
    Box,
    Disposition,
    Finding,
    PlannedAction,
    Triage,
)
from models_runtime.errors import InputError
from models_runtime.lam.grammar import validate_graph
from models_runtime.plans import PlanSpec, Severity

PLAN = PlanSpec.model_validate(
    {
        "name": "Cells",
        "defects": [{"key": "crack", "name": "Crack"}],
        "playbook": [
            {"destination": "workshop"},
            {"destination": "safety", "requires_approval": True},
        ],
    }
)
ARGUMENTS = {"title": "Crack", "severity": "major", "disposition": "rework", "priority": 2}


def node(key="a", **changes):
    fields = {"action": "ticket", "destination": "workshop", "arguments": ARGUMENTS, **changes}
    return PlannedAction(id=key, **fields)


@pytest.fixture
def case():
    triage = Triage(
        disposition=Disposition.REWORK,
        severity=Severity.MAJOR,
        priority=2,
        queue="rework",
        confidence=0.9,
        needs_review=False,
        reasons=(),
        probabilities={},
    )
    crack = Finding(
        id="f1",
        type="crack",
        box=Box(x1=0, y1=0, x2=1, y2=1),
        mask=None,
        area_px=1,
        severity=Severity.MAJOR,
        confidence=0.9,
    )
    return ActionInput(plan=PLAN, triage=triage, findings=(crack,))


def test_a_chain_in_order_is_allowed(case):
    graph = ActionGraph(
        actions=(node("a", finding_id="f1"), node("b", depends_on=("a",)), node("c"))
    )
    validate_graph(graph, case)


FAULTY = {
    "unknown action": ([node(action="delete_everything")], "unknown action"),
    "unknown destination": ([node(destination="elsewhere")], "no destination 'elsewhere'"),
    "cycle": ([node("a", depends_on=("b",)), node("b", depends_on=("a",))], "cycle"),
    "depends on itself": ([node("a", depends_on=("a",))], "cycle"),
    "wrong order": ([node("a", depends_on=("b",)), node("b")], "must come after"),
    "missing dependency": ([node("a", depends_on=("gone",))], "not in the plan"),
    "doubled id": ([node("a"), node("a")], "used twice"),
    "foreign finding": ([node(finding_id="f9")], "no finding"),
    "approval left out": ([node(destination="safety")], "requires approval"),
    "missing argument": ([node(arguments={"title": "x"})], "lacks the argument 'severity'"),
    "unknown argument": ([node(arguments={**ARGUMENTS, "shell": "rm"})], "takes no argument"),
    "wrong type": ([node(arguments={**ARGUMENTS, "priority": "high"})], "must be int"),
    "truth for a number": ([node(arguments={**ARGUMENTS, "priority": True})], "must be int"),
}


@pytest.mark.parametrize(("nodes", "told"), FAULTY.values(), ids=FAULTY)
def test_a_plan_outside_the_grammar_is_refused_with_its_fault(case, nodes, told):
    with pytest.raises(InputError, match=told):
        validate_graph(ActionGraph(actions=tuple(nodes)), case)


def test_all_faults_are_told_at_once(case):
    with pytest.raises(InputError, match=r"elsewhere.*unknown action"):
        validate_graph(
            ActionGraph(actions=(node(destination="elsewhere"), node("b", action="x"))), case
        )
