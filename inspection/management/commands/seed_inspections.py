"""`manage.py seed_inspections`: a site with many made-up units, to try how fast pages are."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from inspection.services.rollups import count_marked
from inspection.services.seeding import SeedRefusedError, seed


class Command(BaseCommand):
    help = (
        "Fill a new site with made-up units over two years. For trying only: never in production."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--inspections", type=int, default=1_000_000)
        parser.add_argument("--site", default="million", help="the new site's name")

    def handle(self, *args: Any, inspections: int, site: str, **options: Any) -> None:
        begun = time.monotonic()
        try:
            made = seed(site, inspections, lambda line: self._tell(begun, line))
        except SeedRefusedError as error:
            raise CommandError(str(error)) from error
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        self._tell(begun, "counting")
        while days := count_marked():
            self._tell(begun, f"{days} days counted")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        self._tell(begun, f"done: site {made.slug}")

    def _tell(self, begun: float, line: str) -> None:
        self.stdout.write(f"{time.monotonic() - begun:6.0f} s  {line}")
        self.stdout.flush()
