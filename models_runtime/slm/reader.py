"""The trained network as a function: a note to its concern, a case to severity chances."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from models_runtime.errors import FatalError
from models_runtime.mlm.minilm import packaged_folder
from models_runtime.slm import features
from models_runtime.slm.model import Shape, TriageNet, pad
from models_runtime.slm.notes import NoteTokenizer

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "loupe_slm"
FORMAT = "loupe.slm/1"
ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Concern:
    """What the note says, as calibrated chances of "this bad or worse"; see model.CONCERNS.

    Each is the highest over the note's sentences, so a further sentence never calms an earlier one.
    """

    routine: float
    defect: float
    danger: float

    @property
    def settled(self) -> float:
        return 1.0 - self.routine

    def as_row(self) -> tuple[float, float, float]:
        return (self.routine, self.defect, self.danger)


class CaseReader:
    """Weights and calibration. Holds no state between calls, so threads may share one."""

    def __init__(self, net: TriageNet, config: dict[str, Any], tokenizer: NoteTokenizer) -> None:
        self._net = net.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._concern_temperature = float(config["concern_temperature"])
        self._severity_temperature = float(config["severity_temperature"])
        self.version = str(config["sha256"])[:12]

    @classmethod
    def from_files(cls, stem: Path = WEIGHTS) -> CaseReader:
        """Read ``stem.safetensors`` and ``stem.json``; FatalError where they do not fit."""
        config_path, weights_path = stem.with_suffix(".json"), stem.with_suffix(".safetensors")
        if not config_path.is_file() or not weights_path.is_file():
            raise FatalError(
                f"no triage weights at {stem}: train them with "
                "python -m models_runtime.training.slm --data ../shared/data"
            )
        config = json.loads(config_path.read_text())
        if config.get("format") != FORMAT:
            raise FatalError(f"{config_path} is not in the format {FORMAT}: train the model anew")
        net = TriageNet(Shape(**config["shape"]))
        weights = {name: value.float() for name, value in load_file(weights_path).items()}
        missing, unexpected = net.load_state_dict(weights, strict=False)
        if unexpected or any(not name.startswith("meaning.") for name in missing):
            raise FatalError(f"{weights_path} does not fit {config_path}: train the model anew")
        return cls(net, config, NoteTokenizer(packaged_folder(), net.shape.tokens))

    @torch.inference_mode()
    def concern(self, note: str) -> Concern | None:
        """Read a note; None where there is nothing to read."""
        segments = self._tokenizer.segments(note)
        if not segments:
            return None
        worst = torch.zeros(3)
        for start in range(0, len(segments), ROWS_AT_ONCE):
            logits = self._net.concern_logits(pad(segments[start : start + ROWS_AT_ONCE]))
            chances = (logits / self._concern_temperature).softmax(1)
            upward = chances.flip(1).cumsum(1).flip(1)[:, 1:]
            worst = torch.maximum(worst, upward.amax(0))
        routine, defect, danger = (_chance(value) for value in worst.tolist())
        return Concern(routine, defect, danger)

    @torch.inference_mode()
    def severities(
        self, case: features.CaseNumbers, concern: Concern | None
    ) -> tuple[tuple[float, ...], ...]:
        """Chances of the true worst severity (none, minor, major, critical).

        First row without the note; a second row with it where there is one.
        """
        rows = [features.row(case, None)]
        if concern is not None:
            rows.append(features.row(case, concern.as_row()))
        logits = self._net.severity_logits(torch.tensor(rows))
        chances = (logits / self._severity_temperature).softmax(1)
        return tuple(tuple(_chance(value) for value in row) for row in chances.tolist())


def _chance(value: float) -> float:
    """Within 0..1, and without the last digits that differ between machines."""
    return min(1.0, max(0.0, round(value, 5)))
