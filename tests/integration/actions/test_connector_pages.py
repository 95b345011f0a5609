"""Pages of connectors and deliveries: who sees what, and what they do."""

from __future__ import annotations

import pytest
from django.urls import reverse

from inspection.actions.act import act_on
from inspection.actions.outbox import enqueue
from inspection.models import Connector, Delivery
from inspection.models.choices import Role

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
FORM = {"name": "Desk", "key": "help-desk", "url": "https://t.example.com/h"}


@pytest.fixture
def as_role(works, client):
    def sign_in(role):
        client.force_login(works.members[role].user)
        return client

    return sign_in


def addresses(works):
    delivery = enqueue(works.connector, "ping", {"secret-of": works.site.slug})
    return {
        reverse("connectors"): Role.ADMIN,
        reverse("connector-new"): Role.ADMIN,
        reverse("connector", args=["desk"]): Role.ADMIN,
        reverse("deliveries"): Role.MANAGER,
        reverse("delivery", args=[delivery.pk]): Role.MANAGER,
        reverse("demo-receiver"): Role.OPERATOR,
    }


@pytest.mark.parametrize("role", list(Role))
def test_each_page_is_open_from_its_role_upwards(works, as_role, role):
    browser = as_role(role)
    for address, needed in addresses(works).items():
        allowed = works.members[role].allows(needed)
        assert browser.get(address).status_code == (200 if allowed else 403), address


def test_without_signing_in_one_is_sent_to_do_so(works, client):
    for address in addresses(works):
        assert client.get(address).status_code == 302


def test_nothing_of_another_site_is_shown_or_changed(works, elsewhere, client):
    delivery = enqueue(works.connector, "ping", {})
    Connector.objects.filter(pk=works.connector.pk).update(key="own")
    client.force_login(elsewhere.admin.user)
    for name, args in [
        ("connector", ["own"]),
        ("delivery", [delivery.pk]),
    ]:
        assert client.get(reverse(name, args=args)).status_code == 404
    for name, args in [
        ("connector", ["own"]),
        ("connector-rotate", ["own"]),
        ("connector-ping", ["own"]),
        ("connector-switch", ["own"]),
        ("delivery-resend", [delivery.pk]),
    ]:
        assert client.post(reverse(name, args=args)).status_code == 404
    assert str(delivery.pk) not in client.get(reverse("deliveries")).content.decode()


def test_a_new_connector_shows_its_secret_once(works, as_role):
    admin = as_role(Role.ADMIN)
    made = admin.post(reverse("connector-new"), FORM)
    connector = Connector.objects.get(key="help-desk")
    assert connector.secret in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    page = admin.get(reverse("connector", args=["help-desk"]))
    assert connector.secret not in page.content.decode()
    assert connector.secret not in admin.get(reverse("connectors")).content.decode()


