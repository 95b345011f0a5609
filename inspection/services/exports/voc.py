"""Pascal VOC: ``Annotations``, ``JPEGImages``, ``ImageSets``, ``SegmentationClass`` and
``SegmentationObject``.

In ``SegmentationObject`` the pixels of the n-th object of the XML file are n. A pixel belongs to
one object only: where masks overlap, the smaller one is on top. Boxes are in VOC's own count, from
1, both ends in. What VOC has no place for is in the tables under ``loupe/``.
"""

from __future__ import annotations

import io
import math
from typing import IO
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from inspection.models import Finding
from inspection.selectors.exports import OutPhoto, OutUnit
from inspection.services.background import JobFailedError
from inspection.services.exports.photos import export_name
from inspection.services.exports.scene import Scene, bits_of, mask_of
from inspection.services.exports.tables import TableWriter

MOST = 254
"""Objects in a picture, and classes: 0 is nothing and 255 is VOC's border."""
SETS = ("Main", "Segmentation")
Labels = NDArray[np.uint8]


class VocWriter:
    """An XML file and two label pictures for each photo."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._tables = TableWriter(scene, "csv", "loupe/")
        self._sets: dict[str, IO[bytes]] = {name: scene.aside() for name in SETS}

    def add(self, unit: OutUnit) -> None:
        for photo in unit.photos:
            self._add_photo(unit, photo)
        self._tables.add(unit)

    def _add_photo(self, unit: OutUnit, photo: OutPhoto) -> None:
        scene, name = self._scene, export_name(photo.row)
        stem = name.rpartition(".")[0]
        scene.put_photo(f"JPEGImages/{name}", photo.row)
        has_masks = any(finding.row.mask_counts for finding in photo.findings)
        self._sets["Main"].write(f"{stem}\n".encode())
        if has_masks:
            self._sets["Segmentation"].write(f"{stem}\n".encode())
            objects, classes = self._labels(unit, photo)
            scene.put(f"SegmentationObject/{stem}.png", picture(objects), packed=False)
            scene.put(f"SegmentationClass/{stem}.png", picture(classes), packed=False)
        scene.put(f"Annotations/{stem}.xml", self._xml(unit, photo, name, has_masks))

    def _labels(self, unit: OutUnit, photo: OutPhoto) -> tuple[Labels, Labels]:
        size = (photo.row.height or 1, photo.row.width or 1)
        objects, classes = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        rows = [(place, finding.row) for place, finding in enumerate(photo.findings, start=1)]
        for place, row in sorted(rows, key=lambda one: -one[1].area_px):
            mask = mask_of(row)
            if mask is None:
                self._scene.counts["boxes without a mask"] += 1
                continue
            kind = self._scene.classes.place(unit.plan, row.type) + 1
            if kind > MOST:
                raise JobFailedError(
                    f"Pascal VOC has room for {MOST} classes; these plans have more. "
                    "Export one plan at a time."
                )
            bits = bits_of(mask)
            classes[bits] = kind
            if place <= MOST:
                objects[bits] = place
            else:
                self._scene.counts["masks beyond the 254th of a photo, in class pictures only"] += 1
        return objects, classes

    def _xml(self, unit: OutUnit, photo: OutPhoto, name: str, has_masks: bool) -> str:
        scene = self._scene
        objects = "".join(
            _object(scene.classes.names[scene.classes.place(unit.plan, f.row.type)], f.row)
            for f in photo.findings
        )
        return (
            "<annotation>\n"
            f"  <folder>JPEGImages</folder>\n  <filename>{escape(name)}</filename>\n"
            f"  <source><database>{escape(scene.site)}</database></source>\n"
            f"  <size><width>{photo.row.width}</width><height>{photo.row.height}</height>"
            "<depth>3</depth></size>\n"
            f"  <segmented>{int(has_masks)}</segmented>\n{objects}</annotation>\n"
        )

    def finish(self) -> None:
        scene = self._scene
        for name, file in self._sets.items():
            scene.put_file(f"ImageSets/{name}/train.txt", file)
        self._tables.finish()
        colours = np.asarray(palette()).reshape(-1, 3).tolist()
        lines = ["background:0,0,0::"]
        for place, name in enumerate(scene.classes.names[:MOST], start=1):
            red, green, blue = colours[place]
            lines.append(f"{name}:{red},{green},{blue}::")
        scene.put("labelmap.txt", "\n".join(lines) + "\n")


def _object(name: str, row: Finding) -> str:
    x1, y1 = math.floor(row.x1) + 1, math.floor(row.y1) + 1
    x2, y2 = max(x1, math.ceil(row.x2)), max(y1, math.ceil(row.y2))
    return (
        f"  <object><name>{escape(name)}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n"
    )


def picture(labels: Labels) -> bytes:
    """Labels (height, width) as a PNG with VOC's palette: the value of a pixel is its label."""
    from PIL import Image

    height, width = labels.shape
    image = Image.frombytes("P", (width, height), np.ascontiguousarray(labels).tobytes())
    image.putpalette(palette())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def palette() -> list[int]:
    """VOC's colours: the bits of a label spread over red, green and blue (devkit, VOCcolormap)."""
    colours = []
    for label in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colours += colour
    return colours
