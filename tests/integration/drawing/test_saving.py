"""Saving a drawing: all or nothing, once, and never over somebody else's word."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import numpy as np
import pytest
from django.db import connection
from drawing_world import add, change, disc, reject, save, sent, shapes, start
from screen_world import Screens, make_screens

from inspection.models import Finding, Inspection, JudgingRule, PlanVersion, Review, Run
from inspection.pipeline.settle import settle
from inspection.selectors.learning_labels import judged_units
from inspection.services import reviews
from inspection.services.undo import undo
from models_runtime import masks

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_new_mask_is_measured_and_the_models_own_stays_readable(screens: Screens) -> None:
    _in_mm(screens, 0.5)
    pixels = disc(100, 60, 12)
    before = screens.findings[0]
    answer = save(screens, change(shapes(screens)[0], mask=sent(pixels), type="scratch"))
    assert answer.status_code == 200, answer.content
    row = Finding.objects.get(pk=before.pk)
    assert (row.x1, row.y1, row.x2, row.y2) == (88, 48, 113, 73)
    assert row.area_px == pixels.sum()
    assert row.area_mm2 == pytest.approx(pixels.sum() * 0.25, abs=1e-4)
    assert row.length_px == pytest.approx(masks.length(masks.encode(pixels)), abs=0.01)
    assert row.length_mm == pytest.approx(row.length_px / 2, abs=0.01)
    assert (row.type, row.status, row.model_type) == ("scratch", "confirmed", "dent")
    own = screens.client("reviewer").get(f"{start(screens)}masks/{row.pk}/").json()
    assert own["mask"] == sent(pixels)
    assert own["model"]["mask"]["counts"] == before.mask_counts
    assert (own["model"]["type"], own["model"]["box"]) == ("dent", [10, 20, 30, 20])
    (review,) = Review.objects.all()
    assert (review.kind, review.reviewer) == ("change_finding", screens.users["reviewer"])
    assert review.before["mask_counts"] == before.mask_counts
    assert review.after["mask_counts"] == row.mask_counts


def _in_mm(world: Screens, scale: float) -> None:
    version = world.plan.current
    spec = {**version.spec, "mm_per_px": scale}
    made = PlanVersion.objects.create(site=world.site, plan=world.plan, number=9, spec=spec)
    Inspection.objects.filter(pk=world.inspection.pk).update(plan_version=made)


def test_a_finding_that_a_person_adds_counts_like_any_other(screens: Screens) -> None:
    for shape in shapes(screens):
        save(screens, reject(shape, "dirt"))
    answer = save(screens, add(mask=sent(disc(30, 100, 6)), severity="critical", type="scratch"))
    assert answer.status_code == 200
    row = Finding.objects.get(source="person")
    assert (row.status, row.run, row.confidence) == ("confirmed", None, 1.0)
    screens.inspection.refresh_from_db()
    assert screens.inspection.severity == "critical"
    made = [shape for shape in answer.json()["findings"] if shape["source"] == "person"]
    assert made[0]["mask"] == sent(disc(30, 100, 6))
    assert Review.objects.get(kind="add_finding").finding == row


def test_split_and_merge_are_saved_in_one_go(screens: Screens) -> None:
    first, second = shapes(screens)
    left, right = disc(40, 60, 10), disc(90, 60, 10)
    parts = [change(first, mask=sent(left)), add(mask=sent(right), type="scratch")]
    assert save(screens, *parts).status_code == 200
    now = {shape["id"]: shape for shape in shapes(screens)}
    whole = change(now[first["id"]], mask=sent(left | right))
    merged = save(screens, whole, reject(now[second["id"]])).json()["findings"]
    by_id = {shape["id"]: shape for shape in merged}
    assert by_id[first["id"]]["mask"] == sent(left | right)
    assert by_id[second["id"]]["status"] == "rejected"
    assert Review.objects.filter(reason="duplicate").count() == 1


def test_a_save_that_is_sent_again_changes_nothing(screens: Screens) -> None:
    shape, key = shapes(screens)[0], uuid.uuid4().hex
    body = [change(shape, mask=sent(disc(60, 60, 9))), add(mask=sent(disc(20, 20, 5)))]
    first, again = (save(screens, *body, key=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert Review.objects.count() == 2
    assert Finding.objects.filter(source="person").count() == 1


def test_what_changed_meanwhile_is_told_and_nothing_is_saved(screens: Screens) -> None:
    mine = shapes(screens)
    other = screens.memberships["manager"]
    reviews.reject_finding(other, screens.findings[0], "k", reason="dirt")
    answer = save(screens, change(mine[1], severity="critical"), change(mine[0], type="scratch"))
    assert answer.status_code == 409
    told = answer.json()
    assert told["conflicts"] == [mine[0]["id"]]
    assert "Somebody has changed this" in told["error"]
    assert {shape["status"] for shape in told["findings"]} == {"rejected", "open"}
    assert Review.objects.count() == 1
    assert Finding.objects.get(pk=mine[1]["id"]).severity == "minor"


def test_a_finding_that_models_dropped_meanwhile_is_a_conflict(screens: Screens) -> None:
    mine = shapes(screens)
    second = Run.objects.create(
        site=screens.site, inspection=screens.inspection, number=2, status="done"
    )
    settle(second, [])
    answer = save(screens, change(mine[0], type="scratch"))
    # A finding with a ticket stays, the other one is gone.
    assert answer.status_code in (200, 409)
    gone = save(screens, change(mine[1], type="dent"))
    assert (gone.status_code, gone.json()["conflicts"]) == (409, [mine[1]["id"]])


EMPTY = sent(np.zeros((150, 200), bool))
DISC = sent(disc(50, 50, 5))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mask": EMPTY}, "empty"),
        ({"mask": {"size": [200, 150], "counts": DISC["counts"]}}, "but this one has 200 × 150"),
        ({"mask": {"size": [150, 200], "counts": DISC["counts"][:-2]}}, "mask"),
        ({"mask": {"size": [150, 200], "counts": "\0"}}, "characters"),
        ({"mask": {"size": [150, 200], "counts": "0" * 400_001}}, "400000 characters"),
        ({"mask": {"size": [150, 200]}}, "counts"),
        ({"mask": "o"}, "mask"),
        ({"mask": None}, "box first"),
        ({"mask": None, "box": [190, 0, 20, 10]}, "outside the photo"),
        ({"mask": None, "box": [-5, 0, 20, 10]}, "outside the photo"),
        ({"mask": None, "box": [5, 5, 0.2, 10]}, "smaller than a pixel"),
        ({"mask": None, "box": [5, 5, 1e9, 10]}, "box"),
        ({"type": "rust"}, "not in the plan"),
        ({"type": "\0"}, "not in the plan"),
        ({"severity": "huge"}, "minor, major or critical"),
        ({"op": "reject", "reason": "boredom"}, "one of the reasons"),
        ({"op": "reject", "reason": "other"}, "Say in the comment"),
        ({"op": "burn"}, "burn"),
    ],
)
def test_a_wrong_change_is_refused_with_words_and_its_place(
    screens: Screens, fields: dict[str, Any], words: str
) -> None:
    good, wrong = shapes(screens)
    answer = save(screens, change(good, severity="critical"), change(wrong) | fields)
    assert answer.status_code == 422, answer.content
    told = answer.json()
    assert told["index"] == 1
    assert words in told["error"]
    assert not Review.objects.exists()
    assert Finding.objects.filter(severity="critical").count() == 0


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", '"x"', '{"client_key":"abcdefgh","changes":[]}', '{"client_key":"a b"}',
     '{"client_key":"abcdefgh","changes":[{"op":"add","type":"dent","severity":"minor",'
     '"box":[NaN,1,2,3]}]}', "[" * 100_000, "\xff"],
)  # fmt: skip
def test_a_senseless_body_is_refused(screens: Screens, body: str) -> None:
    client = screens.client("reviewer")
    answer = client.post(
        f"{start(screens)}save/", body.encode("latin-1"), content_type="application/json"
    )
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_body_that_is_too_large_is_refused_with_words(screens: Screens) -> None:
    answer = screens.client("reviewer").post(
        f"{start(screens)}save/", "x" * 7_000_000, content_type="application/json"
    )
    assert answer.status_code == 413
    assert "fewer findings" in answer.json()["error"]


def test_the_same_finding_twice_in_one_save_is_refused(screens: Screens) -> None:
    shape = shapes(screens)[0]
    answer = save(screens, change(shape, type="scratch"), reject(shape))
    assert (answer.status_code, answer.json()["index"]) == (422, 1)


def test_what_was_not_changed_is_no_verdict(screens: Screens) -> None:
    shape = shapes(screens)[0]
    same = change(shape, mask=shape["mask"], type=shape["type"], severity=shape["severity"])
    assert save(screens, same).status_code == 200
    assert not Review.objects.exists()
    assert Finding.objects.get(pk=shape["id"]).status == "open"


def test_a_box_alone_can_be_drawn_and_moved(screens: Screens) -> None:
    save(screens, add(box=[10.5, 20, 30, 15]))
    row = Finding.objects.get(source="person")
    assert (row.x1, row.x2, row.mask_counts, row.area_px) == (10.5, 40.5, "", 450)
    (shape,) = [one for one in shapes(screens) if one["source"] == "person"]
    assert shape["mask"] is None
    assert save(screens, change(shape, box=[0, 0, 200, 150])).status_code == 200
    row.refresh_from_db()
    assert (row.x1, row.y1, row.x2, row.y2) == (0, 0, 200, 150)


def test_operators_save_nothing_and_other_sites_find_nothing(screens: Screens) -> None:
    shape = shapes(screens)[0]
    assert save(screens, change(shape, type="scratch"), who="operator").status_code == 403
    assert save(screens, change(shape, type="scratch"), who="stranger").status_code == 404
    assert not Review.objects.exists()


def test_after_a_sealed_word_its_author_draws_no_more_and_the_rows_tell_nothing(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    JudgingRule.objects.create(site=screens.site, plan=screens.plan, share=1.0)
    before = shapes(screens)
    mine = sent(disc(60, 60, 20))
    assert save(screens, change(before[0], mask=mine), add(mask=DISC)).status_code == 200
    reviews.decide(screens.memberships["reviewer"], screens.inspection, "reject", "k1")
    assert shapes(screens, "manager") == before
    refused = save(screens, change(before[1], type="dent"))
    assert refused.status_code == 409
    assert "Your word on this unit is in" in refused.json()["error"]
    page = screens.client("reviewer").get(start(screens)).content.decode()
    assert '"can_edit": false' in page
    address = f"{start(screens)}masks/{before[0]['id']}/"
    assert screens.client("manager").get(address).json()["model"] is None
    manager = screens.memberships["manager"]
    assert save(screens, change(before[0], mask=mine), who="manager").status_code == 200
    reviews.decide(manager, screens.inspection, "reject", "k2")
    assert Finding.objects.get(pk=before[0]["id"]).mask_counts == mine["counts"]


def test_what_is_learnt_from_is_the_persons_outline(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    first, second = shapes(screens)
    save(screens, change(first, mask=sent(disc(60, 60, 20))), reject(second, "dirt"))
    reviews.decide(screens.memberships["reviewer"], screens.inspection, "reject", "k")
    (unit,) = judged_units(screens.plan)
    by_key = {str(one.row.pk): one for one in unit.findings}
    assert by_key[first["id"]].is_defect
    assert (by_key[first["id"]].row.x1, by_key[first["id"]].row.area_px) == (40, 1257)
    assert not by_key[second["id"]].is_defect


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_once_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_screens()
    before = shapes(world)
    answers: list[Any] = []
    together = threading.Barrier(2)

    def go(who: str, radius: int) -> None:
        together.wait()
        try:
            body = [change(before[0], mask=sent(disc(70, 70, radius)))]
            answers.append(save(world, *body, add(mask=DISC), who=who))
        finally:
            connection.close()

    threads = [
        threading.Thread(target=go, args=told) for told in (("reviewer", 10), ("manager", 20))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert Review.objects.count() == 2
    assert Finding.objects.filter(source="person").count() == 1
    winner = next(answer for answer in answers if answer.status_code == 200)
    kept = Finding.objects.get(pk=before[0]["id"]).mask_counts
    by_id = {shape["id"]: shape for shape in winner.json()["findings"]}
    assert by_id[before[0]["id"]]["mask"]["counts"] == kept


@pytest.mark.django_db(transaction=True)
def test_one_save_sent_five_times_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_screens()
    before, key = shapes(world), uuid.uuid4().hex
    answers: list[int] = []

    def go() -> None:
        try:
            body = [change(before[0], severity="critical"), add(mask=DISC)]
            answers.append(save(world, *body, key=key).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 5
    assert Review.objects.count() == 2


def test_what_was_drawn_can_be_taken_back(screens: Screens) -> None:
    before = shapes(screens)
    key = uuid.uuid4().hex
    mask = sent(disc(60, 60, 9))
    body = [change(before[0], mask=mask, type="scratch"), add(mask=DISC, severity="critical")]
    assert save(screens, *body, key=key).status_code == 200
    person = screens.memberships["reviewer"]
    for place in (0, 1):
        undo(person, screens.inspection, f"{key}.{place}", f"back-{place}")
    now = {shape["id"]: shape for shape in shapes(screens)}
    # What was added stays in the list, rejected, and is counted.
    assert now[before[0]["id"]] | {"number": 1} == before[0]
    (added,) = [shape for shape in now.values() if shape["source"] == "person"]
    assert added["status"] == "rejected"
    screens.inspection.refresh_from_db()
    assert screens.inspection.severity == "major"
