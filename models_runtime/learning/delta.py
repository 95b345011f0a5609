"""A learnt version as a value and as files: JSON for what is few, safetensors for weights.

It names the versions of the engines it was fitted on, and holds for those alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models_runtime.errors import FatalError
from models_runtime.learning.heads import DefectHead, FindingHead, SeverityHead

FORMAT = "loupe.delta/1"
_TENSORS = ("defect", "finding", "severity", "severity_offsets")


@dataclass(frozen=True, slots=True)
class Delta:
    """``bases``: architecture (``vlm``, ``slm``) to the version of the engine that is corrected."""

    bases: Mapping[str, str] = field(default_factory=dict)
    defect: DefectHead = field(default_factory=DefectHead)
    finding: FindingHead = field(default_factory=FindingHead)
    severity: SeverityHead = field(default_factory=SeverityHead)

    def files(self) -> tuple[bytes, bytes]:
        """The weights as safetensors, and all else as JSON."""
        tensors = {
            "defect": self.defect.weights,
            "finding": self.finding.weights,
            "severity": self.severity.weights,
            "severity_offsets": self.severity.offsets,
        }
        plain = {
            "format": FORMAT,
            "bases": dict(self.bases),
            "defect": {"slope": self.defect.slope, "offset": self.defect.offset},
            "finding": {
                "slope": self.finding.slope,
                "offset": self.finding.offset,
                "types": dict(self.finding.types),
                "cut": self.finding.cut,
            },
        }
        ready = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        return bytes(save(ready)), json.dumps(plain, sort_keys=True).encode()

    @classmethod
    def of_files(cls, weights: bytes, plain: bytes) -> Delta:
        """Read ``files`` again; FatalError where they are of another kind."""
        try:
            told, tensors = json.loads(plain), load(weights)
            if told["format"] != FORMAT:
                raise ValueError(f"format {told['format']!r}")
            defect, finding, severity, offsets = (tensors[name] for name in _TENSORS)
            return cls(
                told["bases"],
                DefectHead(**told["defect"], weights=defect),
                FindingHead(**told["finding"], weights=finding),
                SeverityHead(severity, offsets),
            )
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise FatalError(f"a learnt version can't be read: {error}") from None


def digest_of(weights: bytes, plain: bytes) -> str:
    """SHA-256 (hex) of both files."""
    return hashlib.sha256(hashlib.sha256(weights).digest() + plain).hexdigest()
