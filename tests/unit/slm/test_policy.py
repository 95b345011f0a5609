import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_runtime.contracts import Box, Disposition, Finding
from models_runtime.plans import SEVERITY_ORDER, PlanSpec, Policy, Severity
from models_runtime.slm.policy import LADDER, evaluate, for_severity, raised, tolerated, worst

DISPOSITIONS = ("accept", "rework", "reject", "hold")


def plan(limit=None, **policy):
    return PlanSpec.model_validate(
        {
            "name": "Cells",
            "mm_per_px": 1.0,
            "defects": [
                {"key": "crack", "name": "Crack", "max_area_mm2": limit},
                {"key": "stain", "name": "Stain"},
            ],
            "policy": policy,
        }
    )


def finding(severity=Severity.MAJOR, kind="crack", mm2=None, key="f"):
    return Finding(
        id=key,
        type=kind,
        box=Box(x1=0, y1=0, x2=1, y2=1),
        mask=None,
        area_px=1,
        area_mm2=mm2,
        severity=severity,
        confidence=0.9,
    )


def test_without_findings_the_unit_is_accepted():
    verdict = evaluate(plan(), [])
    assert (verdict.disposition, verdict.severity) == (Disposition.ACCEPT, None)


@pytest.mark.parametrize(
    ("severity", "disposition"),
    [("minor", "accept"), ("major", "rework"), ("critical", "reject")],
)
def test_the_worst_finding_decides_by_the_plans_policy(severity, disposition):
    found = [finding(Severity.MINOR), finding(Severity(severity))]
    assert evaluate(plan(), found).disposition == disposition


def test_an_area_up_to_the_limit_is_tolerated_and_above_it_is_not():
    spec = plan(limit=5.0)
    assert evaluate(spec, [finding(mm2=5.0)]).disposition is Disposition.ACCEPT
    assert evaluate(spec, [finding(mm2=5.1)]).disposition is Disposition.REWORK


def test_without_a_size_in_millimetres_nothing_is_tolerated():
    assert not tolerated(plan(limit=5.0), finding(mm2=None))


def test_a_decision_by_a_person_comes_before_rework():
    verdict = evaluate(plan(minor="rework", major="hold"), [finding(), finding(Severity.MINOR)])
    assert verdict.disposition is Disposition.HOLD


def test_a_defect_outside_the_catalogue_counts_and_is_named():
    verdict = evaluate(plan(), [finding(kind="hole")])
    assert verdict.disposition is Disposition.REWORK
    assert [f.type for f in verdict.uncatalogued] == ["hole"]


policies = st.builds(
    Policy,
    minor=st.sampled_from(DISPOSITIONS),
    major=st.sampled_from(DISPOSITIONS),
    critical=st.sampled_from(DISPOSITIONS),
)
found = st.builds(
    finding,
    st.sampled_from(SEVERITY_ORDER),
    st.sampled_from(["crack", "stain", "hole"]),
    st.one_of(st.none(), st.floats(0.1, 20)),
)


def rung(disposition):
    return LADDER.index(disposition)


@settings(deadline=None)
@given(policies, st.lists(found, max_size=5), found)
def test_a_further_finding_never_makes_the_disposition_better(policy, findings, further):
    spec = plan(limit=5.0).model_copy(update={"policy": policy})
    before, after = evaluate(spec, findings), evaluate(spec, [*findings, further])
    assert rung(after.disposition) >= rung(before.disposition)


@settings(deadline=None)
@given(policies, st.lists(found, min_size=1, max_size=5), st.data())
def test_a_worse_severity_never_makes_the_disposition_better(policy, findings, data):
    spec = plan(limit=5.0).model_copy(update={"policy": policy})
    chosen = data.draw(st.integers(0, len(findings) - 1))
    severity = raised(findings[chosen].severity)
    worse = [f.model_copy(update={"severity": severity}) if n == chosen else f
             for n, f in enumerate(findings)]  # fmt: skip
    assert rung(evaluate(spec, worse).disposition) >= rung(evaluate(spec, findings).disposition)


@settings(deadline=None)
@given(policies, st.lists(found, max_size=5), st.randoms())
def test_the_order_of_findings_does_not_matter(policy, findings, rng):
    spec = plan(limit=5.0).model_copy(update={"policy": policy})
    shuffled = list(findings)
    rng.shuffle(shuffled)
    assert evaluate(spec, shuffled).disposition is evaluate(spec, findings).disposition


@settings(deadline=None)
@given(policies)
def test_a_plan_is_never_kinder_to_a_worse_severity(policy):
    rungs = [rung(for_severity(policy, severity)) for severity in (None, *SEVERITY_ORDER)]
    assert rungs == sorted(rungs)


def test_the_worst_of_none_is_none():
    assert worst([]) is None
