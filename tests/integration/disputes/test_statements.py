"""Statements and photos of the party: kept once, nothing lost, and put before a reviewer."""

from __future__ import annotations

import uuid
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from dispute_world import form, linked, over, photo
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone
from screen_world import Screens

from inspection.models import DisputeLink, DisputePhoto, DisputeStatement, ReviewTask
from inspection.services.disputes import links, photos, statements
from inspection.services.disputes.refusals import DisputeRefusedError, LinkClosedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
JSON = {"Accept": "application/json"}


def page(token: str) -> str:
    return f"/dispute/{token}/"


def test_a_statement_has_a_reference_a_deadline_and_a_place_in_the_queue(
    screens: Screens, worker: None
) -> None:
    link, token = linked(screens, screens.findings[0])
    answer = Client().post(page(token), form(name="Owner", photos=[photo()]))
    assert answer.status_code == 303
    said = link.statements.get()
    body = Client().get(answer["Location"]).content.decode()
    assert said.reference in body
    assert "You get an answer on this page by" in body
    assert timedelta(days=4.9) < said.due_at - timezone.now() < timedelta(days=5)
    task = ReviewTask.objects.get(reason="dispute")
    assert task.due_at == said.due_at
    assert said.reference in task.note
    assert task.not_for == screens.users["manager"]
    shown = screens.client("reviewer").get(f"/inspections/{link.inspection_id}/disputes/")
    assert "It was like this before." in shown.content.decode()
    assert f"/disputes/photos/{said.photos.get().pk}/thumb" in shown.content.decode()


def test_photos_are_re_encoded_and_the_original_is_not_served(
    screens: Screens, worker: None
) -> None:
    _link, token = linked(screens)
    Client().post(page(token), form(photos=[photo()]))
    row = DisputePhoto.objects.get()
    assert row.status == "ready"
    assert (row.width, row.height) == (200, 150)
    assert default_storage.exists(row.original_key)
    for client, address in (
        (Client(), f"{page(token)}photos/{row.pk}/view"),
        (screens.client("reviewer"), f"/disputes/photos/{row.pk}/view"),
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        data = b"".join(answer.streaming_content)
        assert data.startswith(b"\xff\xd8")
        assert b"Exif" not in data
    assert screens.client("operator").get(f"/disputes/photos/{row.pk}/view").status_code == 403
    assert screens.client("stranger").get(f"/disputes/photos/{row.pk}/view").status_code == 404
    _, other = linked(screens)
    assert Client().get(f"{page(other)}photos/{row.pk}/view").status_code == 404


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"%PDF-1.7 nothing", "PDF"), (b"MZ" + b"\0" * 90, "photo")],
)
def test_what_is_no_photo_is_refused_and_nothing_is_lost(
    screens: Screens, worker: None, data: bytes, words: str
) -> None:
    link, token = linked(screens)
    sent = form(photos=[photo("good.jpg"), photo("bad.jpg", data=data)], body="Kept words")
    answer = Client().post(page(token), sent)
    body = answer.content.decode()
    assert answer.status_code == 422
    assert words in body
    assert "Kept words" in body
    assert "good.jpg: kept" in body
    assert sent["draft"] in body
    assert not link.statements.exists()
    again = Client().post(page(token), form(draft=sent["draft"], body="Kept words"))
    assert again.status_code == 303
    assert [row.name for row in link.statements.get().photos.all()] == ["good.jpg"]


