"""``segment``: boxes or clicks on one photo in, masks out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models_runtime import masks
from models_runtime.cli.problems import UNFORESEEN, CallError, as_problem, runtime_from
from models_runtime.cli.taking import identity, printable
from models_runtime.contracts import Box, Click, MaskCandidate, Prompt
from models_runtime.errors import EngineError
from models_runtime.intake.decode import DecodedPhoto, decode_photo
from models_runtime.intake.names import clean_name
from models_runtime.overlay import Mark, draw_overlay, save_overlay
from models_runtime.runtime import Runtime
from models_runtime.scaling import WorkingCopy
from models_runtime.schema import (
    SEGMENTATION_FORMAT,
    ErrorRecord,
    PhotoName,
    SegmentationRecord,
    SegmentedObject,
)


@dataclass(frozen=True, slots=True)
class SegmentCall:
    """The arguments of one call: boxes as x1 y1 x2 y2, clicks as x y and 1 (on) or 0 (off)."""

    photo: str
    boxes: Sequence[Sequence[float]] = ()
    clicks: Sequence[Sequence[float]] = ()
    out: Path | None = None
    pretty: bool = False
    engines: Sequence[str] = ()


def run_segment(call: SegmentCall) -> int:
    """Print the masks; return the exit code."""
    prompts = prompts_from(call.boxes, call.clicks)
    runtime = runtime_from(call.engines)
    runtime.segmenter()
    path = Path(call.photo)
    try:
        decoded = decode_photo(path)
        record = _segmented(runtime, path, decoded, prompts)
        if call.out is not None:
            _draw(call.out, decoded, record)
            record = record.model_copy(update={"overlay": printable(call.out)})
    except (EngineError, *UNFORESEEN) as error:
        name = PhotoName(path=printable(path), name=clean_name(path.name))
        problem = ErrorRecord(format=SEGMENTATION_FORMAT, photo=name, error=as_problem(error))
        sys.stdout.write(problem.model_dump_json(indent=2 if call.pretty else None) + "\n")
        return 1
    sys.stdout.write(record.model_dump_json(indent=2 if call.pretty else None) + "\n")
    return 0


def prompts_from(
    boxes: Sequence[Sequence[float]], clicks: Sequence[Sequence[float]]
) -> list[Prompt]:
    """Each box is an object; clicks are one object, together with the box where there is one."""
    if not boxes and not clicks:
        raise CallError("say what to segment: --box X1 Y1 X2 Y2 or --click X Y 1")
    if len(boxes) > 1 and clicks:
        raise CallError("clicks refine one object: give them with one --box or none")
    points = tuple(_click(*values) for values in clicks)
    if points and not boxes:
        if not any(point.positive for point in points):
            raise CallError("at least one --click must be on the object: --click X Y 1")
        return [Prompt(clicks=points)]
    return [Prompt(box=_box(*values), clicks=points) for values in boxes]


def _box(x1: float, y1: float, x2: float, y2: float) -> Box:
    """A box from any two opposite corners."""
    if x1 == x2 or y1 == y2:
        raise CallError(f"--box {x1:g} {y1:g} {x2:g} {y2:g} has no area")
    if min(x1, y1, x2, y2) < 0:
        raise CallError(f"--box {x1:g} {y1:g} {x2:g} {y2:g}: coordinates start at 0")
    return Box(x1=min(x1, x2), y1=min(y1, y2), x2=max(x1, x2), y2=max(y1, y2))


def _click(x: float, y: float, positive: float) -> Click:
    if positive not in (0, 1):
        raise CallError(f"--click {x:g} {y:g} {positive:g}: the last number is 1 (on) or 0 (off)")
    if min(x, y) < 0:
        raise CallError(f"--click {x:g} {y:g}: coordinates start at 0")
    return Click(x=x, y=y, positive=positive == 1)


def _segmented(
    runtime: Runtime, path: Path, decoded: DecodedPhoto, prompts: list[Prompt]
) -> SegmentationRecord:
    copy, segmenter = WorkingCopy.of(decoded.photo), runtime.segmenter()
    started = time.perf_counter()
    embedding = segmenter.embed(copy.photo)
    embedded = time.perf_counter()
    answers = segmenter.decode(embedding, [copy.prompt_in_copy(prompt) for prompt in prompts])
    finished = time.perf_counter()
    objects = tuple(
        SegmentedObject(prompt=prompt, masks=tuple(_in_photo(c, copy) for c in choices))
        for prompt, choices in zip(prompts, answers, strict=True)
    )
    return SegmentationRecord(
        photo=identity(path, decoded),
        objects=objects,
        engine=segmenter.ref,
        embed_ms=round((embedded - started) * 1000, 3),
        decode_ms=round((finished - embedded) * 1000, 3),
    )


def _in_photo(candidate: MaskCandidate, copy: WorkingCopy) -> MaskCandidate:
    if copy.scale == 1.0:
        return candidate
    mask = masks.encode(copy.mask_in_photo(masks.decode(candidate.mask)))
    return MaskCandidate(
        mask=mask,
        predicted_iou=candidate.predicted_iou,
        area=masks.area(mask),
        box=masks.bounding_box(mask),
    )


def _draw(out: Path, decoded: DecodedPhoto, record: SegmentationRecord) -> None:
    marks = []
    for number, found in enumerate(record.objects, 1):
        if found.masks:
            best = found.masks[0]
            label = f"object {number}, {best.area} px, {best.predicted_iou:.0%} predicted IoU"
            marks.append(Mark(f"object {number}", label, best.box, best.mask))
    save_overlay(draw_overlay(decoded.pixels, marks, record.photo.name), out)
