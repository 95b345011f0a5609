"""Gold units look like any other, grade who judges them, and never tell their answer."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from judging_world import decide, key, member, rule
from screen_world import SECRET, Screens

from inspection.actions.act import calls_for_action
from inspection.models import (
    Agreement,
    Finding,
    GoldUnit,
    Grade,
    Inspection,
    Membership,
    Review,
    Round,
)
from inspection.selectors.agreement import grades_by_reviewer
from inspection.services import gold, reviews

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


@pytest.fixture
def unit(screens: Screens) -> GoldUnit:
    """The answer: the dent is there, the scratch is dirt, reject; the models had said rework."""
    manager = screens.memberships["manager"]
    reviews.confirm_finding(manager, screens.findings[0], key())
    reviews.reject_finding(manager, screens.findings[1], key(), reason="dirt")
    decide(manager, screens.inspection, "reject")
    return gold.make_gold(manager, screens.inspection)


def copies(unit: GoldUnit) -> list[Finding]:
    return list(unit.inspection.findings.order_by("key"))


def test_the_copy_carries_the_models_word_and_no_way_to_the_source(
    screens: Screens, unit: GoldUnit
) -> None:
    twin = Inspection.objects.get(pk=unit.inspection_id)
    assert (twin.status, twin.disposition, twin.decided_by) == ("review", "rework", None)
    assert [finding.status for finding in copies(unit)] == ["open", "open"]
    assert not Review.objects.filter(inspection=twin).exists()
    assert twin.reference != SECRET
    assert len(twin.reference) == len(SECRET)
    body = screens.client("reviewer").get(f"/inspections/{twin.pk}/").content.decode()
    assert SECRET not in body
    assert str(screens.inspection.pk) not in body
    assert "gold" not in body.lower().replace("golden", "").replace("/judging/gold/", "")
    assert twin.current_run is not None
    assert twin.current_run.steps.count() == 5


def test_a_judgement_is_graded_and_the_unit_is_as_it_was(screens: Screens, unit: GoldUnit) -> None:
    first, second = screens.memberships["reviewer"], member(screens, "another")
    dent, scratch = copies(unit)
    reviews.reject_finding(first, dent, key(), reason="reflection")
    decide(first, unit.inspection, "accept")
    grade = Grade.objects.get()
    assert (grade.is_right, grade.found, grade.missed, grade.overcalled) == (False, 0, 1, 1)
    assert [finding.status for finding in copies(unit)] == ["open", "open"]
    assert unit.inspection.status == "review"
    reviews.reject_finding(second, scratch, key(), reason="dirt")
    decide(second, unit.inspection, "reject")
    row = {row["reviewer__username"]: row for row in grades_by_reviewer(screens.site)}["another"]
    assert (row["right"], row["found_all"], row["missed_all"], row["overcalled_all"]) == (
        1, 1, 0, 0,
    )  # fmt: skip
    assert Agreement.objects.count() == 1, "two blind words on the same unit"
    rows = Inspection.objects.select_related("plan_version", "current_run")
    assert not calls_for_action(rows.get(pk=unit.inspection_id))


def test_one_word_each_and_it_reads_like_a_second_review(screens: Screens, unit: GoldUnit) -> None:
    first = screens.memberships["reviewer"]
    decide(first, unit.inspection, "reject")
    with pytest.raises(reviews.ReviewRefusedError, match="sealed"):
        decide(first, unit.inspection, "accept")
    body = screens.client("reviewer").get(f"/inspections/{unit.inspection_id}/").content.decode()
    assert "It is sealed" in body


def test_the_answer_is_for_managers(screens: Screens, unit: GoldUnit) -> None:
    for who in ("operator", "reviewer", "anonymous"):
        assert screens.client(who).get("/judging/gold/").status_code in (302, 403)
    body = screens.client("manager").get("/judging/gold/").content.decode()
    assert SECRET in body
    answer = screens.client("reviewer").get(f"/api/v1/inspections/{unit.inspection_id}").json()
    assert answer["disposition"] == "rework"
    assert {finding["status"] for finding in answer["findings"]} == {"open"}


def test_the_source_does_not_appear_among_similar_cases_of_the_copy(
    screens: Screens, unit: GoldUnit
) -> None:
    client = screens.client("reviewer")
    body = client.get(f"/inspections/{unit.inspection_id}/").content.decode()
    assert SECRET not in body
    assert SECRET not in client.get(f"/inspections/?like={unit.inspection_id}").content.decode()
    other = client.get(f"/inspections/{screens.inspection.pk}/").content.decode()
    assert str(unit.inspection_id) not in other


@pytest.mark.parametrize("who", ["reviewer", "stranger"])
def test_only_a_manager_of_the_site_makes_and_retires_one(
    screens: Screens, unit: GoldUnit, who: str
) -> None:
    is_here = who != "stranger"
    found: Membership = screens.memberships[who] if is_here else screens.stranger.memberships.get()
    with pytest.raises(gold.GoldRefusedError, match="manager"):
        gold.make_gold(found, screens.inspection)
    with pytest.raises(gold.GoldRefusedError, match="manager"):
        gold.retire(found, unit)


def test_what_is_no_known_answer_is_refused(screens: Screens) -> None:
    manager = screens.memberships["manager"]
    with pytest.raises(gold.GoldRefusedError, match="Decide the unit first"):
        gold.make_gold(manager, screens.inspection)
    rule(screens.plan)
    decide(screens.memberships["reviewer"], screens.inspection, "accept")
    with pytest.raises(gold.GoldRefusedError, match="Decide the unit first"):
        gold.make_gold(manager, screens.inspection)


def test_a_retired_one_is_judged_no_more_and_never_acts(screens: Screens, unit: GoldUnit) -> None:
    gold.retire(screens.memberships["manager"], unit)
    with pytest.raises(reviews.ReviewRefusedError, match="not judged any more"):
        decide(screens.memberships["reviewer"], unit.inspection, "accept")
    rows = Inspection.objects.select_related("plan_version", "current_run")
    assert not calls_for_action(rows.get(pk=unit.inspection_id))
    assert Round.objects.get(inspection=unit.inspection_id).state == "final"


def test_the_share_decides_how_often_one_is_given(screens: Screens, unit: GoldUnit) -> None:
    first = screens.memberships["reviewer"]
    assert gold.next_gold(first) is None
    made = rule(screens.plan, share=0, gold_share=1)
    assert gold.next_gold(first) == unit.inspection
    assert gold.next_gold(first) == gold.next_gold(first), "asking again gives the same"
    decide(first, unit.inspection, "reject")
    assert gold.next_gold(first) is None, "each of them once"
    made.gold_share = 0
    made.save()
    assert gold.next_gold(screens.memberships["manager"]) is None
    stranger = screens.stranger.memberships.get()
    assert gold.next_gold(stranger) is None


def test_the_page_makes_one(screens: Screens) -> None:
    decide(screens.memberships["manager"], screens.inspection, "reject")
    client: Client = screens.client("manager")
    page = f"/inspections/{screens.inspection.pk}/"
    assert "Use as gold unit" in client.get(page).content.decode()
    assert "Use as gold unit" not in screens.client("reviewer").get(page).content.decode()
    client.post(f"{page}gold/", {"reference": "Lid 77"})
    assert GoldUnit.objects.get().inspection.reference == "Lid 77"


@given(st.text(st.sampled_from("AB-/ 0123456789"), max_size=30))
def test_a_disguised_reference_has_the_same_shape_and_no_digit_in_place(reference: str) -> None:
    made = gold.disguised(Inspection(reference=reference))
    assert len(made) == len(reference)
    for was, now in zip(reference, made, strict=True):
        assert was.isdecimal() == now.isdecimal()
        assert (was != now) == was.isdecimal()
