"""Loupe-VLM's files: weights as safetensors, and beside them what was fitted after training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models_runtime.errors import FatalError
from models_runtime.vlm.familiar import Memory
from models_runtime.vlm.model import LoupeVLM, Networks, Shape, load_half
from models_runtime.vlm.outline import OutlineHead

FOLDER = Path(__file__).resolve().parents[1] / "weights"
NAME = "loupe_vlm"
SHOWS, FINDS, CHECKS, MEMORY, OUTLINE = "shows.", "finds.", "checks.", "memory.", "outline."
"""Prefixes of the tensors of each part."""
IN_BYTES = (SHOWS, CHECKS)
"""Parts whose matrices are kept as int8: half the size, and no figure on held-out photos moves."""
SCALE = ".scale"
"""Ends the name of the scales, one a row, of a matrix of bytes."""

Line = tuple[float, float]
"""Slope and offset of a calibration: probability = sigmoid(slope * logit + offset)."""


class Fitted(BaseModel):
    """What was fitted on held-out photos of train. Tables are by domain, with a ``default``."""

    model_config = ConfigDict(extra="forbid")

    shape: dict[str, list[int] | int]
    """Sizes of each network, and whether there is one for instructed states (``checks``)."""
    side: int = Field(default=256, ge=32, le=1024, multiple_of=32)
    """Photos are resized to side x side where defects are looked for."""
    meaning_side: int = Field(default=112, ge=32, le=1024, multiple_of=16)
    """And to this where the question is what they show."""
    outline_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight of the outlines beside the network in what a photo means; 0 without a head."""
    choice_temperature: dict[str, float] = {"default": 1.0}
    truth: Line = (1.0, 0.0)
    anything: dict[str, Line] = {"default": (1.0, 0.0)}
    """Calibrates the log-sum-exp of all catalogued defects: is there any?"""
    one_type: dict[str, Line] = {"default": (1.0, 0.0)}
    cell_threshold: dict[str, float] = {"default": 0.0}
    """Logit from which a place belongs to a defect."""
    box: dict[str, tuple[float, float, float, float]] = {"default": (1.0, 0.0, 0.0, 0.0)}
    """Weights of a box's peak logit, its type's logit in the photo, log area, and an offset."""
    check: tuple[float, float, float] = (0.5, 0.5, 0.0)
    """Weights of the whole and of the near look at an instructed state, and an offset."""
    check_whole: int = Field(default=320, ge=32, le=1024, multiple_of=32)
    """Photos are resized to this for the look at the whole."""
    check_side: int = Field(default=256, ge=32, le=1024, multiple_of=32)
    """The near look is at this size. Both were chosen on held-out photos."""
    least_box: dict[str, float] = {"default": 0.25}
    """Boxes less likely than this are not shown to anyone."""
    least_asked: dict[str, float] = {"default": 0.5}
    """Chance that a photo is of a kind, from which a plan about that kind is answered: most
    held-out photos of the kind reach it."""
    distance_limit: float = 1.0
    """Feature distance at which ``in_domain`` is one half."""
    distance_spread: float = 0.2
    least_in_domain: float = 0.5

    def network_shape(self) -> Shape:
        widths, depths, pyramid = (self.shape[k] for k in ("widths", "depths", "pyramid"))
        if not isinstance(widths, list) or not isinstance(depths, list):
            raise FatalError("loupe_vlm.json: widths and depths must be lists of four")
        checks = bool(self.shape.get("checks", 0))
        return Shape(_four(widths), _four(depths), int(str(pyramid)), checks=checks)


def _four(numbers: list[int]) -> tuple[int, int, int, int]:
    a, b, c, d = numbers
    return a, b, c, d


@dataclass(frozen=True, slots=True)
class Loaded:
    """All of an engine's files. ``outline`` is None where it has only the networks."""

    networks: Networks
    memory: Memory
    fitted: Fitted
    outline: OutlineHead | None
    version: str


def save(
    networks: Networks,
    memory: Memory,
    fitted: Fitted,
    path: Path,
    outline: OutlineHead | None = None,
) -> None:
    """Write the weights and, beside them, the fitted figures as JSON.

    Half precision, or bytes where ``IN_BYTES`` says so.
    """
    parts: dict[str, nn.Module] = {SHOWS: networks.shows, FINDS: networks.finds}
    if networks.checks is not None:
        parts[CHECKS] = networks.checks
    if outline is not None:
        parts[OUTLINE] = outline
    tensors: dict[str, Tensor] = {}
    for prefix, part in parts.items():
        for name, value in part.state_dict().items():
            tensors |= _packed(prefix, name, value.detach())
    tensors |= {MEMORY + k: v.float().contiguous() for k, v in memory.tensors().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    path.chmod(0o644)
    path.with_suffix(".json").write_text(fitted.model_dump_json(indent=1) + "\n")


def load(path: Path) -> Loaded:
    """Read weights and fitted figures; FatalError where they are missing or of another kind."""
    config = path.with_suffix(".json")
    if not path.is_file() or not config.is_file():
        raise FatalError(f"no weights at {path}: install the package whole, or train them")
    raw = path.read_bytes()
    fitted = Fitted.model_validate_json(config.read_bytes())
    version = hashlib.sha256(raw + config.read_bytes()).hexdigest()[:12]
    tensors = _unpacked(load_file(path))
    shape, kept = fitted.network_shape(), _taken(tensors, MEMORY)
    try:
        networks = Networks(
            shows=load_half(_taken(tensors, SHOWS), replace(shape, finds=False, checks=False)),
            finds=load_half(_taken(tensors, FINDS), replace(shape, shows=False, checks=False)),
            checks=_checks(_taken(tensors, CHECKS), shape),
        )
        memory = Memory(**kept)
    except (KeyError, RuntimeError, TypeError) as error:
        told = f"{path.name} was made for another version of Loupe-VLM: {error}"
        raise FatalError(told) from None
    return Loaded(networks, memory, fitted, _outline(_taken(tensors, OUTLINE)), version)


def _packed(prefix: str, name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor as it is kept: in bytes with a scale for each row (Jacob et al. 2018), or halved."""
    if prefix not in IN_BYTES or value.ndim < 2:
        return {prefix + name: value.half().contiguous()}
    rows = value.float().flatten(1)
    scale = (rows.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
    kept = (rows / scale).round().to(torch.int8).view_as(value)
    return {prefix + name: kept.contiguous(), prefix + name + SCALE: scale[:, 0].contiguous()}


def _unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    made = {}
    for name, value in tensors.items():
        if name.endswith(SCALE):
            continue
        scale = tensors.get(name + SCALE)
        wide = value.float()
        made[name] = wide if scale is None else (wide.flatten(1) * scale[:, None]).view_as(wide)
    return made


def _checks(tensors: dict[str, Tensor], shape: Shape) -> LoupeVLM | None:
    if not shape.checks:
        return None
    return load_half(tensors, replace(shape, shows=False, finds=False))


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take out the tensors whose names begin so, without the prefix."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _outline(tensors: dict[str, Tensor]) -> OutlineHead | None:
    if not tensors:
        return None
    head = OutlineHead(width=tensors["enter.weight"].shape[0]).eval().requires_grad_(False)
    head.load_state_dict(tensors)
    return head
