"""Arguments of the command line.

Exit codes: 0 all photos were done; 1 at least one could not be, its line says why; 2 the call
itself is wrong (arguments, plan, engines, golden or earlier photos) and nothing was done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models_runtime.cli.problems import CallError
from models_runtime.errors import FatalError

_EXIT_CODES = """exit codes:
  0  every photo was done
  1  at least one photo could not be; its line on stdout has "status": "error" and says why
  2  the call itself is wrong (arguments, plan, engines, golden or earlier photos); nothing was done

engines are chosen by LOUPE_VLM, LOUPE_SAM, LOUPE_SLM, LOUPE_MLM, LOUPE_LLM and LOUPE_LAM,
or by --engine for one call."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    # Must be set before transformers is imported, which would draw bars of its own on stderr.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        return int(options.run(options))
    except (CallError, FatalError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has gone (for instance `| head`); nothing is left to tell anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models_runtime",
        description="Visual inspection from the command line: photos in, one JSON object each out.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_inspect(commands)
    _add_segment(commands)
    _add_schema(commands)
    return parser


def _add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "inspect",
        help="inspect photos by a plan",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="photo, folder or glob")
    command.add_argument(
        "--plan",
        action="append",
        required=True,
        type=Path,
        metavar="PLAN.json",
        help="inspection plan; several let the note and the photo choose",
    )
    command.add_argument("--golden", type=Path, metavar="DIR", help="photos of sound units")
    command.add_argument(
        "--earlier",
        type=Path,
        metavar="PHOTO",
        help="an earlier photo of the same unit, or a template: what is new, worse or fixed",
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="write overlays here")
    command.add_argument("--note", default="", metavar="TEXT", help="the operator's words")
    command.add_argument("--pretty", action="store_true", help="indent the JSON")
    _add_engine(command)
    command.set_defaults(run=_inspect)


def _add_segment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("segment", help="print the masks for boxes or clicks")
    command.add_argument("photo", metavar="PHOTO")
    command.add_argument(
        "--box",
        action="append",
        nargs=4,
        type=float,
        default=[],
        metavar=("X1", "Y1", "X2", "Y2"),
        help="a box in pixels; several mean several objects",
    )
    command.add_argument(
        "--click",
        action="append",
        nargs=3,
        type=float,
        default=[],
        metavar=("X", "Y", "1|0"),
        help="a point on (1) or off (0) the object; all clicks mean one object",
    )
    command.add_argument("--out", type=Path, metavar="FILE.png", help="write an overlay here")
    command.add_argument("--pretty", action="store_true", help="indent the JSON")
    _add_engine(command)
    command.set_defaults(run=_segment)


def _add_schema(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("schema", help="print the JSON Schema of output or plan")
    command.add_argument("which", nargs="?", choices=["inspection", "plan"], default="inspection")
    command.set_defaults(run=_schema)


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="KIND=SETTING",
        help="for example vlm=openai:http://box:8000/v1?model=m; before the environment",
    )


def _inspect(options: argparse.Namespace) -> int:
    from models_runtime.cli.inspecting import InspectCall, run_inspect

    call = InspectCall(
        photos=options.photos,
        plans=options.plan,
        golden=options.golden,
        earlier=options.earlier,
        out=options.out,
        note=options.note,
        pretty=options.pretty,
        engines=options.engine,
    )
    return run_inspect(call)


def _segment(options: argparse.Namespace) -> int:
    from models_runtime.cli.segmenting import SegmentCall, run_segment

    call = SegmentCall(
        photo=options.photo,
        boxes=options.box,
        clicks=options.click,
        out=options.out,
        pretty=options.pretty,
        engines=options.engine,
    )
    return run_segment(call)


def _schema(options: argparse.Namespace) -> int:
    from models_runtime.schema import inspection_schema, plan_schema

    schema = plan_schema() if options.which == "plan" else inspection_schema()
    print(json.dumps(schema, indent=2))
    return 0
