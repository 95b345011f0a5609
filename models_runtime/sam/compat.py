"""Import ``segment_anything`` where torchvision is missing or cannot be used.

The package needs four functions of torchvision. The wheel of torchvision that goes with a CPU build
of torch may not import at all (``operator torchvision::nms does not exist``), and its absence is
the normal case in the base install. Then the four are stood in for while the package is imported,
and ``sys.modules`` is left as it was: code that asks for torchvision later gets its own answer.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

_IMPORT_LOCK = threading.Lock()
_UNUSABLE = (ImportError, RuntimeError, OSError, AttributeError)


def load() -> Any:
    """Return the module ``segment_anything``, with the real torchvision where that works."""
    with _IMPORT_LOCK:
        if "segment_anything" in sys.modules:
            return sys.modules["segment_anything"]
        _forget("segment_anything")
        if torchvision_works():
            return importlib.import_module("segment_anything")
        with _stand_in():
            return importlib.import_module("segment_anything")


def torchvision_works() -> bool:
    """Whether the real torchvision can be imported with its compiled operators."""
    try:
        importlib.import_module("torchvision.ops.boxes")
        importlib.import_module("torchvision.transforms.functional")
    except _UNUSABLE:
        _forget("torchvision")
        return False
    return True


def _forget(package: str) -> dict[str, types.ModuleType]:
    """Drop a package and its parts, such as an import that failed halfway leaves behind."""
    names = [n for n in sys.modules if n == package or n.startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}


@contextlib.contextmanager
def _stand_in() -> Iterator[None]:
    before = _forget("torchvision")
    for name, members in _MEMBERS.items():
        module = types.ModuleType(name)
        module.__dict__.update({"__path__": [], **members})
        sys.modules[name] = module
    try:
        yield
    finally:
        _forget("torchvision")
        sys.modules.update(before)


def to_pil_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Stand-in for ``torchvision.transforms.functional.to_pil_image`` on uint8 HxWx3 arrays."""
    return Image.fromarray(np.ascontiguousarray(pixels))


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Stand-in for ``torchvision.transforms.functional.resize``; ``size`` is (height, width)."""
    height, width = (int(n) for n in size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def box_area(boxes: torch.Tensor) -> torch.Tensor:
    """Stand-in for ``torchvision.ops.boxes.box_area``; boxes are Nx4 in x1 y1 x2 y2."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression: indices that stay, best score first."""
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order].float()
    areas = box_area(ranked)
    alive = torch.ones(len(ranked), dtype=torch.bool, device=boxes.device)
    keep: list[int] = []
    for i in range(len(ranked)):
        if not alive[i]:
            continue
        keep.append(i)
        top_left = torch.maximum(ranked[i, :2], ranked[i + 1 :, :2])
        bottom_right = torch.minimum(ranked[i, 2:], ranked[i + 1 :, 2:])
        shared = (bottom_right - top_left).clamp(min=0).prod(dim=1)
        alive[i + 1 :] &= shared / (areas[i] + areas[i + 1 :] - shared) <= iou_threshold
    return order[torch.tensor(keep, dtype=torch.long, device=order.device)]


def batched_nms(
    boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    """Stand-in for ``torchvision.ops.boxes.batched_nms``: only boxes of one index compete."""
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64, device=boxes.device)
    apart = idxs.to(boxes) * (boxes.max() + 1)
    return nms(boxes + apart[:, None], scores, iou_threshold)


_MEMBERS: dict[str, dict[str, Any]] = {
    "torchvision": {},
    "torchvision.transforms": {},
    "torchvision.transforms.functional": {"resize": resize, "to_pil_image": to_pil_image},
    "torchvision.ops": {},
    "torchvision.ops.boxes": {"batched_nms": batched_nms, "box_area": box_area},
}
