"""`manage.py site NAME --admin USER`: make a site; without a name, list those there are."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inspection.models import Site
from inspection.services.sites import Made, SiteRefusedError, make_site


class Command(BaseCommand):
    help = "Make a site and its first admin; run again it adds what is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="", help="without it: list the sites")
        parser.add_argument("--admin", metavar="USER", default="", help="a new or a known user")

    def handle(self, *args: Any, name: str, admin: str, **options: Any) -> None:
        if not name:
            self.stdout.write(sites())
            return
        if not admin:
            raise CommandError("Say who its admin is: --admin USER")
        try:
            made = make_site(name, admin)
        except SiteRefusedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(told(made))


def sites() -> str:
    """The sites by name, or how to make the first one."""
    names = Site.objects.order_by("name").values_list("name", flat=True)
    # By the interpreter in use: the application is not installed for any other.
    how = f'No site yet. Make one: {sys.executable} manage.py site "NAME" --admin USER'
    return "\n".join(names) or how


def told(made: Made) -> str:
    """What was made, with the password, which nobody can read again."""
    site = f"The site {made.site.name} is {'made' if made.site_is_new else 'there already'}."
    who = f"{made.user.get_username()} is its admin"
    if not made.password:
        return f"{site} {who}, with the password they have."
    return (
        f"{site} {who}. Password, shown only now: {made.password}\n"
        "Change it after signing in: Account, Change password."
    )
