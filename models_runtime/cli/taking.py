"""Intake of one photo for the command line: decoded, measured, its codes read, named."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import PIL

from models_runtime.contracts import Architecture
from models_runtime.errors import InputError
from models_runtime.inspector import StepRecord
from models_runtime.intake.codes import Code, read_codes
from models_runtime.intake.decode import DecodedPhoto, decode_photo
from models_runtime.intake.hashes import perceptual_hash
from models_runtime.intake.names import clean_name
from models_runtime.intake.quality import PhotoQuality, photo_quality
from models_runtime.plans import PlanSpec
from models_runtime.router import choose_for_step
from models_runtime.schema import PhotoIdentity

_NO_PLAN = PlanSpec(name="none yet")


@dataclass(frozen=True, slots=True)
class Taken:
    """A photo after intake, with the plan it goes by."""

    path: Path
    decoded: DecodedPhoto
    quality: PhotoQuality
    codes: tuple[Code, ...]
    records: tuple[StepRecord, ...]
    plan: PlanSpec = _NO_PLAN


def take(path: Path) -> Taken:
    """Decode and measure; InputError says what is wrong with the file."""
    started = time.perf_counter()
    if path.is_dir():
        raise InputError(f"There is no photo in the folder {path}. Name the photos themselves.")
    decoded = decode_photo(path)
    quality, codes = photo_quality(decoded.pixels), read_codes(decoded.pixels)
    record = StepRecord(
        step="intake",
        architecture=Architecture.RULES,
        engine="pillow",
        version=PIL.__version__,
        reason=choose_for_step("intake").reason,
        run_ms=round((time.perf_counter() - started) * 1000, 3),
    )
    return Taken(path, decoded, quality, codes, (record,))


def identity(path: Path, decoded: DecodedPhoto) -> PhotoIdentity:
    """Say which photo it was."""
    unsigned = perceptual_hash(decoded.pixels) & 0xFFFF_FFFF_FFFF_FFFF
    return PhotoIdentity(
        path=printable(path),
        name=clean_name(path.name),
        sha256=decoded.sha256,
        format=decoded.format,
        width=decoded.photo.width,
        height=decoded.photo.height,
        perceptual_hash=f"{unsigned:016x}",
        warnings=decoded.warnings,
    )


def printable(path: Path) -> str:
    """A path as text that JSON can hold, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="replace")
