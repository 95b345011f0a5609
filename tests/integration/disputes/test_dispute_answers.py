"""Answers: they do what they say, are told at the link, and let nothing out that is sealed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from dispute_world import decided, linked
from django.db import DatabaseError, transaction
from django.test import Client
from judging_world import decide, key, member, rule
from screen_world import Screens

from inspection.models import (
    DisputeAnswer,
    DisputeLink,
    DisputeStatement,
    Finding,
    Inspection,
    Review,
    ReviewTask,
)
from inspection.services import queue, reviews
from inspection.services.disputes import statements
from inspection.services.disputes.answers import Answer, answer
from inspection.services.disputes.refusals import DisputeRefusedError, NewStatementError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def said(link: DisputeLink, body: str = "No.") -> DisputeStatement:
    return statements.state(link, uuid.uuid4(), body)


def give(
    screens: Screens, link: DisputeLink, seen: DisputeStatement, **values: Any
) -> DisputeAnswer:
    given = {"outcome": "upheld", "body": "It is a dent."} | values
    return answer(screens.memberships["reviewer"], link, seen.pk, Answer(**given))


def page(token: str) -> str:
    return Client().get(f"/dispute/{token}/").content.decode()


def test_upholding_confirms_the_finding_and_ends_the_task(screens: Screens) -> None:
    dent = screens.findings[0]
    link, token = linked(screens, dent)
    give(screens, link, said(link))
    dent.refresh_from_db()
    assert dent.status == "confirmed"
    body = page(token)
    assert "It is a dent." in body
    assert "Upheld" in body
    assert "lid-reviewer" not in body, "the party is answered by the site"
    task = ReviewTask.objects.get(reason="dispute")
    assert (task.status, task.done_by) == ("done", screens.users["reviewer"])


def test_withdrawing_rejects_the_finding_and_says_so(screens: Screens) -> None:
    dent = screens.findings[0]
    link, token = linked(screens, dent)
    give(screens, link, said(link), outcome="withdrawn", body="Only dirt.", findings=[dent],
         disposition="accept")  # fmt: skip
    dent.refresh_from_db()
    unit = Inspection.objects.get(pk=link.inspection_id)
    assert (dent.status, unit.disposition) == ("rejected", "accept")
    assert Review.objects.filter(finding=dent, kind="reject_finding", comment="Only dirt.").exists()
    body = page(token)
    assert "has withdrawn this finding" in body
    assert "Withdrawn: Dent." in body
    assert "now <b>accept</b> (it was reject)" in body


def test_changing_a_finding(screens: Screens) -> None:
    dent = screens.findings[0]
    link, token = linked(screens)
    statement = said(link)
    with pytest.raises(DisputeRefusedError, match="Choose what you change"):
        give(screens, link, statement, outcome="changed", findings=[dent])
    give(screens, link, statement, outcome="changed", findings=[dent], type="scratch",
         severity="minor")  # fmt: skip
    dent.refresh_from_db()
    assert (dent.type, dent.severity) == ("scratch", "minor")
    assert "Changed: Dent is now Scratch, minor." in " ".join(page(token).split())


def test_a_statement_that_comes_in_meanwhile_stops_the_answer(screens: Screens) -> None:
    dent = screens.findings[0]
    link, _ = linked(screens, dent)
    first = said(link)
    second = said(link, "And look at this.")
    with pytest.raises(NewStatementError):
        give(screens, link, first, outcome="withdrawn", findings=[dent])
    dent.refresh_from_db()
    assert dent.status == "open"
    assert give(screens, link, second).statement == second
    with pytest.raises(DisputeRefusedError, match="answered meanwhile"):
        give(screens, link, second)


def test_one_more_statement_after_the_answer_waits_again(screens: Screens) -> None:
    link, token = linked(screens)
    give(screens, link, said(link))
    said(link, "I still disagree.")
    assert ReviewTask.objects.filter(reason="dispute", status="open").count() == 1
    assert "Your statement has arrived" in page(token)


def test_another_link_s_statement_keeps_the_task(screens: Screens) -> None:
    one, _ = linked(screens, screens.findings[0])
    two, _ = linked(screens, screens.findings[1])
    first = said(one)
    said(two)
    give(screens, one, first)
    assert ReviewTask.objects.get(reason="dispute").status == "open"


def test_answers_are_written_once_and_in_the_audit_trail(screens: Screens) -> None:
    import pghistory.models

    link, _ = linked(screens)
    made = give(screens, link, said(link))
    for change in (lambda: DisputeAnswer.objects.update(body="x"), made.delete):
        with pytest.raises(DatabaseError, match="pgtrigger"), transaction.atomic():
            change()
    events = pghistory.models.Events.objects.references(made)
    assert {event.pgh_label for event in events} == {"insert"}
    assert link.events.filter(pgh_label="insert").count() == 1


def test_a_unit_that_no_person_decided_is_decided_first(screens: Screens) -> None:
    Inspection.objects.filter(pk=screens.inspection.pk).update(status="decided")
    screens.inspection.refresh_from_db()
    link, _ = linked(screens)
    statement = said(link)
    with pytest.raises(DisputeRefusedError, match="once a person has decided"):
        give(screens, link, statement)
    decide(screens.memberships["reviewer"], screens.inspection, "reject")
    give(screens, link, statement)


def test_no_answer_tells_a_sealed_word(screens: Screens) -> None:
    """A machine's decision is disputed; by the plan's rule two persons are to judge it."""
    dent = screens.findings[0]
    Inspection.objects.filter(pk=screens.inspection.pk).update(status="decided")
    screens.inspection.refresh_from_db()
    link, token = linked(screens, dent)
    statement = said(link)
    before = page(token)
    rule(screens.plan)
    first, second = screens.memberships["reviewer"], member(screens, "second")
    reviews.reject_finding(first, dent, key(), "Only dirt")
    decide(first, screens.inspection, "accept")
    for who in (first, second):
        with pytest.raises(DisputeRefusedError, match="all have judged"):
            answer(who, link, statement.pk, Answer("withdrawn", "Only dirt.", [dent]))
    assert "withdrawn" not in page(token)
    assert "Only dirt" not in page(token)
    assert page(token).count("Dent") == before.count("Dent")
    panel = screens.client("manager").get(f"/inspections/{link.inspection_id}/disputes/")
    assert "Only dirt" not in panel.content.decode()
    reviews.reject_finding(second, dent, key(), "Dirt")
    decide(second, screens.inspection, "accept")
    assert "has withdrawn this finding" in page(token)
    give(screens, link, statement, body="Both of us see dirt.")
    assert "Both of us see dirt." in page(token)


def test_deciding_the_unit_does_not_end_a_dispute(screens: Screens) -> None:
    link, _ = linked(screens)
    said(link)
    ReviewTask.objects.filter(reason="dispute").update(held_by=screens.users["reviewer"])
    review = reviews.decide(
        screens.memberships["reviewer"],
        Inspection.objects.get(pk=link.inspection_id),
        "hold",
        key(),
    )
    queue.settle(screens.inspection, review)
    assert ReviewTask.objects.get(reason="dispute").status == "open"


def test_the_form_keeps_its_words_and_shows_the_new_statement(screens: Screens) -> None:
    link, token = linked(screens)
    first = said(link)
    said(link, "A second thought")
    client = screens.client("reviewer")
    address = f"/disputes/{link.pk}/answer/"
    sent = {"outcome": "upheld", "body": "My long words", "seen": str(first.pk)}
    body = client.post(address, sent, headers={"HX-Request": "true"}).content.decode()
    assert "The party has written again" in body
    assert "A second thought" in body
    assert "My long words" in body
    last = link.statements.last()
    assert last is not None
    assert str(last.pk) in body
    done = client.post(address, sent | {"seen": str(last.pk)}, headers={"HX-Request": "true"})
    assert done["HX-Refresh"] == "true"
    assert "My long words" in page(token)


def test_only_reviewers_of_the_site_answer(screens: Screens) -> None:
    link, _ = linked(screens)
    statement = said(link)
    for who in (screens.memberships["operator"], screens.stranger.memberships.get()):
        with pytest.raises(DisputeRefusedError, match="Only reviewers"):
            answer(who, link, statement.pk, Answer("upheld", "No."))
    with pytest.raises(DisputeRefusedError, match="in words"):
        give(screens, link, statement, body=" ")
    other = Finding.objects.create(
        site=screens.site, inspection=decided(screens), photo=screens.photo, key="z", type="dent",
        severity="minor", source="vlm", confidence=0.5, x1=1, y1=1, x2=5, y2=5, run=screens.run,
    )  # fmt: skip
    of_one, _ = linked(screens, screens.findings[0])
    with pytest.raises(DisputeRefusedError, match="another finding"):
        give(screens, of_one, said(of_one), outcome="withdrawn", findings=[other])
