from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.contracts import ActionInput, Box, Disposition, Finding, Triage
from models_runtime.lam.grammar import validate_graph
from models_runtime.lam.planner import PlaybookPlanner, load
from models_runtime.plans import SEVERITY_ORDER, PlanSpec, Severity
from models_runtime.registry import EngineSpec

DEFECTS = ("crack", "stain", "hole")


def plan(*rules, **defect):
    return PlanSpec.model_validate(
        {
            "name": "Cells",
            "mm_per_px": 1.0,
            "defects": [{"key": key, "name": key.title(), **defect} for key in DEFECTS],
            "playbook": list(rules),
        }
    )


def finding(key, kind="crack", severity=Severity.MAJOR, mm2=None):
    return Finding(
        id=key,
        type=kind,
        box=Box(x1=1, y1=2, x2=3, y2=4),
        mask=None,
        area_px=4,
        area_mm2=mm2,
        severity=severity,
        confidence=0.8,
    )


def case(spec, findings=(), disposition=Disposition.REWORK, severity=Severity.MAJOR):
    triage = Triage(
        disposition=disposition,
        severity=severity,
        priority=2,
        queue="rework",
        confidence=0.9,
        needs_review=False,
        reasons=(),
        probabilities={disposition: 0.9},
    )
    return ActionInput(plan=spec, triage=triage, findings=tuple(findings))


def planned(*arguments, **options):
    return load(EngineSpec.parse("embedded:")).plan(case(*arguments, **options)).actions


RULE = {"destination": "workshop"}


def test_each_finding_that_matters_gets_one_ticket():
    nodes = planned(plan(RULE), [finding("a"), finding("b"), finding("c", severity="minor")])
    assert [node.finding_id for node in nodes] == ["a", "b"]
    assert {node.destination for node in nodes} == {"workshop"}
    assert nodes[0].arguments["title"] == "Crack (major): Cells"
    assert nodes[0].arguments["x2"] == 3


def test_an_accepted_unit_gets_no_ticket_unless_the_rule_says_so():
    assert planned(plan(RULE), [finding("a")], disposition=Disposition.ACCEPT) == ()
    rule = {**RULE, "dispositions": ["accept"]}
    assert len(planned(plan(rule), [finding("a")], disposition=Disposition.ACCEPT)) == 1


def test_a_rule_for_some_defects_leaves_the_others_alone():
    nodes = planned(plan({**RULE, "defects": ["hole"]}), [finding("a"), finding("b", "hole")])
    assert [node.finding_id for node in nodes] == ["b"]


def test_two_rules_for_one_place_give_one_ticket_with_the_stricter_approval():
    nodes = planned(plan(RULE, {**RULE, "requires_approval": True}), [finding("a")])
    assert len(nodes) == 1
    assert nodes[0].requires_approval


def test_two_places_give_two_tickets():
    nodes = planned(plan(RULE, {"destination": "quality"}), [finding("a")])
    assert {node.destination for node in nodes} == {"workshop", "quality"}
    assert len({node.id for node in nodes}) == 2


def test_a_finding_within_tolerance_gets_no_ticket():
    spec = plan(RULE, max_area_mm2=5.0)
    assert [n.finding_id for n in planned(spec, [finding("a", mm2=4), finding("b", mm2=6)])] == [
        "b"
    ]


def test_a_held_unit_without_findings_gets_one_ticket_where_the_rule_covers_it():
    rule = {**RULE, "dispositions": ["hold"], "minimum_severity": "minor"}
    nodes = planned(plan(rule), disposition=Disposition.HOLD, severity=None)
    assert [node.finding_id for node in nodes] == [None]
    assert planned(plan(RULE), disposition=Disposition.REWORK, severity=None) == ()


def test_a_second_run_gives_the_same_ids():
    spec = plan(RULE)
    first = planned(spec, [finding("a"), finding("b")])
    again = planned(spec, [finding("b"), finding("a"), finding("c")])
    assert {n.id for n in first} <= {n.id for n in again}
    assert {n.finding_id: n.id for n in first}["a"] == {n.finding_id: n.id for n in again}["a"]


rules = st.builds(
    dict,
    destination=st.sampled_from(["workshop", "quality", "vendor"]),
    dispositions=st.lists(st.sampled_from(["accept", "rework", "reject", "hold"]), max_size=3),
    minimum_severity=st.sampled_from(["minor", "major", "critical"]),
    defects=st.lists(st.sampled_from(DEFECTS), max_size=2),
    requires_approval=st.booleans(),
)
kinds = st.tuples(
    st.sampled_from([*DEFECTS, "unknown"]),
    st.sampled_from(SEVERITY_ORDER),
    st.one_of(st.none(), st.floats(0.1, 20)),
)


@settings(deadline=None)
@given(
    st.lists(rules, max_size=5),
    st.lists(kinds, max_size=6),
    st.sampled_from(Disposition),
    st.one_of(st.none(), st.sampled_from(SEVERITY_ORDER)),
)
def test_every_plan_is_allowed_repeatable_and_has_one_ticket_per_finding_and_place(
    some, found, disposition, severity
):
    findings = [finding(f"f{n}", k, s, mm2) for n, (k, s, mm2) in enumerate(found)]
    job = case(plan(*some), findings, disposition, severity)
    graph = PlaybookPlanner().plan(job)
    validate_graph(graph, job)
    assert graph == PlaybookPlanner().plan(job)
    pairs = [(node.finding_id, node.destination) for node in graph.actions]
    assert len(pairs) == len(set(pairs))
