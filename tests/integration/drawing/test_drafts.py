"""Drafts: every stroke is kept, late ones change nothing, two windows don't fight."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from drawing_world import add, disc, save, sent, shapes, start
from screen_world import Screens, make_inspection, make_screens

from inspection.models import Draft, Finding

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def put(
    world: Screens, session: str, sequence: Any, stroke: Any, who: str = "reviewer", **more: Any
) -> HttpResponse:
    content = stroke if isinstance(stroke, dict) else {"stroke": stroke}
    body = {"session": session, "sequence": sequence, "finding": None, "content": content, **more}
    address = f"{start(world)}draft/"
    return world.client(who).put(address, body, content_type="application/json")


def kept(world: Screens, who: str = "reviewer") -> Any:
    draft = world.client(who).get(f"{start(world)}draft/").json()["draft"]
    assert draft == world.client(who).get(f"{start(world)}state/").json()["draft"]
    return draft


def test_a_stroke_is_there_after_a_reload(screens: Screens) -> None:
    finding = str(screens.findings[0].pk)
    answer = put(screens, "page-1", 1, "a", finding=finding)
    assert (answer.status_code, answer.json()["sequence"]) == (200, 1)
    draft = kept(screens)
    assert (draft["session"], draft["sequence"], draft["finding"]) == ("page-1", 1, finding)
    assert draft["content"] == {"stroke": "a"}
    assert draft["updated_at"]


def test_a_stroke_that_comes_late_changes_nothing(screens: Screens) -> None:
    put(screens, "page-1", 3, "c")
    late = put(screens, "page-1", 2, "b")
    again = put(screens, "page-1", 3, "other")
    assert [one.json()["sequence"] for one in (late, again)] == [3, 3]
    assert kept(screens)["content"] == {"stroke": "c"}


def test_another_window_is_told_and_may_take_over(screens: Screens) -> None:
    put(screens, "page-1", 5, "mine")
    refused = put(screens, "page-2", 1, "other")
    assert refused.status_code == 409
    assert refused.json()["draft"]["content"] == {"stroke": "mine"}
    assert "another window" in refused.json()["error"]
    assert put(screens, "page-2", 1, "other", replaces="page-0").status_code == 409
    assert put(screens, "page-2", 1, "other", replaces="page-1").status_code == 200
    assert put(screens, "page-1", 6, "mine again").status_code == 409
    assert kept(screens)["content"] == {"stroke": "other"}


def test_drafts_are_of_one_person(screens: Screens) -> None:
    put(screens, "page-1", 1, "mine")
    assert kept(screens, "manager") is None
    assert put(screens, "page-1", 1, "theirs", who="manager").status_code == 200
    assert kept(screens)["content"] == {"stroke": "mine"}


def test_what_is_thrown_away_does_not_come_back_by_a_late_stroke(screens: Screens) -> None:
    put(screens, "page-1", 4, "d")
    client, address = screens.client("reviewer"), f"{start(screens)}draft/"
    assert client.delete(f"{address}?session=page-9&sequence=9").status_code == 409
    assert client.delete(f"{address}?session=page-1&sequence=6").status_code == 200
    assert put(screens, "page-1", 6, "late").json()["sequence"] == 6
    assert kept(screens) is None
    put(screens, "page-1", 7, "new")
    assert kept(screens)["content"] == {"stroke": "new"}
    assert client.delete(address).status_code == 200
    assert kept(screens) is None
    assert put(screens, "page-2", 1, "other window").status_code == 200


def test_saving_ends_the_draft_in_the_same_transaction(screens: Screens) -> None:
    put(screens, "page-1", 2, "b")
    wrong = save(screens, add(), draft={"session": "page-1", "sequence": 3})
    assert wrong.status_code == 422
    assert kept(screens) is not None
    mask = sent(disc(50, 50, 5))
    assert (
        save(screens, add(mask=mask), draft={"session": "page-1", "sequence": 3}).status_code == 200
    )
    put(screens, "page-1", 3, "late")
    assert kept(screens) is None


def test_a_finding_that_is_gone_does_not_cost_the_strokes(screens: Screens) -> None:
    put(screens, "page-1", 1, "a", finding=str(screens.findings[1].pk))
    Finding.objects.filter(pk=screens.findings[1].pk).delete()
    draft = kept(screens)
    assert (draft["finding"], draft["content"]) == (None, {"stroke": "a"})
    again = put(screens, "page-1", 2, "b", finding=str(screens.findings[1].pk))
    assert again.status_code == 200
    other = make_inspection(screens.site, screens.plan).findings.first()
    assert put(screens, "page-1", 3, "c", finding=str(other.pk)).status_code == 200
    assert kept(screens)["finding"] is None


@pytest.mark.parametrize(
    ("session", "sequence", "stroke"),
    [
        ("", 1, "a"),
        ("a b", 1, "a"),
        ("x" * 65, 1, "a"),
        ("page", -1, "a"),
        ("page", 2**60, "a"),
        ("page", "one", "a"),
        ("page", 1, "nul \0"),
        ("page", 1, "half \ud800"),
        ("page", 1, "x" * 3_000_001),
    ],
)
def test_what_can_not_be_kept_is_refused_with_words(
    screens: Screens, session: str, sequence: Any, stroke: str
) -> None:
    answer = put(screens, session, sequence, stroke)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert kept(screens) is None


def test_operators_and_other_sites_keep_nothing(screens: Screens) -> None:
    assert put(screens, "page-1", 1, "a", who="operator").status_code == 403
    assert put(screens, "page-1", 1, "a", who="stranger").status_code == 404
    assert not Draft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_strokes_sent_at_once_leave_the_latest() -> None:
    world = make_screens()
    codes: list[int] = []

    def go(sequence: int) -> None:
        try:
            codes.append(put(world, "page-1", sequence, str(sequence)).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(n,)) for n in (3, 1, 6, 2, 5, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 6
    assert kept(world)["content"] == {"stroke": "6"}
    assert Draft.objects.count() == 1
    assert len(shapes(world)) == 2
