"""Make the demo site; run again it adds what is missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from inspection.services.demo import PASSWORD, make_demo


class Command(BaseCommand):
    """``manage.py demo``"""

    help = "Make the demo site with log-ins, plans, a connector and drawn sample photos."

    def handle(self, *args: Any, **options: Any) -> None:
        demo = make_demo()
        if demo is None:
            self.stdout.write("No demo: LOUPE_DEMO is off, or there is a site of your own already.")
            return
        self.stdout.write(
            f"Log-ins for {demo.site.name}: {', '.join(demo.log_ins)}; password {PASSWORD}"
        )
