"""`manage.py inspect PHOTO…`: the runtime's own `inspect`, with plans from the database."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inspection.models import GoldenPhoto, Plan, Site
from inspection.services.intake import fetch
from models_runtime.errors import FatalError

COLUMNS = "{:<32.32} {:<8.8} {:>5} {:<9.9} {:>8} {:<7} {}"


class Command(BaseCommand):
    help = "Inspect photos and print one JSON object each (docs/inspection.schema.json)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("photos", nargs="+", metavar="PHOTO", help="photo, folder or glob")
        parser.add_argument(
            "--plan",
            action="append",
            default=[],
            metavar="NAME",
            help="name or key of a plan in the database, or a plan.json; several, or none (all "
            "plans of the site), let the note and the photo choose",
        )
        parser.add_argument("--site", default="", metavar="SLUG", help="whose plans")
        parser.add_argument("--table", action="store_true", help="a line per photo for people")
        parser.add_argument("--out", type=Path, metavar="DIR", help="write overlays here")
        parser.add_argument("--note", default="", metavar="TEXT", help="the operator's words")

    def handle(self, *args: Any, **options: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            code = self._inspect(Path(folder), options)
        if code:
            sys.exit(code)

    def _inspect(self, folder: Path, options: dict[str, Any]) -> int:
        from models_runtime.cli.inspecting import InspectCall, run_inspect
        from models_runtime.cli.problems import CallError

        plans, golden = plan_files(folder, options["plan"], options["site"])
        call = InspectCall(
            photos=options["photos"],
            plans=plans,
            golden=golden,
            out=options["out"],
            note=options["note"],
            engines=[f"{kind}={text}" for kind, text in settings.ENGINES.items()],
        )
        printer = Table(self.stdout) if options["table"] else self.stdout
        try:
            with contextlib.redirect_stdout(printer):  # type: ignore[type-var]
                return run_inspect(call)
        except (CallError, FatalError) as error:
            raise CommandError(str(error), returncode=2) from None


def plan_files(folder: Path, names: list[str], slug: str) -> tuple[list[Path], Path | None]:
    """Plans as files in ``folder`` or where the caller has them, and their golden photos' folder.

    Raises CommandError for a plan or site that is not there.
    """
    files = [Path(name) for name in names if name.endswith(".json")]
    known = [name for name in names if not name.endswith(".json")]
    rows = _plans(known, slug) if known or not files else []
    for row in rows:
        path = folder / f"{row.key}.json"
        path.write_text(json.dumps(row.current.spec if row.current else {}), encoding="utf-8")
        files.append(path)
    return files, _golden(folder / "golden", rows[0]) if len(files) == len(rows) == 1 else None


def _plans(names: list[str], slug: str) -> list[Plan]:
    rows = list(
        Plan.objects.filter(site=_site(slug), is_active=True, current__isnull=False)
        .select_related("current")
        .order_by("name")
    )
    if not names:
        return rows or _none_of("", rows)
    return [_named(name, rows) for name in names]


def _named(name: str, rows: list[Plan]) -> Plan:
    found = next((row for row in rows if name.lower() in (row.key, row.name.lower())), None)
    return found or _none_of(name, rows)[0]


def _none_of(name: str, rows: list[Plan]) -> list[Plan]:
    known = ", ".join(row.key for row in rows) or "none; make one, or name a plan.json"
    raise CommandError(f"There is no plan {name!r} in the database. There are: {known}.")


def _site(slug: str) -> Site:
    sites = {site.slug: site for site in Site.objects.all()}
    if slug in sites:
        return sites[slug]
    if not slug and len(sites) == 1:
        return next(iter(sites.values()))
    known = ", ".join(sorted(sites)) or "none yet"
    raise CommandError(f"Name the site with --site. There are: {known}.")


def _golden(folder: Path, plan: Plan) -> Path | None:
    photos = list(GoldenPhoto.objects.filter(plan=plan))
    for photo in photos:
        folder.mkdir(exist_ok=True)
        suffix = Path(photo.name).suffix or ".jpg"
        (folder / f"{photo.pk}{suffix}").write_bytes(fetch(photo.image_key))
    return folder if photos else None


class Table(io.TextIOBase):
    """Turns each JSON line into a line of a table, as it comes."""

    def __init__(self, out: TextIO | Any) -> None:
        self._out = out
        self._out.write(
            COLUMNS.format("photo", "verdict", "sure", "severity", "findings", "review", "why")
        )

    def write(self, text: str) -> int:
        for line in filter(None, text.splitlines()):
            self._out.write(row_of(json.loads(line)))
        return len(text)


def row_of(record: dict[str, Any]) -> str:
    """One record of docs/inspection.schema.json as a line for people."""
    name = record["photo"]["name"]
    if record["status"] == "error":
        return COLUMNS.format(name, "error", "", "", "", "", record["error"]["message"])
    return COLUMNS.format(
        name,
        record["disposition"],
        f"{record['disposition_confidence']:.0%}",
        record["severity"] or "",
        len(record["findings"]),
        "yes" if record["needs_review"] else "no",
        "; ".join([*record["abstained_reasons"], *record["reasons"]])[:120],
    )
