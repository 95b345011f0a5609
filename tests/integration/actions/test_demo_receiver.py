"""The built-in receiver: verifies, counts repeats, keeps little, shows what came."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from inspection.actions.webhook.destination import destination
from inspection.actions.webhook.signing import new_secret, signed_headers
from inspection.models import Connector, ReceivedWebhook
from inspection.models.choices import Role
from inspection.services import receiver as services

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
BODY = '{"type":"ping","data":{"message":"Hello"}}'


@pytest.fixture
def demo(works, settings):
    settings.SHOW_DEMO = True
    return Connector.objects.create(
        site=works.site, key="demo", name="Demo", url=path(works), secret=new_secret()
    )


def path(works):
    return "http://127.0.0.1:1" + reverse("demo-receiver-hook", args=[works.site.slug])


def post(client, works, secret, body=BODY, event_id="msg_1", **changes):
    headers = signed_headers([secret], event_id, datetime.now(UTC), body) | changes
    return client.post(
        reverse("demo-receiver-hook", args=[works.site.slug]),
        data=body,
        content_type="application/json",
        headers=headers,
    )


def page(client, works, role=Role.OPERATOR):
    client.force_login(works.members[role].user)
    return client.get(reverse("demo-receiver")).content.decode()


def test_a_genuine_event_is_taken_without_signing_in_and_shown(client, works, demo):
    assert post(client, works, demo.secret).status_code == 200
    shown = page(client, works)
    assert "Signature valid" in shown
    assert "Hello" in shown
    assert "msg_1" in shown


def test_a_forgery_is_turned_away_and_shown_as_such(client, works, demo):
    assert post(client, works, new_secret()).status_code == 401
    assert post(client, works, demo.secret, **{"webhook-signature": "v1,AAAA"}).status_code == 401
    shown = page(client, works)
    assert "Signature invalid" in shown
    assert "Signature valid" not in shown


def test_a_repeat_of_the_same_id_is_counted_and_not_doubled(client, works, demo):
    for _ in range(3):
        assert post(client, works, demo.secret).status_code == 200
    row = ReceivedWebhook.objects.get()
    assert (row.event_id, row.times) == ("msg_1", 3)
    assert "3 times" in page(client, works)


def test_a_forgery_cannot_touch_what_arrived_genuinely(client, works, demo):
    post(client, works, demo.secret)
    post(client, works, new_secret(), body='{"type":"forged"}')
    genuine = ReceivedWebhook.objects.get(event_id="msg_1")
    assert (genuine.signature_valid, genuine.times, genuine.body) == (True, 1, BODY)


def test_a_flood_of_forgeries_drives_out_nothing_genuine(client, works, demo, monkeypatch):
    monkeypatch.setattr(services, "KEPT", {True: 3, False: 2})
    for number in range(5):
        post(client, works, demo.secret, event_id=f"msg_{number}")
    for number in range(5):
        post(client, works, new_secret(), event_id=f"forged_{number}")
    kept = ReceivedWebhook.objects.filter(signature_valid=True).values_list("event_id", flat=True)
    assert set(kept) == {"msg_2", "msg_3", "msg_4"}
    assert ReceivedWebhook.objects.filter(signature_valid=False).count() == 2


def test_no_more_than_200_are_kept():
    assert sum(services.KEPT.values()) == 200


def test_a_body_over_64_kb_is_refused(client, works, demo):
    answer = post(client, works, demo.secret, body='"' + "x" * 64_000 + '"')
    assert answer.status_code == 413
    assert not ReceivedWebhook.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "\x00", '{"a":"\\u0000"}', "[" * 5000, '{"data":[]}', "9" * 9000,
             '{"data":{"inspection":{"id":"x"},"finding":7,"title":{}}}']
)  # fmt: skip
def test_no_body_breaks_the_page(client, works, demo, body):
    assert post(client, works, demo.secret, body=body).status_code == 200
    post(client, works, new_secret(), body=body)
    assert "Signature valid" in page(client, works)


def test_what_arrives_is_shown_as_text(client, works, demo):
    post(client, works, demo.secret, body='{"data":{"title":"<img src=x onerror=alert(1)>"}}')
    assert "<img src=x" not in page(client, works)


def test_each_site_sees_its_own(client, works, demo, elsewhere):
    post(client, works, demo.secret)
    assert "Hello" not in page(client, elsewhere)
    assert post(client, elsewhere, demo.secret).status_code == 404


def test_with_the_demo_off_there_is_no_receiver(client, works, demo, settings):
    settings.SHOW_DEMO = False
    assert post(client, works, demo.secret).status_code == 404
    client.force_login(works.members[Role.ADMIN].user)
    assert client.get(reverse("demo-receiver")).status_code == 404


def test_reading_the_hook_is_not_possible(client, works, demo):
    assert client.get(reverse("demo-receiver-hook", args=[works.site.slug])).status_code == 405


def test_the_page_is_sent_again_only_when_there_is_news(client, works, demo):
    post(client, works, demo.secret)
    client.force_login(works.members[Role.OPERATOR].user)
    htmx = {"HX-Request": "true"}
    first = client.get(reverse("demo-receiver"), headers=htmx)
    here = f"{reverse('demo-receiver')}?seen={first.context['marker']}"
    assert client.get(here, headers=htmx).status_code == 204
    post(client, works, demo.secret)
    assert client.get(here, headers=htmx).status_code == 200


def test_the_demo_connector_follows_the_port_of_the_application(works, demo, settings):
    settings.PUBLIC_URL = "http://127.0.0.1:8765"
    where = destination(demo)
    assert where.url == "http://127.0.0.1:8765/demo/receiver/works/hook"
    assert where.inside
    settings.SHOW_DEMO = False
    assert not destination(demo).inside


@pytest.mark.parametrize("change", [{"key": "other"}, {"url": "http://127.0.0.1:1/admin"}])
def test_only_the_demo_connector_to_the_receiver_may_call_this_machine(demo, change):
    Connector.objects.filter(pk=demo.pk).update(**change)
    demo.refresh_from_db()
    assert not destination(demo).inside
