"""A site's units with masks of awkward shapes, and exports of them as files on disk."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.storage import default_storage
from numpy.typing import NDArray
from PIL import Image
from screen_world import Screens, make_inspection

from inspection import models as m
from inspection.selectors.inspections import InspectionFilter
from inspection.services.exports import jobs
from inspection.services.exports.options import ExportOptions
from models_runtime import masks

SIZE = (150, 200)
Bits = NDArray[np.bool_]


def with_hole() -> Bits:
    bits = np.zeros(SIZE, bool)
    bits[20:80, 30:110] = True
    bits[35:60, 50:90] = False
    return bits


def ragged() -> Bits:
    bits = np.zeros(SIZE, bool)
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
    bits |= (ys - 110) ** 2 + ((xs - 150) / 1.7) ** 2 < 500
    bits |= (abs(ys - 105) < 2) & (xs > 60) & (xs < 150)
    return bits


def in_two_parts() -> Bits:
    bits = np.zeros(SIZE, bool)
    bits[5:15, 120:140] = True
    bits[5:12, 160:190] = True
    return bits


def one_pixel() -> Bits:
    bits = np.zeros(SIZE, bool)
    bits[149, 199] = True
    return bits


SHAPES = (with_hole, ragged, in_two_parts, one_pixel)


def mask_columns(bits: Bits) -> dict[str, Any]:
    mask, ys_xs = masks.encode(bits), np.nonzero(bits)
    (y1, y2), (x1, x2) = ((int(v.min()), int(v.max()) + 1) for v in ys_xs)
    return {
        "mask_counts": mask.counts, "mask_height": SIZE[0], "mask_width": SIZE[1],
        "x1": x1, "y1": y1, "x2": x2, "y2": y2, "area_px": int(bits.sum()),
    }  # fmt: skip


def shaped_unit(world: Screens, shapes: Sequence[Any] = SHAPES, **options: Any) -> m.Inspection:
    """A unit whose findings have these masks."""
    unit = make_inspection(world.site, world.plan, findings=len(shapes), **options)
    for finding, shape in zip(unit.findings.order_by("key"), shapes, strict=True):
        m.Finding.objects.filter(pk=finding.pk).update(**mask_columns(shape()))
    return unit


def exported(world: Screens, format: str, query: dict[str, str] | None = None, **options: Any):
    """Run an export to its end; its row and the open archive."""
    given = {"shape": "", "findings": "standing", "photos": True} | options
    wanted = InspectionFilter.parse(query or {})
    job = jobs.start(
        world.memberships["manager"], format, wanted, ExportOptions.of(format, **given)
    )
    jobs.work(job.pk)
    job.refresh_from_db()
    assert job.status == "done", job.message
    with default_storage.open(job.file_key, "rb") as file:
        return job, zipfile.ZipFile(io.BytesIO(file.read()))


def unpacked(archive: zipfile.ZipFile, folder: Path) -> Path:
    archive.extractall(folder)
    return folder


def png_photo(seed: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def packed(files: dict[str, bytes | str]) -> bytes:
    """A zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def some_key() -> str:
    return uuid.uuid4().hex
