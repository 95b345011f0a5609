"""YOLO as Ultralytics reads it: ``data.yaml``, ``images/train``, ``labels/train``.

One line per finding. In segmentation, a mask's outline runs through its outermost pixels, a quarter
pixel beyond their corner, so that readers which round and readers which cut both draw these pixels;
holes are tied in by seams, parts by lines one pixel thick. A finding without a mask is its box.
What YOLO has no place for is in the tables under ``loupe/``.
"""

from __future__ import annotations

import json

from inspection.models import Finding
from inspection.selectors.exports import OutPhoto, OutUnit
from inspection.services.exports.photos import export_name
from inspection.services.exports.scene import Scene, bits_of, mask_of
from inspection.services.exports.tables import TableWriter
from models_runtime.formats.outlines import centre_polygon, flat, part_count

WITHIN = 0.25


class YoloWriter:
    """Labels photo by photo; the names of classes at the end, when all are known."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._tables = TableWriter(scene, "csv", "loupe/")

    def add(self, unit: OutUnit) -> None:
        for photo in unit.photos:
            name = export_name(photo.row)
            self._scene.put_photo(f"images/train/{name}", photo.row)
            lines = [self._line(unit, photo, finding.row) for finding in photo.findings]
            label = name.rpartition(".")[0]
            self._scene.put(f"labels/train/{label}.txt", "".join(lines))
        self._tables.add(unit)

    def _line(self, unit: OutUnit, photo: OutPhoto, row: Finding) -> str:
        width, height = photo.row.width or 1, photo.row.height or 1
        values = [
            number / (width, height)[place % 2] for place, number in enumerate(self._numbers(row))
        ]
        kind = self._scene.classes.place(unit.plan, row.type)
        return " ".join([str(kind), *(f"{value:.8f}" for value in values)]) + "\n"

    def _numbers(self, row: Finding) -> list[float]:
        if self._scene.options.shape == "detect":
            return [(row.x1 + row.x2) / 2, (row.y1 + row.y2) / 2, row.x2 - row.x1, row.y2 - row.y1]
        mask = mask_of(row)
        if mask is None:
            self._scene.counts["boxes written as outlines"] += 1
            return [row.x1, row.y1, row.x2, row.y1, row.x2, row.y2, row.x1, row.y2]
        bits = bits_of(mask)
        if part_count(bits) > 1:
            self._scene.counts["masks whose parts are tied by lines"] += 1
        ring = centre_polygon(bits)
        ring += ring[-1:] * (3 - len(ring))  # a polygon has three corners, even of one pixel
        return flat([(x + WITHIN, y + WITHIN) for x, y in ring])

    def finish(self) -> None:
        self._tables.finish()
        names = self._scene.classes.names
        lines = ["train: images/train", "val: images/train", f"nc: {len(names)}", "names:"]
        lines += [f"  {place}: {json.dumps(name)}" for place, name in enumerate(names)]
        self._scene.put("data.yaml", "\n".join(lines) + "\n")
