"""`manage.py learn --plan KEY`: learn from the reviewers' verdicts and offer a new version."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inspection.models import LearningJob, Plan
from inspection.models.learning import LearningStage, LearningStatus
from inspection.services.learning_jobs import LearningRefusedError, run_to_end, start_for


class Command(BaseCommand):
    help = "Learn from the verdicts on a plan's units; a manager decides whether it goes live."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plan", required=True, metavar="KEY", help="the key of the plan")
        parser.add_argument("--site", default="", metavar="SLUG", help="where several have it")
        parser.add_argument("--background", action="store_true", help="leave it to the workers")

    def handle(self, *args: Any, plan: str, site: str, background: bool, **options: Any) -> None:
        found = find_plan(plan, site)
        try:
            job = start_for(found, None)
        except LearningRefusedError as error:
            raise CommandError(str(error)) from error
        if background:
            self.stdout.write("Started. The plan's page “Learning” shows how far it is.")
            return
        last = ""

        def told(now: LearningJob) -> None:
            nonlocal last
            line = f"{LearningStage(now.stage).label}: {now.done} of {now.total}"
            if line != last:
                self.stdout.write(line)
            last = line

        ended = run_to_end(job.pk, told)
        if ended.status != LearningStatus.DONE:
            raise CommandError(ended.message)
        self.stdout.write(ended.message)
        for line in lines(ended):
            self.stdout.write(line)


def find_plan(key: str, site: str) -> Plan:
    """The plan with this key; CommandError where there is none, or where several sites have it."""
    rows = Plan.objects.filter(key=key).select_related("current", "site")
    rows = rows.filter(site__slug=site) if site else rows
    found = list(rows[:2])
    if not found:
        raise CommandError(f"There is no plan with the key {key!r} here.")
    if len(found) > 1:
        raise CommandError(f"Several sites have a plan {key!r}. Say which: --site SLUG")
    plan: Plan = found[0]
    return plan


def lines(job: LearningJob) -> list[str]:
    """Old and new figures, as a table."""
    if job.version is None:
        return []
    made = []
    for part, told in job.version.figures.get("parts", {}).items():
        made.append(f"{part}: {told['units']} units")
        for name in told["new"]:
            old, new = told["old"].get(name), told["new"][name]
            before = f"{old['mean']:.3f}" if old else "–"
            made.append(
                f"  {name:9} {before} → {new['mean']:.3f} ({new['low']:.3f} to {new['high']:.3f})"
            )
    return made
