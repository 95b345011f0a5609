"""Comments with places, threads, mentions and an inbox."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from judging_world import key
from screen_world import Screens, make_inspection, make_screens

from inspection.models import Comment, Mention
from inspection.selectors.comments import notices_of, threads_of, unread_count
from inspection.services import comments

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def say(world: Screens, who: str, body: str, **more: Any) -> Comment:
    return comments.add_comment(world.memberships[who], world.inspection, body, key(), **more)


def test_a_member_who_is_named_hears_of_it_and_nobody_else(screens: Screens) -> None:
    say(screens, "operator", "@lid-reviewer and @LID-MANAGER: look, @nobody @stranger a@lid-admin")
    named = {row.user.username: row.kind for row in Mention.objects.select_related("user")}
    assert named == {"lid-reviewer": "mention", "lid-manager": "mention"}


def test_whoever_takes_part_in_a_thread_hears_of_answers(screens: Screens) -> None:
    begun = say(screens, "operator", "What is this?")
    say(screens, "reviewer", "A dent.", thread=begun)
    say(screens, "manager", "@lid-reviewer sure?", thread=begun)
    told = [
        (m.user.username, m.kind) for m in Mention.objects.select_related("user").order_by("pk")
    ]
    assert told[0] == ("lid-operator", "reply")
    assert sorted(told[1:]) == [("lid-operator", "reply"), ("lid-reviewer", "mention")]


def test_a_place_is_on_a_photo_of_this_unit(screens: Screens) -> None:
    place = comments.Place(screens.photo, 0.25, 0.5)
    pinned = say(screens, "operator", "here", place=place)
    assert (pinned.photo, pinned.x, pinned.y) == (screens.photo, 0.25, 0.5)
    other = make_inspection(screens.site, screens.plan, reference="Other").photos.get()
    for wrong in (
        comments.Place(other, 0.5, 0.5),
        comments.Place(screens.photo, 1.5, 0.5),
        comments.Place(screens.photo, float("nan"), 0.5),
    ):
        with pytest.raises(comments.CommentRefusedError, match="pin"):
            say(screens, "operator", "here", place=wrong)


@pytest.mark.parametrize(("body", "words"), [("  \0 ", "Write something"), ("x" * 2001, "2000")])
def test_what_can_not_be_kept_is_refused_with_words(
    screens: Screens, body: str, words: str
) -> None:
    with pytest.raises(comments.CommentRefusedError, match=words):
        say(screens, "operator", body)


def test_resolving_is_for_its_author_and_reviewers(screens: Screens) -> None:
    mine, theirs = say(screens, "operator", "mine"), say(screens, "manager", "theirs")
    comments.set_resolved(screens.memberships["operator"], mine, True)
    with pytest.raises(comments.CommentRefusedError, match="author and reviewers"):
        comments.set_resolved(screens.memberships["operator"], theirs, True)
    comments.set_resolved(screens.memberships["reviewer"], theirs, True)
    comments.set_resolved(screens.memberships["reviewer"], mine, False)
    order = [t.comment.pk for t in threads_of(screens.inspection, screens.users["operator"])]
    assert order == [mine.pk, theirs.pk], "resolved ones come last"


def test_the_inbox_counts_what_is_unread(screens: Screens) -> None:
    made = say(screens, "operator", "@lid-reviewer look")
    reviewer, client = screens.memberships["reviewer"], screens.client("reviewer")
    assert unread_count(reviewer) == 1
    assert "1 unread" in client.get("/upload/").content.decode()
    notice = notices_of(reviewer).get()
    answer = client.get(f"/inbox/{notice.pk}/")
    assert answer["Location"].endswith(f"/#comment-{made.pk}")
    assert unread_count(reviewer) == 0
    assert screens.client("manager").get(f"/inbox/{notice.pk}/").status_code == 404
    say(screens, "operator", "@lid-reviewer again")
    client.post("/inbox/read/")
    assert unread_count(reviewer) == 0


def test_over_the_wire_with_refusals_in_words(screens: Screens) -> None:
    client = screens.client("operator")
    page = f"/inspections/{screens.inspection.pk}/comments/"
    sent = {"body": "<b>here</b>", "client_key": key(), "photo": str(screens.photo.pk)}
    sent |= {"x": "0.5", "y": "0.5"}
    for _ in range(2):
        answer = client.post(page, sent)
        assert answer.status_code == 200
        assert "&lt;b&gt;here" in answer.content.decode()
    assert Comment.objects.count() == 1
    for wrong in ({"x": "left"}, {"photo": "no"}, {"thread": "no"}, {"body": ""}):
        answer = client.post(page, sent | {"client_key": key()} | wrong)
        assert answer.status_code == 409
        assert answer["X-Message"]
    assert screens.client("stranger").get(page).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_ten_clicks_at_once_are_one_comment() -> None:
    world, again = make_screens(), key()

    def click() -> None:
        try:
            comments.add_comment(
                world.memberships["operator"], world.inspection, "@lid-admin once", again
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Comment.objects.count() == 1
    assert Mention.objects.count() == 1
