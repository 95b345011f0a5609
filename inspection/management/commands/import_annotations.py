"""`manage.py import_annotations FILE --plan KEY`: COCO or YOLO annotations as findings."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inspection.management.commands.learn import find_plan
from inspection.models import ImportJob
from inspection.models.background import JobStatus
from inspection.services import background
from inspection.services.imports import jobs
from inspection.services.imports.jobs import LEAVE_OUT, ImportRefusedError


class Command(BaseCommand):
    help = "Import COCO or YOLO annotations; with --dry-run only say what would happen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="COCO .json, or a .zip of COCO or YOLO")
        parser.add_argument("--plan", required=True, metavar="KEY", help="whose classes these are")
        parser.add_argument("--site", default="", metavar="SLUG", help="where several have it")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="NAME=KEY",
            help="a class of the file and the key of the plan's class; empty key: leave it out",
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = find_plan(options["plan"], options["site"])
        try:
            with options["file"].open("rb") as source:
                job = jobs.start_for(plan.site, None, plan, options["file"].name, source)
        except OSError as error:
            raise CommandError(f"{options['file']} can't be read: {error.strerror}.") from None
        except ImportRefusedError as error:
            raise CommandError(str(error)) from None
        self._to_end(job, JobStatus.READY)
        self._tell(job)
        if not options["dry_run"]:
            self._let_in(job, options["map"])

    def _to_end(self, job: ImportJob, wanted: JobStatus) -> None:
        background.to_end(job, jobs.work, lambda line: None)
        if job.status != wanted:
            problems = job.report.get("problems", [])
            raise CommandError("\n".join([job.message, *problems]))

    def _tell(self, job: ImportJob) -> None:
        report = job.report
        self.stdout.write(
            f"{report['photos']} photos, {report['annotations']} annotations: "
            f"{report['findings']} new findings on {report['units']} units and "
            f"{report['new_units']} new ones; {report['there']} are there already, "
            f"{report['left_out_count']} left out"
        )
        for row in report["classes"]:
            self.stdout.write(f"  {row['name']} ({row['count']}): {row['key'] or 'not known'}")
        for what, why in report["left_out"]:
            self.stdout.write(f"  left out: {what}: {why}")

    def _let_in(self, job: ImportJob, pairs: list[str]) -> None:
        said = dict(pair.rpartition("=")[::2] for pair in pairs)
        mapping = {row["name"]: row["key"] for row in job.report["classes"] if row["key"]}
        known = {row["name"] for row in job.report["classes"]}
        if strange := sorted(set(said) - known):
            raise CommandError(f"The file has no class {strange[0]!r}.")
        mapping |= {name: key or LEAVE_OUT for name, key in said.items()}
        try:
            jobs.confirm_for(job, mapping)
        except ImportRefusedError as error:
            raise CommandError(f"{error} Say --map 'NAME=KEY'.") from None
        job.refresh_from_db()
        self._to_end(job, JobStatus.DONE)
        counts = ", ".join(f"{name}: {count}" for name, count in job.counts.items())
        self.stdout.write(f"Imported: {counts}")
