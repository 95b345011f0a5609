"""Links: who makes them, what opens them, and that nothing else does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from dispute_world import decided, form, linked, over
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from judging_world import decide, rule
from screen_world import SECRET, Screens, make_finding, make_inspection

from inspection.models import DisputeLink, DisputeLook, Finding, Inspection, TryCount
from inspection.services.disputes import links, tokens, tries
from inspection.services.disputes.refusals import DisputeRefusedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def page(token: str) -> str:
    return f"/dispute/{token}/"


def test_the_token_is_stored_nowhere(screens: Screens) -> None:
    link, token = linked(screens)
    Client().post(page(token), form())
    Client().get(page(token))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', [f"%{token}%"]
            )
            assert cursor.fetchone() == (0,), table
    assert link.digest == tokens.digest_of(token)


def test_a_link_is_made_for_decided_units_only_and_says_so_alike_while_words_are_sealed(
    screens: Screens,
) -> None:
    who = screens.memberships["reviewer"]
    with pytest.raises(DisputeRefusedError) as waiting:
        links.make_link(who, screens.inspection)
    rule(screens.plan)
    decide(who, screens.inspection, "reject")
    with pytest.raises(DisputeRefusedError) as sealed:
        links.make_link(screens.memberships["manager"], screens.inspection)
    assert str(sealed.value) == str(waiting.value)
    decide(screens.memberships["manager"], screens.inspection, "reject")
    links.make_link(who, screens.inspection)


def test_who_makes_links_and_of_what(screens: Screens) -> None:
    unit = decided(screens)
    with pytest.raises(DisputeRefusedError, match="Only reviewers"):
        links.make_link(screens.memberships["operator"], unit)
    stranger = screens.stranger.memberships.get()
    with pytest.raises(DisputeRefusedError, match="another site"):
        links.make_link(stranger, unit)
    other = make_inspection(screens.site, screens.plan)
    with pytest.raises(DisputeRefusedError, match="does not stand"):
        linked(screens, other.findings.first())
    with pytest.raises(DisputeRefusedError, match="1 to 90 days"):
        linked(screens, days=91)


def test_the_page_shows_its_finding_and_no_other(screens: Screens) -> None:
    dent, scratch = screens.findings
    spare = make_finding(screens.inspection, screens.photo, screens.run, 5)
    _, token = linked(screens, scratch)
    answer = Client().get(page(token))
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "Scratch" in body
    assert "Dent" not in body
    assert str(dent.pk) not in body
    assert str(spare.pk) not in body
    assert "disposition" not in body
    assert "/inspections/" not in body
    assert "Decision:" not in body


def test_the_page_of_a_unit_shows_what_stands_with_the_plan_s_words(screens: Screens) -> None:
    Finding.objects.filter(pk=screens.findings[1].pk).update(status="rejected")
    _, token = linked(screens)
    body = Client().get(page(token)).content.decode()
    assert SECRET in body
    assert "Pressed in" in body
    assert "Scratch" not in body
    assert "Reject" in body
    assert "its scale in mm is not known" in body
    assert "scale-bar" not in body


def test_sizes_and_a_bar_in_mm_where_the_plan_knows_the_scale(screens: Screens) -> None:
    dent = screens.findings[0]
    Finding.objects.filter(pk=dent.pk).update(length_mm=15.0, area_mm2=150.0)
    _, token = linked(screens, dent)
    body = Client().get(page(token)).content.decode()
    assert "15.0 mm long, 150.0 mm²" in body
    assert "The white bar is 20 mm long." in body
    assert 'class="scale-bar"' in body


def test_headers_keep_the_page_to_whoever_has_the_link(screens: Screens) -> None:
    _, token = linked(screens)
    for address in (page(token), page("x" * 48)):
        answer = Client().get(address)
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert answer["Cache-Control"] == "private, no-store"
        assert not answer.cookies
        assert b'name="referrer" content="no-referrer"' in answer.content
        assert b"<nav" not in answer.content
        assert b'href="http' not in answer.content


def closed(client: Client, token: str, method: str = "get") -> tuple[int, bytes, list[str]]:
    data = form(draft="0" * 32) if method == "post" else {}
    answer = getattr(client, method)(page(token), data)
    names = sorted(name for name, _ in answer.items())
    return answer.status_code, answer.content, names


@pytest.mark.parametrize("method", ["get", "post"])
def test_revoked_expired_and_forged_tokens_get_one_answer(screens: Screens, method: str) -> None:
    expired, one = linked(screens)
    over(expired)
    revoked, two = linked(screens)
    links.revoke(screens.memberships["manager"], revoked)
    answers = {
        closed(Client(), token, method)[:2]
        for token in (one, two, tokens.new_token(), "x" * 48, "short", "é", "%00")
    }
    assert len(answers) == 1
    (status, body), *_ = answers
    assert status == 404
    assert b"ask whoever sent it" in body
    assert (b"It was like this before." in body) == (method == "post")
    assert DisputeLook.objects.count() == 0


@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 47), letter=st.characters(exclude_categories=["Cs"]))
def test_altered_tokens_open_nothing(screens: Screens, place: int, letter: str) -> None:
    TryCount.objects.all().delete()
    known = getattr(test_altered_tokens_open_nothing, "token", None)
    if known is None or not DisputeLink.objects.filter(digest=tokens.digest_of(known)).exists():
        known = linked(screens)[1]
        test_altered_tokens_open_nothing.token = known  # type: ignore[attr-defined]
    altered = known[:place] + letter + known[place + 1 :]
    answer = Client().get("/dispute/" + altered.replace("%", "%25") + "/")
    assert (answer.status_code == 200) == (altered == known)
    assert SECRET.encode() not in answer.content or altered == known
    assert links.find_link(altered) is None or altered == known


def test_pictures_open_through_the_token_only_and_only_those_shown(screens: Screens) -> None:
    dent = screens.findings[0]
    other = make_inspection(screens.site, screens.plan).photos.get()
    link, token = linked(screens, dent)
    picture = f"{page(token)}photos/{screens.photo.pk}/view"
    answer = Client().get(picture)
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content).startswith(b"\xff\xd8")
    assert answer["Cache-Control"] == "private, no-store"
    assert Client().get(f"{page(token)}photos/{other.pk}/view").status_code == 404
    assert Client().get(f"{page(token)}photos/{screens.photo.pk}/original").status_code == 404
    forged = f"{page(tokens.new_token())}photos/{screens.photo.pk}/view"
    assert Client().get(forged).status_code == 404
    assert Client().get(f"/photos/{screens.photo.pk}/view").status_code == 302
    links.revoke(screens.memberships["reviewer"], link)
    assert Client().get(picture).status_code == 404


def with_past(screens: Screens) -> Inspection:
    earlier = make_inspection(screens.site, screens.plan, reference=SECRET, status="decided")
    step = screens.run.steps.get(step="segment")
    step.output = {
        "earlier": {"inspection": str(earlier.pk), "photos": {str(screens.photo.pk): {}}}
    }
    step.save()
    return earlier


def opened(address: str) -> int:
    """The status; a file that is served is read to its end."""
    answer = Client().get(address)
    if answer.streaming:
        list(answer.streaming_content)
    return int(answer.status_code)


def test_the_earlier_photo_is_beside_it_if_the_maker_says_so(screens: Screens) -> None:
    before = with_past(screens).photos.get()
    _, token = linked(screens, screens.findings[0])
    body = Client().get(page(token)).content.decode()
    assert "has-before" in body
    assert "It is not on the earlier photo." in body
    assert opened(f"{page(token)}photos/{before.pk}/view") == 200
    _, token = linked(screens, screens.findings[0], shows_earlier=False)
    assert "has-before" not in Client().get(page(token)).content.decode()
    assert Client().get(f"{page(token)}photos/{before.pk}/view").status_code == 404


def test_the_earlier_photo_is_that_of_the_finding_that_it_goes_on_from(screens: Screens) -> None:
    earlier = make_inspection(screens.site, screens.plan, status="decided")
    dent = screens.findings[0]
    Finding.objects.filter(pk=dent.pk).update(earlier=earlier.findings.first(), history="worse")
    _, token = linked(screens, dent)
    body = Client().get(page(token)).content.decode()
    assert str(earlier.photos.get().pk) in body
    assert "has become worse" in body


def test_each_look_is_noted_and_those_of_the_site_are_told_apart(screens: Screens) -> None:
    link, token = linked(screens)
    Client(headers={"User-Agent": "Phone"}).get(page(token))
    Client(headers={"User-Agent": "Desk"}).get(page(token))
    screens.client("reviewer").get(page(token))
    screens.client("stranger").get(page(token))
    looks = list(link.looks.all())
    assert [look.user for look in looks] == [None, None, screens.users["reviewer"], None]
    assert looks[0].device != looks[1].device
    panel = screens.client("reviewer").get(f"/inspections/{link.inspection_id}/disputes/")
    assert "Opened 3 times" in panel.content.decode()


def test_what_is_written_once_can_not_be_changed(screens: Screens) -> None:
    from django.db import DatabaseError, transaction

    link, token = linked(screens)
    Client().get(page(token))
    Client().post(page(token), form())
    for rows in (link.looks.all(), link.statements.all()):
        for change in (rows.delete, lambda rows=rows: rows.update(created_at=timezone.now())):
            with pytest.raises(DatabaseError, match="pgtrigger"), transaction.atomic():
                change()


def test_forged_tokens_are_counted_and_do_not_shut_out_the_party(screens: Screens) -> None:
    _, token = linked(screens)
    statuses = [Client().get(page("x" * 48)).status_code for _ in range(33)]
    assert set(statuses[:29]) == {404}
    assert statuses[-1] == 429
    assert Client().get(page(token)).status_code == 200


def test_a_link_is_opened_so_often_a_minute(
    screens: Screens, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _token = linked(screens)
    monkeypatch.setattr(tries, "is_too_often", lambda *a: False)
    counted = [tries_of("a", 3) for _ in range(5)]
    assert counted == [False, False, False, True, True]


def tries_of(who: str, most: int) -> bool:
    import importlib

    module = importlib.import_module("inspection.views.dispute_page")
    return bool(module.is_too_often("test", who, most))


def test_no_token_comes_into_the_log(screens: Screens, caplog: pytest.LogCaptureFixture) -> None:
    _, token = linked(screens)
    Client().get(f"{page(token)}photos/{screens.plan.pk}/view")
    Client().post(page(token), form(body=""))
    assert token not in caplog.text
    assert not caplog.records


def test_old_counts_are_forgotten(screens: Screens) -> None:
    tries_of("b", 3)
    assert tries.forget() == 0
    TryCount.objects.update(minute=timezone.now() - timedelta(hours=1))
    assert tries.forget() == 1


def test_a_rerun_keeps_a_finding_that_a_link_shows(screens: Screens) -> None:
    from inspection.pipeline.settle import settle

    dent, scratch = screens.findings
    linked(screens, dent)
    settle(screens.run, [])
    assert Finding.objects.filter(pk=dent.pk).exists()
    assert not Finding.objects.filter(pk=scratch.pk).exists()


def test_making_and_revoking_on_the_page(screens: Screens) -> None:
    unit = decided(screens)
    client = screens.client("reviewer")
    address = f"/inspections/{unit.pk}/disputes/"
    sent = {"link-finding": "", "link-days": "3", "link-label": "Owner"}
    body = client.post(address, sent).content.decode()
    link = DisputeLink.objects.get()
    assert "shown only this once" in body
    token = body.split("/dispute/")[1].split("/")[0]
    assert links.find_link(token) == link
    assert token not in client.get(address).content.decode()
    assert not link.shows_earlier
    assert link.expires_at < timezone.now() + timedelta(days=3, minutes=1)
    bad = client.post(address, sent | {"link-days": "0"})
    assert "greater than or equal to 1" in bad.content.decode()
    assert (
        client.post(f"/disputes/{link.pk}/revoke/", headers={"HX-Request": "true"}).status_code
        == 200
    )
    link.refresh_from_db()
    assert link.revoked_by == screens.users["reviewer"]
    assert "Revoked by lid-reviewer" in client.get(address).content.decode()


def test_the_list_tells_of_links_of_the_site(screens: Screens) -> None:
    _, token = linked(screens, label="The owner")
    Client().post(page(token), form())
    answer = screens.client("reviewer").get("/disputes/?state=waiting")
    assert "The owner" in answer.content.decode()
    assert "Waits for answer" in answer.content.decode()
    assert "No links yet" in screens.client("stranger").get("/disputes/").content.decode()
    context = json.dumps(answer.headers.get("Content-Type"))
    assert "html" in context


def test_a_link_goes_by_mail_where_a_server_is_named(
    screens: Screens, settings: Any, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = decided(screens)
    client = screens.client("reviewer")
    address = f"/inspections/{unit.pk}/disputes/"
    sent = {"link-finding": "", "link-days": "3", "link-email": "owner@example.com"}
    assert "link-email" not in client.get(address).content.decode()
    client.post(address, sent)
    assert mailoutbox == []
    settings.EMAIL_HOST = "mail.example.com"
    assert "link-email" in client.get(address).content.decode()
    body = client.post(address, sent).content.decode()
    assert "It was sent to owner@example.com" in body
    assert mailoutbox[0].to == ["owner@example.com"]
    assert mailoutbox[0].body.count("/dispute/") == 1

    def refuse(self: Any, messages: Any) -> int:
        raise OSError("no route")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    body = client.post(address, sent).content.decode()
    assert "It was not sent by e-mail." in body
    assert "/dispute/" in body
