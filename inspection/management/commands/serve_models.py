"""`manage.py serve_models`: our engines behind an OpenAI-compatible API, for many workers."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from models_runtime.errors import FatalError
from models_runtime.intake.decode import DecodeLimits
from models_runtime.serving.app import Rules
from models_runtime.serving.models import Limits
from models_runtime.serving.server import Serving, is_local, serve

MIB = 1024 * 1024


class Command(BaseCommand):
    help = (
        "Serve the VLM (LOUPE_VLM) and the sentence encoder (LOUPE_MLM) over the OpenAI API: "
        "/v1/models, /v1/chat/completions, /v1/embeddings, /health. See docs/big-engines.md."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8100)
        parser.add_argument(
            "--engine",
            action="append",
            default=[],
            metavar="KIND=SETTING",
            help="vlm=… or mlm=…; the default is the first engine of LOUPE_VLM and LOUPE_MLM",
        )
        parser.add_argument(
            "--key-env",
            default="LOUPE_MODELS_KEY",
            metavar="NAME",
            help="environment variable with the bearer key that callers must send",
        )
        parser.add_argument("--queue", type=int, default=32, help="requests taken at a time")
        parser.add_argument("--together", type=int, default=8, help="photos in one pass")
        parser.add_argument("--timeout", type=float, default=120.0, help="seconds for an answer")
        parser.add_argument("--max-mb", type=int, default=48, help="megabytes of a request")
        parser.add_argument("--max-megapixels", type=int, default=50, help="of a photo")
        parser.add_argument("--grace", type=int, default=30, help="seconds to end what is begun")

    def handle(self, *args: Any, **options: Any) -> None:
        key = os.environ.get(options["key_env"], "")
        if not key and not is_local(options["host"]):
            raise CommandError(
                f"{options['host']} can be reached from outside: put a key that callers must send "
                f"into the environment variable {options['key_env']}"
            )
        try:
            serve(_serving(options, key))
        except FatalError as error:
            raise CommandError(str(error), returncode=2) from None


def _serving(options: dict[str, Any], key: str) -> Serving:
    for name in ("queue", "together", "max_mb", "max_megapixels"):
        if not 1 <= options[name] <= 4096:
            raise CommandError(f"--{name.replace('_', '-')} must be from 1 to 4096")
    most = options["max_mb"] * MIB
    photos = DecodeLimits(max_bytes=most, max_pixels=options["max_megapixels"] * 1_000_000)
    return Serving(
        settings=_engines(options["engine"]),
        bind=f"{options['host']}:{options['port']}",
        rules=Rules(options["queue"], most, key),
        limits=Limits(photos, options["timeout"], options["together"]),
        threads=settings.THREADS,
        grace=options["grace"],
    )


def _engines(named: list[str]) -> dict[str, str]:
    """Those that were named, else the first ones of the application's settings."""
    engines = {}
    for argument in named:
        kind, equals, text = argument.partition("=")
        if not equals:
            raise CommandError("write --engine KIND=SETTING, for example vlm=embedded:")
        engines[kind] = text
    first = {kind: settings.ENGINES[kind].split()[0] for kind in ("vlm", "mlm")}
    return engines or first
