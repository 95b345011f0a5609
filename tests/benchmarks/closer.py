"""What a closer look is worth: first answers to a click and to a box, on the photo as a whole and
on a window around what is meant. ``python -m tests.benchmarks.closer DATA``

On the val splits of the labelled photos; prompts come from the labels (the box, or the point
farthest from the edge). Only objects count for which a window would be taken.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models_runtime import masks, zooming
from models_runtime.contracts import Box, Click, MaskCandidate, PhotoPixels, Prompt, Segmenter
from models_runtime.registry import EngineSpec
from models_runtime.sam import embedded
from models_runtime.training import sam_data

PHOTOS, OBJECTS = 8, 12
"""Of each data set, and of each photo."""
Pair = tuple[float, float]


def measure(data: Path) -> dict[tuple[str, str], list[Pair]]:
    """IoU as a whole and in a window, by data set and prompt."""
    engine = embedded.load(EngineSpec("embedded", "", {}))
    pairs: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for scene in sam_data.load_scenes(data, "val", limit=PHOTOS):
        photo = PhotoPixels(scene.pixels, "")
        whole = engine.embed(photo)
        objects = [one for one in sam_data.objects(scene)[:OBJECTS] if not one.whole_class]
        for truth in (one.mask for one in objects):
            for kind, prompt in prompts(truth).items():
                seen = engine.decode(whole, [prompt])[0][0]
                closer = in_window(engine, photo, prompt, seen)
                if closer is not None:
                    pairs[scene.source, kind].append((iou(seen, truth), iou(closer, truth)))
    return pairs


def prompts(truth: NDArray[np.bool_]) -> dict[str, Prompt]:
    ys, xs = np.nonzero(truth)
    depth = cv2.distanceTransform(np.pad(truth, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    box = Box(x1=xs.min(), y1=ys.min(), x2=xs.max() + 1, y2=ys.max() + 1)
    return {"click": Prompt(clicks=(Click(x=int(x), y=int(y)),)), "box": Prompt(box=box)}


def in_window(
    engine: Segmenter, photo: PhotoPixels, prompt: Prompt, seen: MaskCandidate
) -> MaskCandidate | None:
    """As ``inspection.clicks.outliner`` does it; None where the whole photo is all there is."""
    size = (photo.height, photo.width)
    extent = zooming.extent_of(prompt, [] if prompt.box else [seen.box])
    side = max(engine.embed(photo).input_size)
    window = zooming.window_for(extent, size, side) if extent else None
    moved = zooming.prompt_in(prompt, window) if window else None
    if window is None or moved is None:
        return None
    part = engine.embed(zooming.cut_out(photo, window))
    return zooming.in_photo(engine.decode(part, [moved])[0][0], window, size)


def iou(found: MaskCandidate, truth: NDArray[np.bool_]) -> float:
    return masks.iou(found.mask, masks.encode(truth))


def main() -> int:
    sys.stdout.write(
        "| photos | prompt | objects | whole photo | window |\n|---|---|---|---|---|\n"
    )
    for (source, kind), pairs in measure(Path(sys.argv[1])).items():
        whole, closer = np.asarray(pairs).mean(axis=0)
        row = f"| {source} | {kind} | {len(pairs)} | {whole:.3f} | {closer:.3f} |\n"
        sys.stdout.write(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
