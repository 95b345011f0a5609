"""A second person judges without knowing the first's word; where they differ, a third decides."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from judging_world import decide, key, member, rule
from screen_world import Screens, make_screens

from inspection.actions.act import calls_for_action
from inspection.models import Agreement, Finding, Inspection, Judgement, Membership, Review, Round
from inspection.services import judging, reviews
from models_runtime.risk.dial import part_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(
        reviews.app, "send_task", lambda name, args, **options: sent.append(args[0])
    )
    return sent


@pytest.fixture
def other(screens: Screens) -> Membership:
    return member(screens, "second-reviewer")


def loaded(screens: Screens) -> Inspection:
    rows = Inspection.objects.select_related("plan_version", "current_run")
    found: Inspection = rows.get(pk=screens.inspection.pk)
    return found


def states(screens: Screens) -> list[tuple[str, str, str]]:
    rows = Finding.objects.filter(inspection=screens.inspection).order_by("key")
    return list(rows.values_list("type", "severity", "status"))


def test_without_a_rule_one_word_is_enough(screens: Screens, other: Membership) -> None:
    decide(screens.memberships["reviewer"], screens.inspection, "reject")
    assert screens.inspection.status == "decided"
    assert not Round.objects.exists()


def test_the_rows_say_nothing_of_a_first_word(
    screens: Screens,
    other: Membership,
    woken: list[str],
    django_capture_on_commit_callbacks: Any,
) -> None:
    rule(screens.plan)
    first, before = screens.memberships["reviewer"], states(screens)
    unit_before = Inspection.objects.filter(pk=screens.inspection.pk).values().get()
    with django_capture_on_commit_callbacks(execute=True):
        reviews.change_finding(first, screens.findings[0], key(), type="scratch", severity="minor")
        reviews.reject_finding(first, screens.findings[1], key(), reason="dirt")
        decide(first, screens.inspection, "accept")
    assert states(screens) == before
    assert Inspection.objects.filter(pk=screens.inspection.pk).values().get() == unit_before
    assert woken == []
    assert not calls_for_action(loaded(screens))
    judgement = Judgement.objects.get()
    assert (judgement.part, judgement.disposition) == ("first", "accept")
    said = [word["columns"]["status"] for word in judgement.findings]
    assert sorted(said) == ["confirmed", "rejected"]


def test_two_who_agree_are_in_force_with_what_either_said(
    screens: Screens,
    other: Membership,
    woken: list[str],
    django_capture_on_commit_callbacks: Any,
) -> None:
    rule(screens.plan)
    dent, scratch = screens.findings
    first = screens.memberships["reviewer"]
    reviews.reject_finding(first, scratch, key(), reason="reflection")
    decide(first, screens.inspection, "rework")
    reviews.confirm_finding(other, dent, key())
    with django_capture_on_commit_callbacks(execute=True):
        decide(other, screens.inspection, "rework")
    assert screens.inspection.status == "decided"
    assert [status for _, _, status in states(screens)] == ["confirmed", "rejected"]
    assert woken == [str(screens.inspection.pk)]
    assert calls_for_action(loaded(screens))
    round = Round.objects.get()
    assert (round.state, round.is_agreed) == ("final", True)
    pair = Agreement.objects.get()
    assert {pair.disposition_a, pair.disposition_b} == {"rework"}
    assert sorted(map(sorted, pair.classes)) == [["", "scratch"], ["dent", "dent"]]


@pytest.mark.parametrize("differ", ["disposition", "class", "finding"])
def test_two_who_differ_wait_for_a_third(
    screens: Screens, other: Membership, woken: list[str], differ: str
) -> None:
    rule(screens.plan)
    dent, first = screens.findings[0], screens.memberships["reviewer"]
    reviews.confirm_finding(first, dent, key())
    decide(first, screens.inspection, "rework")
    if differ == "class":
        reviews.change_finding(other, dent, key(), type="scratch")
    elif differ == "finding":
        reviews.reject_finding(other, dent, key(), reason="dirt")
    decide(other, screens.inspection, "accept" if differ == "disposition" else "rework")
    round = Round.objects.get()
    assert (round.state, round.is_agreed) == ("adjudication", False)
    assert screens.inspection.status == "review"
    assert not calls_for_action(loaded(screens))
    for one in (first, other):
        with pytest.raises(reviews.ReviewRefusedError, match="third person"):
            decide(one, screens.inspection, "hold")
    decide(screens.memberships["manager"], screens.inspection, "hold")
    assert (screens.inspection.status, screens.inspection.disposition) == ("decided", "hold")
    assert calls_for_action(loaded(screens))
    assert [row.part for row in Judgement.objects.all()] == ["first", "second", "adjudication"]
    with pytest.raises(reviews.ReviewRefusedError, match="quality manager"):
        decide(other, screens.inspection, "accept")


def test_where_there_is_no_third_a_manager_of_the_two_decides(screens: Screens) -> None:
    Membership.objects.filter(site=screens.site, role="admin").delete()
    rule(screens.plan)
    decide(screens.memberships["reviewer"], screens.inspection, "accept")
    decide(screens.memberships["manager"], screens.inspection, "reject")
    with pytest.raises(reviews.ReviewRefusedError, match="third person"):
        decide(screens.memberships["reviewer"], screens.inspection, "accept")
    decide(screens.memberships["manager"], screens.inspection, "rework")
    assert screens.inspection.disposition == "rework"


def test_nobody_judges_twice_and_nobody_waits_for_nobody(screens: Screens) -> None:
    rule(screens.plan)
    decide(screens.memberships["reviewer"], screens.inspection, "accept")
    for act in (
        lambda: decide(screens.memberships["reviewer"], screens.inspection, "reject"),
        lambda: reviews.confirm_finding(
            screens.memberships["reviewer"], screens.findings[0], key()
        ),
    ):
        with pytest.raises(reviews.ReviewRefusedError, match="sealed"):
            act()
    assert Review.objects.count() == 1


def test_a_site_with_one_reviewer_needs_no_second_word(screens: Screens) -> None:
    Membership.objects.filter(site=screens.site, role__in=["manager", "admin"]).delete()
    rule(screens.plan)
    decide(screens.memberships["reviewer"], screens.inspection, "accept")
    assert screens.inspection.status == "decided"


def test_the_draw_is_the_same_for_ever_and_of_the_stated_share(screens: Screens) -> None:
    number = part_of(str(screens.inspection.pk), judging.DRAW)
    made, first = rule(screens.plan, share=number), screens.memberships["reviewer"]
    assert judging.reasons_for_second(first, screens.inspection) == []
    made.share = min(1.0, number + 1e-9)
    made.save()
    assert judging.reasons_for_second(first, screens.inspection) == ["share"]
    drawn = sum(part_of(f"unit {n}", judging.DRAW) < 0.2 for n in range(5000))
    assert 900 < drawn < 1100


def test_severity_asks_for_a_second_word(screens: Screens) -> None:
    rule(screens.plan, share=0, severity_from="critical")
    first = screens.memberships["reviewer"]
    assert judging.reasons_for_second(first, screens.inspection) == []
    reviews.change_finding(first, screens.findings[1], key(), severity="critical")
    screens.inspection.refresh_from_db()
    assert judging.reasons_for_second(first, screens.inspection) == ["severity"]


def test_a_new_reviewer_is_looked_over_by_days_and_by_units(screens: Screens) -> None:
    made, first = rule(screens.plan, share=0, new_units=1), screens.memberships["reviewer"]
    decide(first, screens.inspection, "accept")
    assert Round.objects.get().reasons == ["new_reviewer"]
    made.new_units, made.new_days = None, 30
    assert judging.is_new(made, first)
    made.new_days = None
    assert not judging.is_new(made, first)


def test_a_second_person_who_let_go_leaves_nothing_for_the_next(
    screens: Screens, other: Membership
) -> None:
    rule(screens.plan)
    decide(screens.memberships["reviewer"], screens.inspection, "rework")
    reviews.reject_finding(other, screens.findings[0], key(), reason="dirt")
    third = screens.memberships["manager"]
    with pytest.raises(reviews.ReviewRefusedError, match="right now"):
        decide(third, screens.inspection, "rework")
    Round.objects.update(holder_until="2020-01-01T00:00Z")
    reviews.confirm_finding(third, screens.findings[1], key())
    assert [status for _, _, status in states(screens)] == ["open", "confirmed"]


def test_a_first_word_can_be_taken_back_until_somebody_begins(
    screens: Screens, other: Membership
) -> None:
    rule(screens.plan)
    first = screens.memberships["reviewer"]
    reviews.confirm_finding(first, screens.findings[0], key())
    decide(first, screens.inspection, "accept")
    review = Review.objects.get(kind="disposition")
    assert judging.take_back(first, screens.inspection, review)
    assert states(screens)[0][2] == "confirmed"
    decide(first, screens.inspection, "reject")
    assert Judgement.objects.get(withdrawn_at=None).disposition == "reject"
    reviews.confirm_finding(other, screens.findings[0], key())
    again = Review.objects.filter(kind="disposition").last()
    assert again is not None
    with pytest.raises(reviews.ReviewRefusedError, match="begun"):
        judging.take_back(first, screens.inspection, again)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_give_the_second_word_at_once_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    world = make_screens()
    rule(world.plan)
    racers = [member(world, f"racer-{n}") for n in range(4)]
    decide(world.memberships["reviewer"], world.inspection, "accept")
    told: list[str] = []

    def judge(who: Membership) -> None:
        try:
            decide(who, Inspection.objects.get(pk=world.inspection.pk), "accept")
            told.append("in")
        except reviews.ReviewRefusedError as error:
            told.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=judge, args=[who]) for who in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told)[-1] == "in"
    assert told.count("in") == 1
    assert set(told) - {"in"} == {judging.AGREED}
    assert Judgement.objects.count() == 2
