"""COCO: one ``annotations.json``, and ``images/`` where photos are wanted.

Masks as compressed runs are exact. As polygons they run along the edges of pixels, holes are tied
in by seams: COCO's own reader makes the same mask of them. What COCO has no place for is under
``loupe`` in each image and annotation, and in ``loupe_units``.
"""

from __future__ import annotations

import json
from tempfile import TemporaryFile
from typing import IO, Any

from inspection.selectors.exports import OutFinding, OutPhoto, OutUnit
from inspection.services.exports.photos import export_name
from inspection.services.exports.scene import Scene, bits_of, mask_of
from inspection.services.exports.tables import finding_row, plain, rows_of
from models_runtime import masks
from models_runtime.formats.outlines import edge_polygons, flat

PARTS = ("images", "annotations", "loupe_units")
IN_COCO = {"mask", "x", "y", "width", "height", "area_px", "file"}
"""Columns that COCO itself has a place for."""


class CocoWriter:
    """Lists grow in files of their own, so that memory does not grow with them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._files: dict[str, IO[bytes]] = {name: scene.aside() for name in PARTS}
        self._last = dict.fromkeys(PARTS, 0)

    def add(self, unit: OutUnit) -> None:
        for photo in unit.photos:
            self._add_photo(unit, photo)
        told: dict[str, Any] = {}
        for table, row in rows_of(unit):
            if table == "units":
                told = plain(row)
            elif table not in ("photos", "findings"):
                told.setdefault(table, []).append(plain(row))
        self._write("loupe_units", told)

    def _add_photo(self, unit: OutUnit, photo: OutPhoto) -> None:
        name = export_name(photo.row)
        self._scene.put_photo(f"images/{name}", photo.row)
        image = self._write(
            "images",
            {
                "id": self._last["images"] + 1,
                "file_name": name,
                "width": photo.row.width,
                "height": photo.row.height,
                "date_captured": photo.row.created_at.isoformat(),
                "loupe": {
                    "photo_id": str(photo.row.pk),
                    "unit_id": str(unit.row.pk),
                    "name": photo.row.name,
                    "sha256": photo.row.sha256,
                },
            },
        )
        for finding in photo.findings:
            self._write("annotations", self._annotation(image, unit, photo, finding))
            self._scene.beat()

    def _annotation(
        self, image: int, unit: OutUnit, photo: OutPhoto, finding: OutFinding
    ) -> dict[str, Any]:
        row, mask = finding.row, mask_of(finding.row)
        told = plain(finding_row(unit, photo, finding))
        if "model_mask" in told:
            told["model_mask"] = json.loads(told["model_mask"])
        area = masks.area(mask) if mask else (row.x2 - row.x1) * (row.y2 - row.y1)
        return {
            "id": self._last["annotations"] + 1,
            "image_id": image,
            "category_id": self._scene.classes.place(unit.plan, row.type) + 1,
            "bbox": [row.x1, row.y1, row.x2 - row.x1, row.y2 - row.y1],
            "area": area,
            "iscrowd": 0,
            "segmentation": self._outline(finding),
            "loupe": {name: value for name, value in told.items() if name not in IN_COCO},
        }

    def _outline(self, finding: OutFinding) -> Any:
        mask = mask_of(finding.row)
        if mask is None:
            return []
        if self._scene.options.shape == "polygon":
            return [flat(ring) for ring in edge_polygons(bits_of(mask))]
        return {"size": list(mask.size), "counts": mask.counts}

    def _write(self, part: str, value: dict[str, Any]) -> int:
        start = b",\n" if self._last[part] else b"\n"
        self._files[part].write(start + json.dumps(value, ensure_ascii=False).encode())
        self._last[part] += 1
        return self._last[part]

    def finish(self) -> None:
        scene = self._scene
        with TemporaryFile() as whole:
            whole.write(b'{"info": ' + _json(self._info()))
            whole.write(b', "licenses": [], "categories": ' + _json(self._categories()))
            for part in PARTS:
                whole.write(f', "{part}": ['.encode())
                _append(whole, self._files[part])
                whole.write(b"\n]")
            whole.write(b"}\n")
            scene.put_file("annotations.json", whole)

    def _info(self) -> dict[str, Any]:
        scene = self._scene
        return {
            "description": f"{scene.site}: {scene.words}",
            "version": "loupe.export/1",
            "year": scene.at.year,
            "date_created": scene.at.isoformat(),
            "contributor": scene.site,
        }

    def _categories(self) -> list[dict[str, Any]]:
        known = self._scene.classes
        rows = zip(known.names, known.titles, known.groups, strict=True)
        return [
            {"id": place, "name": name, "supercategory": group, "loupe": {"title": title}}
            for place, (name, title, group) in enumerate(rows, start=1)
        ]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _append(whole: IO[bytes], part: IO[bytes]) -> None:
    part.seek(0)
    while piece := part.read(1_000_000):
        whole.write(piece)
