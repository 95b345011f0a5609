"""``inspect``: photos in, one JSON object per photo and line out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from models_runtime.cli.earlier import Earlier, earlier_from
from models_runtime.cli.photo_paths import expand
from models_runtime.cli.plan_files import load_plan
from models_runtime.cli.problems import UNFORESEEN, CallError, as_problem, runtime_from
from models_runtime.cli.progress import Progress
from models_runtime.cli.records import inspection_record, overlay_marks, overlay_title
from models_runtime.cli.taking import Taken, printable, take
from models_runtime.contracts import Architecture
from models_runtime.errors import EngineError, InputError
from models_runtime.inspector import Comparer, StepRecord, photo_embedding, route_photo
from models_runtime.intake.names import clean_name
from models_runtime.overlay import draw_overlay, save_overlay
from models_runtime.plans import PlanSpec
from models_runtime.runtime import Runtime
from models_runtime.schema import ErrorRecord, InspectionRecord, PhotoName
from models_runtime.whole import Inspected, Job, inspect_photos

CHUNK_PHOTOS = 16
CHUNK_PIXELS = 48_000_000
"""A chunk is full at this many photos or pixels, so that huge photos don't fill the memory."""


@dataclass(frozen=True, slots=True)
class InspectCall:
    """The arguments of one call."""

    photos: Sequence[str]
    plans: Sequence[Path]
    golden: Path | None = None
    earlier: Path | None = None
    out: Path | None = None
    note: str = ""
    pretty: bool = False
    engines: Sequence[str] = ()


@dataclass
class _Session:
    """What stays the same for all photos of a call."""

    call: InspectCall
    runtime: Runtime
    plans: list[PlanSpec]
    comparer: Comparer | None
    earlier: Earlier | None = None
    failed: int = 0
    written: set[str] = field(default_factory=set)


def run_inspect(call: InspectCall) -> int:
    """Inspect all photos; return the exit code."""
    plans = [load_plan(path) for path in call.plans]
    paths = expand(call.photos)
    runtime = runtime_from(call.engines)
    _check_out(call.out)
    earlier = earlier_from(call.earlier) if call.earlier else None
    progress = Progress(len(paths))
    progress.say("loading models")
    _load_engines(runtime, len(plans))
    comparer = _golden(call.golden, runtime, progress) if call.golden else None
    session = _Session(call, runtime, plans, comparer, earlier)
    for chunk in _chunks(_taken(session, paths, progress)):
        for record in _inspected(session, chunk):
            progress.clear()
            _print(record.model_dump_json(indent=2 if call.pretty else None))
            progress.advance()
    progress.clear()
    return 1 if session.failed else 0


def _check_out(out: Path | None) -> None:
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CallError(f"--out {out} can't be made: {error.strerror}. Name another.") from None


def _load_engines(runtime: Runtime, plans: int) -> None:
    """Load what every photo needs, so that a wrong setting is told once and before any photo."""
    needed = [Architecture.VLM, Architecture.SLM, Architecture.SAM]
    for architecture in [*needed, Architecture.MLM] if plans > 1 else needed:
        tiers = runtime.tiers(architecture)
        if len(tiers) == 1:
            tiers[0].load()


def _golden(folder: Path, runtime: Runtime, progress: Progress) -> Comparer:
    from models_runtime.cli.golden import memory_from

    progress.say("learning from the golden photos")
    return memory_from(folder, runtime.extractors()[0].load())


def _taken(
    session: _Session, paths: Sequence[Path], progress: Progress
) -> Iterator[Taken | ErrorRecord]:
    for path in paths:
        try:
            yield _take(session, path)
        except (EngineError, *UNFORESEEN) as error:
            yield _failure(session, path, error)


def _take(session: _Session, path: Path) -> Taken:
    taken = take(path)
    plan, routing = _routed(session, taken)
    return replace(taken, plan=plan, records=(*taken.records, *routing))


def _routed(session: _Session, taken: Taken) -> tuple[PlanSpec, tuple[StepRecord, ...]]:
    if len(session.plans) == 1:
        return session.plans[0], ()
    embedding = photo_embedding(session.runtime, taken.decoded.photo)
    done = route_photo(
        session.runtime, session.plans, session.call.note, embedding, taken.path.name
    )
    if done.value.plan is None:
        names = ", ".join(repr(plan.name) for plan in session.plans)
        raise InputError(f"No plan fits this photo clearly ({names}). Give one with --plan.")
    return session.plans[done.value.plan], (done.record,)


def _chunks(items: Iterator[Taken | ErrorRecord]) -> Iterator[list[Taken | ErrorRecord]]:
    chunk: list[Taken | ErrorRecord] = []
    pixels = 0
    for item in items:
        chunk.append(item)
        pixels += item.decoded.pixels.size // 3 if isinstance(item, Taken) else 0
        if len(chunk) >= CHUNK_PHOTOS or pixels >= CHUNK_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _inspected(
    session: _Session, chunk: list[Taken | ErrorRecord]
) -> Iterator[InspectionRecord | ErrorRecord]:
    """One record per photo in the order given; photos of the same plan share one pass."""
    found: dict[int, Inspected | ErrorRecord] = {}
    for plan in session.plans:
        group = [(i, t) for i, t in enumerate(chunk) if isinstance(t, Taken) and t.plan is plan]
        outcomes = _try_together(session, plan, [taken for _, taken in group])
        found |= {i: outcome for (i, _), outcome in zip(group, outcomes, strict=True)}
    for index, item in enumerate(chunk):
        outcome = found.get(index)
        if isinstance(item, ErrorRecord):
            yield item
        elif isinstance(outcome, Inspected):
            yield _finished(session, item, outcome)
        elif outcome is not None:
            yield outcome


def _try_together(
    session: _Session, plan: PlanSpec, group: list[Taken]
) -> list[Inspected | ErrorRecord]:
    """Inspect photos in one pass; if that fails, one by one, so that only the culprit is lost."""
    if not group:
        return []
    try:
        jobs = [_job(session, taken) for taken in group]
        return list(inspect_photos(session.runtime, jobs, plan, session.comparer))
    except (EngineError, *UNFORESEEN) as error:
        if len(group) == 1:
            return [_failure(session, group[0].path, error)]
    return [outcome for one in group for outcome in _try_together(session, plan, [one])]


def _job(session: _Session, taken: Taken) -> Job:
    codes = taken.codes
    reference = codes[0].text if codes else clean_name(taken.path.name)
    warnings = (*taken.decoded.warnings, *taken.quality.warnings)
    before = session.earlier
    earlier = (before.by(session.runtime, taken.plan),) if before else ()
    return Job(taken.decoded.photo, reference, session.call.note, warnings, earlier)


def _finished(session: _Session, taken: Taken, inspected: Inspected) -> InspectionRecord:
    record = inspection_record(taken, inspected)
    if session.earlier is not None:
        record = record.model_copy(update={"earlier": session.earlier.record(inspected)})
    if session.call.out is None:
        return record
    name = clean_name(taken.path.stem)
    target = session.call.out / f"{name}-{taken.decoded.sha256[:8]}.overlay.jpg"
    image = draw_overlay(taken.decoded.pixels, overlay_marks(record), overlay_title(record))
    save_overlay(image, target)
    return record.model_copy(update={"overlay": printable(target)})


def _failure(session: _Session, path: Path, error: Exception) -> ErrorRecord:
    session.failed += 1
    name = PhotoName(path=printable(path), name=clean_name(path.name))
    return ErrorRecord(photo=name, error=as_problem(error))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
