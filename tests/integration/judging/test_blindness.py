"""Nothing that a second person can ask tells what the first said, or who it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from judging_world import decide, key, member, rule
from screen_world import Screens, make_inspection

from inspection.models import Finding, Inspection, Membership, RiskDial, RiskGate, Run, User
from inspection.models.choices import InspectionStatus
from inspection.pipeline import triage
from inspection.pipeline.settle import settle
from inspection.selectors import risk
from inspection.selectors.catalogue import catalogue_of, rejections
from inspection.services import comments, reviews
from inspection.services.members import create_token

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
FIRST = "first-with-a-rare-name"
SAID = "words that only the first would say"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


@pytest.fixture
def first(screens: Screens) -> Membership:
    rule(screens.plan)
    return member(screens, FIRST)


def judge(screens: Screens, first: Membership) -> None:
    """All that a first reviewer can say, each in a way that can be told from what was there."""
    dent, scratch = screens.findings
    reviews.change_finding(first, dent, key(), severity="critical", comment=SAID)
    reviews.reject_finding(first, scratch, key(), SAID, reason="reflection")
    comments.add_comment(first, screens.inspection, f"@lid-manager {SAID}", key())
    reviews.decide(first, Inspection.objects.get(pk=screens.inspection.pk), "hold", key(), SAID)


def addresses(screens: Screens) -> list[str]:
    page = f"/inspections/{screens.inspection.pk}/"
    return [
        page,
        f"{page}live/",
        f"{page}comments/",
        f"{page}catalogue/",
        "/inspections/",
        "/inspections/?view=table",
        f"/inspections/live/?ids={screens.inspection.pk}",
        "/inspections/?disposition=hold",
        "/inspections/?severity=critical",
        "/inspections/?status=decided",
        "/inbox/",
        "/judging/rejections/",
        "/judging/agreement/",
        "/judging/agreement.csv",
        "/judging/gold/",
        f"/api/v1/inspections/{screens.inspection.pk}",
        "/api/v1/inspections",
        "/api/v1/inspections?disposition=hold",
    ]


def read(client: Client, address: str) -> str:
    """What is shown, without keys that differ at each request and ages in seconds."""
    answer = client.get(address, follow=True)
    body = answer.content.decode()
    body = re.sub(r'(name="client_key" value|csrfmiddlewaretoken" value)="[^"]*"', "", body)
    return re.sub(r"X-CSRFToken[^}]*", "", body)


@pytest.mark.parametrize("who", ["operator", "reviewer", "manager", "admin"])
def test_every_page_reads_as_if_the_first_had_said_nothing(
    screens: Screens, first: Membership, who: str
) -> None:
    client = screens.client(who)
    before = {address: read(client, address) for address in addresses(screens)}
    judge(screens, first)
    for address, body in before.items():
        now = read(client, address)
        assert SAID not in now, address
        assert FIRST not in now or FIRST in body, address
        if "agreement" not in address and "comments" not in address:
            assert now == body, address


def test_the_api_tells_a_token_nothing(screens: Screens, first: Membership) -> None:
    _, text = create_token(screens.memberships["reviewer"], "Robot")
    asked = {"Authorization": f"Bearer {text}"}
    address = f"/api/v1/inspections/{screens.inspection.pk}"
    before = Client().get(address, headers=asked).json()
    judge(screens, first)
    assert Client().get(address, headers=asked).json() == before


def test_the_first_sees_their_own_word_and_that_it_is_sealed(
    screens: Screens, first: Membership
) -> None:
    judge(screens, first)
    client = Client()
    client.force_login(first.user)
    body = client.get(f"/inspections/{screens.inspection.pk}/").content.decode()
    assert "It is sealed" in body
    assert SAID in body
    assert 'data-status="rejected"' not in body


def test_nobody_is_told_of_a_sealed_comment_before_all_is_in(
    screens: Screens, first: Membership
) -> None:
    judge(screens, first)
    manager = screens.client("manager")
    assert "unread" not in manager.get("/inspections/").content.decode()
    decide(screens.memberships["reviewer"], screens.inspection, "hold")
    assert "1 unread" in manager.get("/inspections/").content.decode()
    assert SAID in manager.get("/inbox/").content.decode()


def test_the_third_sees_both_words_without_names(screens: Screens, first: Membership) -> None:
    judge(screens, first)
    reviews.confirm_finding(screens.memberships["reviewer"], screens.findings[1], key())
    decide(screens.memberships["reviewer"], screens.inspection, "rework")
    body = screens.client("manager").get(f"/inspections/{screens.inspection.pk}/").content.decode()
    assert "Two reviewers differ" in body
    assert "not a defect" in body
    assert FIRST not in body
    assert "lid-reviewer" not in body
    decide(screens.memberships["manager"], screens.inspection, "hold")
    body = screens.client("operator").get(f"/inspections/{screens.inspection.pk}/").content.decode()
    assert FIRST in body
    assert "Decided by a third person" in body


def test_counts_examples_and_the_risk_dial_know_nothing_of_it(
    screens: Screens, first: Membership
) -> None:
    dial = RiskDial.objects.create(
        site=screens.site, plan=screens.plan, number=1, plan_version=screens.plan.current,
        is_on=True, largest_escape=0.01, confidence=0.95, check_share=0.05,
    )  # fmt: skip
    RiskGate.objects.create(
        site=screens.site, plan=screens.plan, inspection=screens.inspection, dial=dial,
        chances={}, engine="e", is_asked=False, is_eligible=True, is_below=False, is_drawn=True,
    )  # fmt: skip
    sibling = make_inspection(screens.site, screens.plan, reference="Sibling")
    judge(screens, first)
    assert risk.waiting_labels(screens.plan) == 1
    assert rejections(screens.site) == []
    found = catalogue_of(sibling)
    assert found is not None
    assert all(not entry.bad and not entry.good for entry in found.entries)
    decide(screens.memberships["reviewer"], screens.inspection, "hold")
    assert risk.waiting_labels(screens.plan) == 0
    assert [row.review.reason for row in rejections(screens.site)] == ["reflection"]


def test_a_re_run_settles_nothing_and_loses_no_sealed_word(
    screens: Screens, first: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models are sure this time; the unit waits for the second person all the same."""
    dent = screens.findings[0]
    reviews.change_finding(first, dent, key(), severity="critical")
    decide(first, screens.inspection, "hold")
    run = Run.objects.create(site=screens.site, inspection=screens.inspection, number=2)
    Inspection.objects.filter(pk=screens.inspection.pk).update(current_run=run, status="running")
    screens.inspection.refresh_from_db()
    run.inspection = screens.inspection
    settle(run, [])
    assert Finding.objects.filter(pk=dent.pk).exists()
    _save_sure_triage(run, monkeypatch)
    screens.inspection.refresh_from_db()
    assert screens.inspection.status == InspectionStatus.REVIEW
    decide(screens.memberships["reviewer"], screens.inspection, "hold")
    dent.refresh_from_db()
    assert (dent.severity, dent.status) == ("critical", "confirmed")
    assert screens.inspection.disposition == "hold"