def test_a_rotation_shows_the_new_secret_once_and_keeps_the_old_for_a_day(works, as_role):
    admin = as_role(Role.ADMIN)
    before = works.connector.secret
    page = admin.post(reverse("connector-rotate", args=["desk"])).content.decode()
    works.connector.refresh_from_db()
    assert works.connector.secret in page
    assert before not in page
    assert works.connector.previous_secret == before
    again = admin.get(reverse("connector", args=["desk"])).content.decode()
    assert works.connector.secret not in again


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://example.com/"}, "Only http"),
        ({"url": "https://u:p@example.com/"}, "user name"),
        ({"url": "http://2130706433/"}, "odd way"),
        ({"url": ""}, "required"),
        ({"key": "Help Desk"}, "small letters"),
        ({"key": "desk"}, "already"),
        ({"name": "x" * 101}, "at most 100"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write(works, as_role, change, words):
    answer = as_role(Role.ADMIN).post(reverse("connector-new"), {**FORM, **change})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Connector.objects.count() == 1


def test_an_admin_can_change_disable_and_enable(works, as_role):
    admin = as_role(Role.ADMIN)
    here = reverse("connector", args=["desk"])
    assert admin.post(here, {"name": "New", "url": "https://new.example.com/"}).status_code == 302
    admin.post(reverse("connector-switch", args=["desk"]), {"to": "off"})
    works.connector.refresh_from_db()
    assert (works.connector.name, works.connector.is_active) == ("New", False)
    assert works.admin.user.username in admin.get(here).content.decode()
    admin.post(reverse("connector-ping", args=["desk"]))
    assert not Delivery.objects.exists()
    admin.post(reverse("connector-switch", args=["desk"]), {"to": "on"})
    works.connector.refresh_from_db()
    assert works.connector.is_active
    assert works.connector.disabled_reason == ""


def test_a_test_event_goes_the_same_way_as_a_ticket(works, as_role):
    answer = as_role(Role.ADMIN).post(reverse("connector-ping", args=["desk"]))
    delivery = Delivery.objects.get()
    assert answer.url == reverse("delivery", args=[delivery.pk])
    assert delivery.event_type == "ping"


def test_an_inside_address_that_nobody_listed_is_pointed_out(works, as_role, settings):
    settings.ALLOW_INSIDE_HOSTS = []
    page = as_role(Role.ADMIN).get(reverse("connector", args=["desk"])).content.decode()
    assert "LOUPE_ALLOW_INSIDE_HOSTS</code> does not name this host" in page


def test_the_log_can_be_filtered(works, as_role):
    act_on(works.judged("hole").pk)
    enqueue(works.connector, "ping", {})
    Delivery.objects.filter(event_type="ping").update(status="delivered")
    manager = as_role(Role.MANAGER)

    def rows(query):
        page = manager.get(reverse("deliveries") + query).content.decode()
        return sum(str(pk) in page for pk in Delivery.objects.values_list("pk", flat=True))

    assert rows("") == rows("?status=nonsense") == rows("?connector=desk") == 2
    assert rows("?status=delivered") == rows("?q=LID-7") == rows("?q=Hole") == 1
    assert rows("?connector=none") == rows("?q=%00zzz") == 0
    assert rows(f"?q={Delivery.objects.get(event_type='ping').event_id}") == 1


def test_a_long_log_comes_in_pages_without_gaps(works, as_role):
    made = {str(enqueue(works.connector, "ping", {"n": n}).pk) for n in range(70)}
    manager = as_role(Role.MANAGER)
    seen, query = set(), ""
    for _ in range(2):
        answer = manager.get(reverse("deliveries") + query)
        seen |= {str(row.pk) for row in answer.context["page"].rows}
        query = answer.context["next_href"]
    assert seen == made


def test_the_number_of_queries_does_not_grow_with_the_log(
    works, as_role, django_assert_max_num_queries
):
    for number in range(40):
        enqueue(works.connector, "ping", {"n": number})
    manager = as_role(Role.MANAGER)
    with django_assert_max_num_queries(14):
        manager.get(reverse("deliveries"))


def test_while_something_is_under_way_the_page_asks_again_and_then_stops(works, as_role):
    delivery = enqueue(works.connector, "ping", {})
    manager = as_role(Role.MANAGER)
    here = reverse("delivery", args=[delivery.pk])
    part = manager.get(here, headers={"HX-Request": "true"}).content.decode()
    assert part.startswith('<section class="panel" id="progress"')
    assert "every 2s" in part
    Delivery.objects.update(status="delivered")
    assert "every 2s" not in manager.get(here, headers={"HX-Request": "true"}).content.decode()


def test_a_manager_can_resend(works, as_role):
    delivery = enqueue(works.connector, "ping", {})
    Delivery.objects.update(status="failed")
    as_role(Role.MANAGER).post(reverse("delivery-resend", args=[delivery.pk]))
    delivery.refresh_from_db()
    assert delivery.status == "pending"


def test_what_a_receiver_answered_is_shown_as_text(works, as_role, hook):
    from inspection.actions.deliveries import deliver

    hook.answers(500, b"<script>alert(1)</script>")
    delivery = enqueue(works.connector, "ping", {})
    deliver(delivery.pk)
    page = as_role(Role.MANAGER).get(reverse("delivery", args=[delivery.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_a_manager_approves_or_calls_off_on_the_page(works, as_role):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    first, second = (act_on(works.judged("hole").pk)[0] for _ in range(2))
    manager = as_role(Role.MANAGER)
    assert "Wait for your approval" in manager.get(reverse("deliveries")).content.decode()
    manager.post(reverse("action-approve", args=[first.pk]))
    answer = manager.post(
        reverse("action-cancel", args=[second.pk]), {"next": "https://evil.example/"}
    )
    assert answer.url == reverse("deliveries")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("done", "cancelled")


@pytest.mark.parametrize("name", ["action-approve", "action-cancel"])
def test_actions_of_another_site_or_for_lesser_roles_are_closed(works, elsewhere, client, name):
    works.use_plan(playbook=[{"destination": "desk", "requires_approval": True}])
    (step,) = act_on(works.judged("hole").pk)
    client.force_login(elsewhere.manager.user)
    assert client.post(reverse(name, args=[step.pk])).status_code == 404
    client.force_login(works.members[Role.REVIEWER].user)
    assert client.post(reverse(name, args=[step.pk])).status_code == 403
    step.refresh_from_db()
    assert step.status == "approval"
