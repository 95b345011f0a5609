"""`manage.py export FORMAT --out FILE`: units as a data set, as the page “Exports” writes it."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict

from inspection.models import Site
from inspection.models.background import JobStatus
from inspection.models.transfer import ExportFormat
from inspection.selectors.exports import CHOICES
from inspection.selectors.inspections import InspectionFilter
from inspection.services import background
from inspection.services.exports import jobs
from inspection.services.exports.options import SHAPES, ExportOptions


class Command(BaseCommand):
    help = "Export units with findings, masks, verdicts and comments (docs/exports.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        shapes = sorted({shape for known in SHAPES.values() for shape in known})
        parser.add_argument("format", choices=ExportFormat.values)
        parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the zip")
        parser.add_argument("--site", default="", metavar="SLUG", help="whose units")
        parser.add_argument("--plan", default="", metavar="KEY", help="only units of this plan")
        parser.add_argument(
            "--query",
            default="",
            metavar="TEXT",
            help="filters as in the address of the list, e.g. 'status=decided&what=by_person'",
        )
        parser.add_argument("--shape", choices=shapes, default="", help="COCO and YOLO: outlines")
        parser.add_argument("--findings", choices=list(CHOICES), default="standing")
        parser.add_argument("--no-photos", action="store_true", help="leave the photos out")

    def handle(self, *args: Any, **options: Any) -> None:
        query = QueryDict(options["query"].lstrip("?")).dict()
        wanted = InspectionFilter.parse(query | ({"plan": p} if (p := options["plan"]) else {}))
        chosen = ExportOptions.of(
            options["format"],
            shape=options["shape"],
            findings=options["findings"],
            photos=not options["no_photos"],
        )
        job = jobs.start_for(find_site(options["site"]), None, options["format"], wanted, chosen)
        background.to_end(job, jobs.work, self.stderr.write)
        if job.status != JobStatus.DONE:
            raise CommandError(job.message)
        with default_storage.open(job.file_key, "rb") as source, options["out"].open("wb") as out:
            shutil.copyfileobj(source, out)
        counts = ", ".join(f"{name}: {count}" for name, count in job.counts.items())
        self.stdout.write(f"{options['out']}: {counts}; SHA-256 {job.sha256}")


def find_site(slug: str) -> Site:
    """The site with this slug, or the only one; CommandError where that does not tell."""
    sites = {site.slug: site for site in Site.objects.all()}
    if slug in sites:
        return sites[slug]
    if not slug and len(sites) == 1:
        return next(iter(sites.values()))
    raise CommandError(f"Name the site with --site. There are: {', '.join(sorted(sites)) or '–'}.")
