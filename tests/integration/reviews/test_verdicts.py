"""Verdicts of people: once each, never changed, and in force."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from screen_world import Screens, make_finding, make_screens

from inspection.models import Finding, Inspection, Review, Run
from inspection.selectors.findings import current_findings
from inspection.services import reviews

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Messages that would have gone to the workers."""
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        reviews.app, "send_task", lambda name, args, **options: sent.append((name, args))
    )
    return sent


def key() -> str:
    return uuid.uuid4().hex


def test_confirming_twice_with_one_key_is_one_verdict(screens: Screens) -> None:
    finding, again = screens.findings[0], key()
    first = reviews.confirm_finding(screens.memberships["reviewer"], finding, again)
    second = reviews.confirm_finding(screens.memberships["reviewer"], finding, again)
    assert first.pk == second.pk
    assert Review.objects.count() == 1
    assert finding.status == "confirmed"
    assert (first.before, first.after) == ({"status": "open"}, {"status": "confirmed"})


def test_rejecting_all_findings_takes_the_severity_away(screens: Screens) -> None:
    for finding in screens.findings:
        reviews.reject_finding(screens.memberships["reviewer"], finding, key())
    screens.inspection.refresh_from_db()
    assert screens.inspection.severity == ""
    assert {finding.status for finding in screens.findings} == {"rejected"}


def test_a_change_keeps_what_the_model_said(screens: Screens) -> None:
    finding = screens.findings[0]
    reviews.change_finding(
        screens.memberships["reviewer"], finding, key(), type="scratch", severity="critical"
    )
    finding.refresh_from_db()
    assert (finding.type, finding.severity, finding.status) == ("scratch", "critical", "confirmed")
    assert (finding.model_type, finding.model_severity) == ("dent", "major")
    screens.inspection.refresh_from_db()
    assert screens.inspection.severity == "critical"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "rust"}, "not in the plan's defect catalogue"),
        ({"severity": "huge"}, "minor, major or critical"),
        ({"type": "dent", "severity": "major"}, "another class or severity"),
    ],
)
def test_a_senseless_change_is_refused_with_words(
    screens: Screens, change: dict[str, str], words: str
) -> None:
    member = screens.memberships["reviewer"]
    with pytest.raises(reviews.ReviewRefusedError, match=words):
        reviews.change_finding(member, screens.findings[0], key(), **change)
    assert not Review.objects.exists()


def test_verdicts_can_be_neither_changed_nor_deleted(screens: Screens) -> None:
    review = reviews.confirm_finding(
        screens.memberships["reviewer"], screens.findings[0], key(), "sure"
    )
    with pytest.raises(DatabaseError, match="verdicts_are_immutable"), transaction.atomic():
        Review.objects.filter(pk=review.pk).update(comment="not so sure")
    with pytest.raises(DatabaseError, match="verdicts_are_immutable"), transaction.atomic():
        Review.objects.filter(pk=review.pk).delete()


def test_a_decision_settles_the_unit_and_wakes_the_actions(
    screens: Screens, woken: list[object], django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        reviews.decide(screens.memberships["reviewer"], screens.inspection, "accept", key(), "ok")
    assert screens.inspection.status == "decided"
    assert screens.inspection.disposition == "accept"
    assert screens.inspection.decided_by == screens.users["reviewer"]
    assert woken == [("actions.act_after_decision", [str(screens.inspection.pk)])]


def test_a_person_may_decide_otherwise_later_and_both_words_stay(screens: Screens) -> None:
    member = screens.memberships["reviewer"]
    reviews.decide(member, screens.inspection, "accept", key())
    reviews.decide(member, screens.inspection, "reject", key())
    assert [review.after["disposition"] for review in Review.objects.all()] == ["accept", "reject"]
    assert screens.inspection.disposition == "reject"


@pytest.mark.parametrize("status", ["received", "running"])
def test_nobody_decides_while_models_are_at_work(screens: Screens, status: str) -> None:
    Inspection.objects.filter(pk=screens.inspection.pk).update(status=status)
    with pytest.raises(reviews.ReviewRefusedError, match="still looking"):
        reviews.decide(screens.memberships["reviewer"], screens.inspection, "accept", key())


def test_operators_and_people_of_other_sites_judge_nothing(screens: Screens) -> None:
    stranger = screens.stranger.memberships.get()
    for member in (screens.memberships["operator"], stranger):
        with pytest.raises(reviews.ReviewRefusedError):
            reviews.confirm_finding(member, screens.findings[0], key())
        with pytest.raises(reviews.ReviewRefusedError):
            reviews.decide(member, screens.inspection, "accept", key())
    assert not Review.objects.exists()


def test_a_re_run_that_sees_a_judged_finding_again_shows_it_once(screens: Screens) -> None:
    judged, other = screens.findings
    reviews.reject_finding(screens.memberships["reviewer"], judged, key())
    inspection = screens.inspection
    second = Run.objects.create(site=screens.site, inspection=inspection, number=2, status="done")
    Inspection.objects.filter(pk=inspection.pk).update(current_run=second)
    inspection.refresh_from_db()
    assert current_findings(inspection) == [judged]
    again = make_finding(inspection, screens.photo, second, 5)
    Finding.objects.filter(pk=again.pk).update(identity=judged.identity, status="rejected")
    assert [finding.pk for finding in current_findings(inspection)] == [again.pk]
    assert other not in current_findings(inspection)


def test_the_form_answers_a_double_click_once_and_a_refusal_in_words(screens: Screens) -> None:
    client = screens.client("reviewer")
    page = f"/inspections/{screens.inspection.pk}/"
    form = f"{page}findings/{screens.findings[0].pk}/"
    sent = {"act": "reject", "client_key": key()}
    answers = [client.post(form, sent, headers={"HX-Request": "true"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert Review.objects.count() == 1
    refused = client.post(form, {"act": "confirm"}, headers={"HX-Request": "true"})
    assert refused.status_code == 409
    assert "Reload the page" in refused["X-Message"]


@pytest.mark.django_db(transaction=True)
def test_ten_clicks_at_once_are_one_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    world = make_screens()
    again, seen = key(), []

    def click() -> None:
        try:
            member = world.memberships["reviewer"]
            inspection = Inspection.objects.get(pk=world.inspection.pk)
            seen.append(reviews.decide(member, inspection, "reject", again).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 10
    assert len(set(seen)) == 1
    assert Review.objects.count() == 1
