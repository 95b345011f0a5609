"""How fast dashboards and the list answer with many units.

    python manage.py seed_inspections --site million        (once, on a database of its own)
    python -m tests.benchmarks.dashboards seeded-million     (on the same LOUPE_STATE)

Through all of Django but the socket: middleware, database, templates. Each address is asked
once to warm up and then ROUNDS times; the addresses take turns, so that a busy minute of the
machine hits all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from datetime import timedelta
from typing import Any

ROUNDS = 15
AIM_MS = 150


def addresses() -> dict[str, str]:
    """What managers open: each dashboard over two years and over 90 days, filtered by one and by
    two things, and the lists behind the figures."""
    from django.utils import timezone

    today = timezone.localdate()
    years = f"since={today - timedelta(days=729)}&until={today}"
    pages = ("quality", "compare", "passing", "places", "people", "engines", "trust", "tickets")
    found = {f"{page}, 90 days": f"/dashboards/{page}/" for page in pages}
    found |= {f"{page}, 2 years": f"/dashboards/{page}/?{years}" for page in pages}
    found["places of a plan, 2 years"] = f"/dashboards/places/?{years}&plan=seeded-1"
    found["quality of a line, 2 years"] = f"/dashboards/quality/?{years}&line=Line+3"
    two = "line=Line+3&shift=Shift+2"
    found["quality of a line and shift, 2 years"] = f"/dashboards/quality/?{years}&{two}"
    found["compare within a line, 2 years"] = f"/dashboards/compare/?{years}&line=Line+3"
    found["list"] = "/inspections/"
    for name, query in {
        "defective of a week": f"since={today - timedelta(days=400)}&until="
        f"{today - timedelta(days=394)}&what=defective",
        "a type, 2 years": f"{years}&type=burr",
        "a product, 2 years": f"{years}&product=Product+7&what=defective",
        "one reviewer": f"{years}&decided_by=seeded-reviewer-2",
        "checked, 2 years": f"{years}&what=checked",
        "to review": "status=review",
        "rejected": "disposition=reject",
        "critical": "severity=critical",
    }.items():
        found[f"list: {name}"] = f"/inspections/?view=table&{query}"
    return found


def measure(client: Any, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each answer, by address."""
    asked = addresses()
    times: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(rounds + 1):
        for name, address in asked.items():
            begun = time.perf_counter()
            answer = client.get(address)
            took = (time.perf_counter() - begun) * 1000
            if answer.status_code != 200:
                raise SystemExit(f"{address}: {answer.status_code}")
            if number:
                times[name].append(took)
    return times


def signed_in(slug: str) -> Any:
    """A manager of the site, made if need be."""
    from django.test import Client

    from inspection.models import Membership, Site, User

    site = Site.objects.get(slug=slug)
    user, _ = User.objects.get_or_create(username="seeded-manager")
    Membership.objects.get_or_create(site=site, user=user, defaults={"role": "manager"})
    client = Client()
    client.force_login(user)
    session = client.session
    session["site"] = str(site.pk)
    session.save()
    return client


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inspection.settings")
    import django
    from django.conf import settings

    django.setup()
    # Hashed names of static files need a collected folder, which a measurement can do without.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    settings.ALLOWED_HOSTS = ["testserver"]
    from inspection.models import Finding, Inspection, Site

    slug = sys.argv[1] if len(sys.argv) > 1 else "seeded-million"
    site = Site.objects.get(slug=slug)
    size = [model.objects.filter(site=site).count() for model in (Inspection, Finding)]
    sys.stdout.write(f"{size[0]:,} inspections, {size[1]:,} findings; load {os.getloadavg()}\n")
    sys.stdout.write("| page | p50 ms | p95 ms |\n|---|---|---|\n")
    slow = 0
    for name, times in measure(signed_in(slug), ROUNDS).items():
        p95 = statistics.quantiles(times, n=20)[-1]
        slow += p95 > AIM_MS
        sys.stdout.write(f"| {name} | {statistics.median(times):.0f} | {p95:.0f} |\n")
    sys.stdout.write(json.dumps({"slower_than_aim": slow, "aim_ms": AIM_MS}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