def _save_sure_triage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"status": InspectionStatus.DECIDED, "disposition": "accept", "severity": ""}
    monkeypatch.setattr(triage, "_seen", lambda judged: {})
    monkeypatch.setattr(triage, "_verdict", lambda judged: dict(said))
    judged: Any = type("J", (), {"case": type("C", (), {"dialled": None})(), "word": None})()
    triage.save(run, judged)


def test_what_the_first_drew_is_hidden_until_both_are_in(
    screens: Screens, first: Membership
) -> None:
    drawn = Finding.objects.create(
        site=screens.site, inspection=screens.inspection, photo=screens.photo, key="p1",
        type="dent", severity="major", status="confirmed", source="person", confidence=1.0,
        x1=100, y1=100, x2=120, y2=120,
    )  # fmt: skip
    page = f"/inspections/{screens.inspection.pk}/"
    decide(first, screens.inspection, "rework")
    shows: Callable[[], bool] = lambda: (  # noqa: E731
        str(drawn.pk) in screens.client("reviewer").get(page).content.decode()
    )
    assert not shows()
    decide(screens.memberships["reviewer"], screens.inspection, "rework")
    assert shows()
    drawn.refresh_from_db()
    assert not drawn.is_sealed


def test_another_site_knows_nothing_of_rounds(screens: Screens, first: Membership) -> None:
    judge(screens, first)
    stranger: User = screens.stranger
    client = Client()
    client.force_login(stranger)
    for address in addresses(screens):
        assert SAID not in client.get(address).content.decode()
