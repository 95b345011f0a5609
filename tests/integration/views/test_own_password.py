"""Everybody changes their own password, and stays signed in where they did."""

from __future__ import annotations

import pytest
from django.test import Client
from screen_world import Screens

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
OLD, NEW = "an old long secret", "a new long secret"


def signed_in(world: Screens) -> Client:
    user = world.users["operator"]
    user.set_password(OLD)
    user.save()
    client = Client()
    assert client.login(username=user.username, password=OLD)
    return client


def send(client: Client, old: str, new: str, again: str) -> int:
    sent = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post("/password/", sent).status_code


def test_the_new_password_opens_and_the_old_one_no_more(screens: Screens) -> None:
    here, elsewhere = signed_in(screens), Client()
    elsewhere.login(username="lid-operator", password=OLD)
    assert 'href="/password/"' in here.get("/upload/").content.decode()
    assert send(here, OLD, NEW, NEW) == 302
    assert here.get("/upload/").status_code == 200
    assert elsewhere.get("/upload/").status_code == 302
    assert not Client().login(username="lid-operator", password=OLD)
    assert Client().login(username="lid-operator", password=NEW)


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong", NEW, NEW), (OLD, NEW, "other"), (OLD, "short", "short"), (OLD, "", "")],
)
def test_what_does_not_fit_changes_nothing(
    screens: Screens, old: str, new: str, again: str
) -> None:
    assert send(signed_in(screens), old, new, again) == 422
    assert Client().login(username="lid-operator", password=OLD)
