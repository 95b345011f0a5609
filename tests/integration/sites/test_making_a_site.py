"""`manage.py site`: the first site and its admin, from the console."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from inspection.models import Membership, Site, User

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def told(*words: str) -> str:
    out = io.StringIO()
    call_command("site", *words, stdout=out)
    return out.getvalue()


def test_the_new_admin_signs_in_with_what_is_printed_and_opens_the_members() -> None:
    shown = told("Lid works", "--admin", "ada")
    password = re.findall(r"shown only now: (\S+)", shown)[0]
    assert Site.objects.get().slug == "lid-works"
    assert password not in User.objects.get().password
    client = Client()
    assert client.login(username="ada", password=password)
    assert client.get("/members/").status_code == 200


def test_run_again_it_changes_nothing_and_tells_no_password() -> None:
    told("Lid works", "--admin", "ada")
    before = User.objects.get().password
    assert "there already" in (shown := told("Lid works", "--admin", "ada"))
    assert "shown only now" not in shown
    assert User.objects.get().password == before
    assert Membership.objects.count() == 1


def test_a_known_user_becomes_admin_and_keeps_the_password() -> None:
    user = User.objects.create_superuser(username="root", password="a long secret")
    told("Lid works", "--admin", "root")
    told("Tile works", "--admin", "root")
    Membership.objects.filter(site__slug="lid-works").update(role="operator")
    told("Lid works", "--admin", "root")
    assert list(user.memberships.values_list("role", flat=True)) == ["admin", "admin"]
    assert Client().login(username="root", password="a long secret")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("Lid works",), "--admin USER"),
        (("!!!", "--admin", "ada"), "letters or digits"),
        (("x" * 101, "--admin", "ada"), "at most 100"),
        (("Demo", "--admin", "ada"), "name of the demo"),
        (("lid-WORKS", "--admin", "ada"), "say “Lid works”"),
        (("Tiles", "--admin", "a b"), "can't be “a b”"),
        (("Tiles", "--admin", "a" * 151), "too long"),
        (("Tiles", "--admin", "gone"), "switched off"),
    ],
)
def test_what_can_not_be_done_is_said_and_leaves_nothing(words: tuple[str, ...], says: str) -> None:
    Site.objects.create(name="Lid works", slug="lid-works")
    User.objects.create_user(username="gone", is_active=False)
    with pytest.raises(CommandError, match=re.escape(says)):
        told(*words)
    assert Site.objects.count() == 1
    assert User.objects.count() == 1


def test_without_a_name_the_sites_are_listed_or_how_to_make_one() -> None:
    assert 'manage.py site "NAME" --admin USER' in told()
    told("Lid works", "--admin", "ada")
    assert told().strip() == "Lid works"
