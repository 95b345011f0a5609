"""The queue's page, taking and handing over from it, undo over HTTP, and a person's keys."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from screen_world import Screens, make_inspection

from inspection.models import Inspection, KeyMap, Membership, Review, ReviewTask, User
from inspection.models.choices import ReviewReason, Role
from inspection.services import queue, reviews
from inspection.services.queue_reasons import Worth

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def nobody_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)


@pytest.fixture
def empty(screens: Screens) -> Screens:
    """A site whose own unit does not wait."""
    Inspection.objects.filter(pk=screens.inspection.pk).update(status="decided")
    return screens


def waiting(world: Screens, reference: str, risk: float = 0.5) -> ReviewTask:
    unit = make_inspection(world.site, world.plan, reference=reference)
    return queue.enqueue(unit, ReviewReason.LOW_CONFIDENCE, worth=Worth(risk, 0.5))


def test_an_empty_queue_says_what_comes_here(empty: Screens) -> None:
    page = empty.client("reviewer").get("/queue/").content.decode()
    assert "Nothing waits for a review" in page
    assert "Start reviewing" not in page


def test_the_page_shows_plans_reasons_counts_and_what_is_overdue(empty: Screens) -> None:
    late = waiting(empty, "LATE-1")
    waiting(empty, "LOT-2")
    queue.enqueue(empty.inspection, ReviewReason.ASKED)
    ReviewTask.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    page = empty.client("reviewer").get("/queue/").content.decode()
    assert "3 reviews wait" in page
    assert "1 overdue" in page
    assert "Low confidence" in page
    narrowed = empty.client("reviewer").get("/queue/?reason=asked").content.decode()
    assert "LATE-1" not in narrowed


def test_gold_units_are_not_told_from_others(empty: Screens) -> None:
    unit = make_inspection(empty.site, empty.plan, reference="GOLD-1")
    queue.enqueue(unit, ReviewReason.GOLD, assigned_to=empty.users["reviewer"])
    page = empty.client("reviewer").get("/queue/").content.decode()
    assert "Gold" not in page
    assert "GOLD-1" not in page


def test_what_is_worth_most_is_reviewed_first_and_what_is_skipped_comes_later(
    empty: Screens,
) -> None:
    small, large = waiting(empty, "SMALL", 0.2), waiting(empty, "LARGE", 0.9)
    client = empty.client("reviewer")
    first = client.get("/queue/next/")["Location"]
    assert first == f"/inspections/{large.inspection_id}/?queue=1"
    second = client.get(f"/queue/next/?skip={large.inspection_id}")["Location"]
    assert second == f"/inspections/{small.inspection_id}/?queue=1"
    assert client.get(f"/queue/next/?skip={small.inspection_id}")["Location"] == "/queue/?queue=1"


def test_a_page_fetches_one_more_and_keeps_both(empty: Screens) -> None:
    tasks = [waiting(empty, f"U{n}") for n in range(3)]
    client = empty.client("reviewer")
    first = client.post("/queue/fetch/", {}).json()
    more = client.post("/queue/fetch/", {"have": [first["task"]]}).json()
    assert first["task"] != more["task"]
    assert more["address"].startswith(f"/inspections/{more['unit']}/?queue=1")
    kept = client.post("/queue/renew/", {"task": [first["task"], str(uuid4()), "x"]}).json()
    assert kept == {"tasks": [first["task"]]}
    colleague = User.objects.create_user("colleague", password="x")
    Membership.objects.create(site=empty.site, user=colleague, role=Role.REVIEWER)
    empty.users["colleague"] = colleague
    other = empty.client("colleague").post("/queue/fetch/", {}).json()
    assert {first["task"], more["task"], other["task"]} == {str(task.pk) for task in tasks}


def test_put_aside_it_goes_to_others(empty: Screens) -> None:
    task = waiting(empty, "U1")
    client = empty.client("reviewer")
    client.post("/queue/fetch/", {})
    assert client.post("/queue/pass/", {"task": str(task.pk)}).status_code == 204
    assert client.post("/queue/fetch/", {}).json() == {"task": None}
    assert empty.client("manager").post("/queue/fetch/", {}).json()["task"] == str(task.pk)


def test_handing_over_and_giving_back(empty: Screens) -> None:
    task = waiting(empty, "U1")
    manager = empty.users["manager"]
    client = empty.client("reviewer")
    answer = client.post(
        f"/queue/{task.pk}/hand-over/", {"to": manager.pk, "note": "You know this one"}, follow=True
    )
    assert f"Handed to {manager}" in answer.content.decode()
    theirs = empty.client("manager").get("/queue/").content.decode()
    assert "You know this one" in theirs
    refused = client.post(f"/queue/{task.pk}/take/", follow=True).content.decode()
    assert f"It was handed to {manager}" in refused
    for nobody in ("999999", "x"):
        answer = client.post(f"/queue/{task.pk}/hand-over/", {"to": nobody})
        assert answer.status_code in (302, 404)
    task.refresh_from_db()
    assert task.assigned_to == manager


def test_only_managers_set_due_times(empty: Screens) -> None:
    task = waiting(empty, "U1")
    assert empty.client("reviewer").post(f"/queue/{task.pk}/due/", {"hours": 4}).status_code == 403
    wrong = empty.client("manager").post(f"/queue/{task.pk}/due/", {"hours": "5"}, follow=True)
    assert "Choose one of the due times" in wrong.content.decode()
    empty.client("manager").post(f"/queue/{task.pk}/due/", {"hours": 4})
    task.refresh_from_db()
    assert task.due_at is not None
    assert timedelta(hours=3.9) < task.due_at - timezone.now() < timedelta(hours=4.1)


def test_a_decision_is_taken_back_over_http(empty: Screens) -> None:
    task = waiting(empty, "U1")
    client = empty.client("reviewer")
    client.post("/queue/fetch/", {})
    unit = f"/inspections/{task.inspection_id}"
    client.post(f"{unit}/decide/", {"disposition": "accept", "client_key": "a"})
    task.refresh_from_db()
    assert task.status == "done"
    answer = client.post(
        f"{unit}/undo/", {"of": "a", "client_key": "b"}, headers={"hx-request": "true"}
    )
    assert answer.status_code == 200
    assert "Waits for a person" in answer.content.decode()
    again = client.post(f"{unit}/undo/", {"of": "a", "client_key": "b"})
    assert again.status_code == 302, "the same request twice is one"
    other = client.post(
        f"{unit}/undo/", {"of": "a", "client_key": "c"}, headers={"hx-request": "true"}
    )
    assert other.status_code == 409
    assert Review.objects.filter(inspection=task.inspection_id).count() == 2
    task.refresh_from_db()
    assert (task.status, task.held_by) == ("open", empty.users["reviewer"])


def test_a_colleague_who_has_the_unit_is_named_on_its_page(empty: Screens) -> None:
    task = waiting(empty, "U1")
    empty.client("reviewer").post("/queue/fetch/", {})
    page = empty.client("manager").get(f"/inspections/{task.inspection_id}/").content.decode()
    assert f"{empty.users['reviewer']} is reviewing it right now" in page


@pytest.mark.parametrize(
    "bindings", ["", "[]", '{"a": "b"}', '{"a": [1]}', '{"": ["b"]}', json.dumps({"a": ["x" * 41]})]
)
def test_keys_that_make_no_sense_are_refused(empty: Screens, bindings: str) -> None:
    answer = empty.client("reviewer").post("/keys/", {"bindings": bindings})
    assert answer.status_code == 400
    assert not KeyMap.objects.exists()


def test_keys_are_kept_for_the_person_and_are_on_the_page(empty: Screens) -> None:
    client = empty.client("reviewer")
    assert client.post("/keys/", {"bindings": '{"decide.accept": ["y"]}'}).status_code == 204
    page = client.get(f"/inspections/{empty.inspection.pk}/").content.decode()
    assert '{"decide.accept": ["y"]}' in page
    other = empty.client("manager").get(f"/inspections/{empty.inspection.pk}/").content.decode()
    assert '{"decide.accept": ["y"]}' not in other