def test_a_damaged_photo_is_told_and_stays_out_of_the_statement(
    screens: Screens, worker: None
) -> None:
    link, token = linked(screens)
    draft = str(uuid.uuid4())
    whole = photo().read()
    cut = photo("cut.jpg", data=whole[: len(whole) // 3])
    told = Client().post(
        f"{page(token)}photos/", {"draft": draft, "key": "a", "photo": cut}, headers=JSON
    )
    assert told.status_code == 200
    listed = Client().get(f"{page(token)}photos/?draft={draft}").json()["photos"]
    assert listed[0]["status"] == "unusable"
    assert "damaged" in listed[0]["message"]
    Client().post(page(token), form(draft=draft))
    assert not link.statements.get().photos.exists()


def test_photos_are_bounded_in_number_and_size(
    screens: Screens, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _link, token = linked(screens)
    draft = str(uuid.uuid4())

    def send(key: str) -> Any:
        body = {"draft": draft, "key": key, "photo": photo()}
        return Client().post(f"{page(token)}photos/", body, headers=JSON)

    assert [send(str(n)).status_code for n in range(7)] == [200] * 6 + [422]
    assert send("0").status_code == 200, "the same one again is the same photo"
    assert DisputePhoto.objects.count() == 6
    assert Client().post(f"{page(token)}photos/{uuid.uuid4()}/remove/").status_code == 200
    first = DisputePhoto.objects.first()
    assert first is not None
    assert Client().post(f"{page(token)}photos/{first.pk}/remove/").status_code == 200
    assert send("7").status_code == 200
    monkeypatch.setattr(photos, "MOST_BYTES", 100)
    answer = send("8")
    assert answer.status_code in (413, 422)
    assert "smaller" in answer.json()["message"]


def test_an_empty_or_endless_statement_is_refused_with_its_words_kept(screens: Screens) -> None:
    link, token = linked(screens)
    assert Client().post(page(token), form(body=" \0 ")).status_code == 422
    long = Client().post(page(token), form(body="word " * 900))
    assert long.status_code == 422
    assert "Shorten it" in long.content.decode()
    assert long.content.decode().count("word ") >= 899
    assert not link.statements.exists()


def test_markup_of_the_party_is_only_text(screens: Screens) -> None:
    link, token = linked(screens)
    evil = "<script>alert(1)</script>"
    Client().post(page(token), form(body=evil, name=evil))
    for body in (
        Client().get(page(token)).content.decode(),
        screens.client("reviewer")
        .get(f"/inspections/{link.inspection_id}/disputes/")
        .content.decode(),
    ):
        assert evil not in body
        assert "&lt;script&gt;alert(1)" in body


def test_after_the_end_nothing_is_taken_but_the_answer_can_be_read(screens: Screens) -> None:
    link, token = linked(screens)
    Client().post(page(token), form())
    over(link)
    answer = Client().post(page(token), form(body="Too late, but kept"))
    assert answer.status_code == 409
    assert "Too late, but kept" in answer.content.decode()
    assert link.statements.count() == 1
    assert "The time to write ended" in Client().get(page(token)).content.decode()
    add = Client().post(
        f"{page(token)}photos/", {"draft": str(uuid.uuid4()), "key": "k", "photo": photo()}
    )
    assert add.status_code == 409
    DisputeLink.objects.update(readable_until=timezone.now() - timedelta(seconds=1))
    assert Client().get(page(token)).status_code == 404


def test_the_same_form_twice_is_one_statement(screens: Screens) -> None:
    link, token = linked(screens)
    sent = form()
    references = {
        Client().post(page(token), sent, headers=JSON).json()["reference"] for _ in range(3)
    }
    assert len(references) == 1
    assert link.statements.count() == 1


def test_a_second_statement_does_not_move_the_deadline_of_the_first(screens: Screens) -> None:
    link, token = linked(screens)
    Client().post(page(token), form())
    first = link.statements.get()
    Client().post(page(token), form(body="And one more thing"))
    task = ReviewTask.objects.get(reason="dispute")
    assert task.due_at == first.due_at
    assert ReviewTask.objects.filter(reason="dispute").count() == 1


def test_drafts_that_were_never_sent_are_deleted_with_their_files(
    screens: Screens, worker: None
) -> None:
    _link, token = linked(screens)
    draft = str(uuid.uuid4())
    Client().post(f"{page(token)}photos/", {"draft": draft, "key": "k", "photo": photo()})
    row = DisputePhoto.objects.get()
    assert photos.tidy_up() == 0
    DisputePhoto.objects.update(created_at=timezone.now() - timedelta(days=3))
    from django.test import TestCase

    with TestCase.captureOnCommitCallbacks(execute=True):
        assert photos.tidy_up() == 1
    assert not DisputePhoto.objects.exists()
    assert not default_storage.exists(row.original_key)


def test_the_sweeper_wakes_a_worker_for_photos_that_none_has_read(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    _link, token = linked(screens)
    monkeypatch.setattr(photos, "wake", lambda pk: False)
    Client().post(page(token), form(photos=[photo()]))
    woken: list[Any] = []
    monkeypatch.setattr(photos, "wake", lambda pk: not woken.append(pk))
    DisputePhoto.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert photos.tidy_up() == 1
    assert woken == [DisputePhoto.objects.get().pk]


def at_once(*jobs: Any) -> list[Any]:
    """Run them in threads that begin together; what each returned or raised."""
    start, results = Barrier(len(jobs)), [None] * len(jobs)

    def run(index: int, job: Any) -> None:
        start.wait()
        try:
            results[index] = job()
        except DisputeRefusedError as error:
            results[index] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=(n, job)) for n, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.django_db(transaction=True)
def test_two_statements_at_once_are_two_with_numbers_of_their_own(screens: Screens) -> None:
    link, _ = linked(screens)
    drafts = [uuid.uuid4() for _ in range(4)]
    made = at_once(*(lambda d=d: statements.state(link, d, "Mine") for d in drafts))
    assert sorted(one.number for one in made) == [1, 2, 3, 4]
    same = uuid.uuid4()
    twice = at_once(*[lambda: statements.state(link, same, "Same")] * 3)
    assert len({one.pk for one in twice}) == 1
    assert ReviewTask.objects.filter(reason="dispute", status="open").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_statement_at_the_moment_of_revoking_is_there_or_refused(screens: Screens) -> None:
    for _ in range(4):
        link, _ = linked(screens)
        said, _ = at_once(
            lambda link=link: statements.state(link, uuid.uuid4(), "Mine"),
            lambda link=link: links.revoke(screens.memberships["manager"], link),
        )
        link.refresh_from_db()
        assert link.revoked_at is not None
        if isinstance(said, DisputeStatement):
            assert link.statements.count() == 1
        else:
            assert isinstance(said, LinkClosedError)
            assert not link.statements.exists()


def test_so_many_statements_and_no_more(screens: Screens) -> None:
    link, _ = linked(screens)
    for _ in range(statements.MOST_STATEMENTS):
        statements.state(link, uuid.uuid4(), "Again")
    with pytest.raises(DisputeRefusedError, match="No more"):
        statements.state(link, uuid.uuid4(), "Again")
